import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compiledWorker } from '../../../test/support/compiled-worker.ts'
import { assembleOpaPolicy, type PolicyForm } from '../../../test/support/opa-policies.ts'
import { packBundle, sha256Of } from '../../../test/support/rego-bundles.ts'
import { op } from '../../../test/support/wasm-assembler.ts'
import { AttestdError } from '../../base/errors.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { isBundled } from '../embedded/appraisal-policies.ts'
import { readPolicySettings } from './policy-settings.ts'
import { changesTokens } from './reload.ts'
import type { Settings } from './settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-bundles-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const engine = { entry: compiledWorker('src/agent/rego/rego-worker.ts') }

let written = 0
function file(content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, `${++written}.tar.gz`)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}

const form: PolicyForm = {
  entrypoints: { 'policy/trust_claims': ['[{"result":{"hardware":2,"executables":2,"configuration":2}}]'] },
}
const bundle = packBundle(assembleOpaPolicy(form))
const text = 'version=1.2;authorizationrules{=> permit();};'

const issuer = '[issuer]\nurl = "https://verifier.example"\n[tpm]\nuse = "required"\n'
const loaded = (toml: string) => ({
  ...{ file: 'attestd.toml', text: issuer + toml },
  configuration: parseConfiguration(issuer + toml, 'attestd.toml'),
})
const entry = (...lines: readonly string[]) =>
  ['[policies]', '[[policies.files]]', 'id = "site"', ...lines, ''].join('\n')
const rego = (bytes: Uint8Array, ...lines: readonly string[]) =>
  entry(`file = "${file(bytes)}"`, 'engine = "rego-wasm"', `sha256 = "${sha256Of(bytes)}"`, ...lines)
const read = (toml: string) => readPolicySettings(loaded(toml), engine)

async function bundleOf(toml: string) {
  const [policy] = (await read(toml))?.configured ?? []
  if (policy === undefined || !isBundled(policy)) throw new Error('no bundle')
  return policy
}

async function outcome(toml: string): Promise<string> {
  try {
    await read(toml)
  } catch (error) {
    if (error instanceof AttestdError) return error.message
    throw error
  }
  return 'accepted'
}

describe('a bundle in `policies.files` (POL-960)', () => {
  it('is named by the hash of its file, and judges', async () => {
    const { id, hash, bundle: opened, settings } = await bundleOf(rego(bundle))
    expect([id, hash]).toEqual(['site', sha256Of(bundle)])
    expect(settings).toEqual({
      ...{ require: ['configuration', 'executables', 'hardware'], references: {} },
      entrypoints: ['policy/trust_claims'],
    })
    const input = new TextEncoder().encode('{}')
    expect(await opened.evaluateInputs([input], 0)).toMatchObject({ verdict: 'permit' })
  })

  it('demands what is configured, and is given references', async () => {
    const value = { builtIn: 'query_reference_value', values: ['"level"'] }
    const asking = assembleOpaPolicy({
      entrypoints: { 'policy/trust_claims': ['[{"result":{"hardware":', value, '}}]'] },
    })
    const verdict = async (...lines: readonly string[]) => {
      const { bundle: opened } = await bundleOf(rego(asking, ...lines))
      return (await opened.evaluateInputs([new TextEncoder().encode('{}')], 0)).verdict
    }
    expect(await verdict('references = { level = 2 }')).toBe('deny')
    expect(await verdict('references = { level = 2 }', 'require = ["hardware"]')).toBe('permit')
    expect(await verdict('references = { level = 97 }', 'require = ["hardware"]')).toBe('deny')
    expect(await verdict('require = ["hardware"]')).toBe('error')
  })

  it.each<[string, string, string | RegExp]>([
    [
      'a bundle that is said to be text',
      entry(`file = "${file(bundle)}"`),
      'is no text but a compiled policy; say engine',
    ],
    ['a bare module that is said to be text', entry(`file = "${file(assembleOpaPolicy(form))}"`), 'is no text but a'],
    [
      'text that is said to be a bundle',
      rego(new TextEncoder().encode(text)),
      /neither a packed bundle nor.*opa build/,
    ],
    ['no hash', entry(`file = "${file(bundle)}"`, 'engine = "rego-wasm"'), 'sha256 is missing'],
    [
      'another hash',
      rego(bundle).replace(/sha256 = "."?/, 'sha256 = "0'),
      /has the SHA-256 .* is pinned.*find out who/,
    ],
    [
      'a hash of a text',
      entry(`file = "${file(text)}"`, `sha256 = "${'0'.repeat(64)}"`),
      'sha256 is for bundles alone',
    ],
    ['references of a text', entry(`file = "${file(text)}"`, 'references = {}'), 'references is for bundles alone'],
    ['demands of a text', entry(`file = "${file(text)}"`, 'require = ["hardware"]'), 'require is for bundles alone'],
    [
      'a file that others may write',
      rego(bundle).replace(/file = ".*"/, `file = "${file(bundle, 0o666)}"`),
      'may be written',
    ],
    ['a file that is not there', rego(bundle).replace(/file = ".*"/, 'file = "/nowhere/b"'), 'does not exist'],
    ['8 MiB and a byte', rego(new Uint8Array((8 << 20) + 1)), 'is larger than 8388608 bytes'],
    ['source', rego(new TextEncoder().encode('package policy\n')), /is Rego source; compile it: opa build/],
    [
      'a function that nobody gets',
      rego(assembleOpaPolicy({ ...form, builtIns: ['http.send'] })),
      /needs http\.send; write/,
    ],
    [
      'a start that never ends',
      rego(assembleOpaPolicy({ ...form, start: op.loop(op.branch(0)) })),
      /longer than 3000 ms/,
    ],
  ])('refuses %s, and says where (POL-709)', async (_what, toml, says) => {
    const message = await outcome(toml)
    expect(message).toMatch(/^attestd\.toml:\d+: policies\.files\[0\]\./)
    expect(message).toMatch(says instanceof RegExp ? says : new RegExp(says.replace(/[[\]().]/g, '\\$&')))
  })

  it.each<[string, string]>([
    ['engine = "rego"', 'policies.files[0].engine is not allowed; allowed: text, rego-wasm'],
    ['sha256 = "abc"', 'policies.files[0].sha256 must be 64 hexadecimal digits'],
    ['require = []', 'policies.files[0].require'],
    ['require = ["hardwear"]', 'policies.files[0].require[0] is not allowed'],
    ['references = { at = 2026-01-01T00:00:00Z }', 'policies.files[0].references'],
    ['references = { at = nan }', 'policies.files[0].references'],
    ['class = "gpu"', 'policies.files[0].class is not a key'],
  ])('refuses %s by its form', (line, says) => {
    expect(() => loaded(entry('file = "/a"', line))).toThrow(says)
  })

  it('takes eight bundles and no ninth: each has a thread', async () => {
    const bundles = (count: number) =>
      Array.from({ length: count }, (_, at) => rego(bundle).replace('[policies]\n', '').replace('"site"', `"b${at}"`))
    expect(await outcome(`[policies]\n${bundles(8).join('')}`)).toBe('accepted')
    expect(await outcome(`[policies]\n${bundles(9).join('')}`)).toContain('files[8].engine is one bundle more than 8')
  })

  it('is pinned by its hash where texts must be signed', async () => {
    const signers = (toml: string) => toml.replace('[policies]', '[policies]\nsigners = []')
    expect(await outcome(signers(rego(bundle)))).toBe('accepted')
  })

  it('drops tokens where its file, its references or its demands are others (BRK-01)', async () => {
    const { configuration } = loaded('')
    const shared = { configuration, remotes: [], trust: { anchors: [], intermediates: [] }, tdRequirements: {} }
    const settings = async (toml: string) => ({ ...shared, policies: await read(toml) }) as unknown as Settings
    const before = await settings(rego(bundle))
    const changed = async (toml: string) => changesTokens(before, await settings(toml))
    expect(await changed(rego(bundle))).toBe(false)
    expect(await changed(rego(bundle, 'require = ["executables", "configuration", "hardware"]'))).toBe(false)
    expect(await changed(rego(bundle, 'require = ["hardware"]'))).toBe(true)
    expect(await changed(rego(bundle, 'references = { a = 1 }'))).toBe(true)
    expect(await changed(rego(packBundle(assembleOpaPolicy(form), [{ name: '/data.json', content: '{}' }])))).toBe(true)
  })
})
