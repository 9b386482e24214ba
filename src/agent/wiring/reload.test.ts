import { execFileSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { createIntermediate, createRoot, issueCrl } from '../../../test/support/test-ca.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { readConfiguration } from '../configuration/read.ts'
import { changesLists, changesTokens, reloadSettings } from './reload.ts'
import { composeSettings, type Settings } from './settings.ts'

const [root, other] = [createRoot(), createRoot({ subject: { CN: 'other root' } })]
const intermediate = createIntermediate(root)

let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-reload-'))
  writePem('ca.pem', root, other)
  writePem('more.pem', intermediate)
})
afterEach(() => rmSync(folder, { recursive: true }))

const file = () => join(folder, 'attestd.toml')

function writePem(name: string, ...authorities: readonly { certificate: { der: Uint8Array } }[]): void {
  writeFileSync(
    join(folder, name),
    authorities.map(({ certificate }) => encodePem(certificate.der, 'CERTIFICATE')).join(''),
  )
}

const sections = {
  agent: '',
  tpm: '',
  tdx: '',
  issuer: 'url = "https://issuer.example"',
  verifier: '',
  callers: '',
}

function configure(change: Partial<typeof sections> = {}): void {
  const { agent, tpm, tdx, issuer, verifier, callers } = { ...sections, ...change }
  const files = `ek_anchors = ["${folder}/ca.pem"]\nek_intermediates = ["${folder}/more.pem"]`
  const text = `[agent]\n${agent}\n[tpm]\n${tpm}\n[tdx]\n${tdx}\n[issuer]\n${issuer}\n[verifier]\n${files}\n${verifier}\n[callers]\n${callers}\n`
  writeFileSync(file(), text, { mode: 0o600 })
}

async function settings(change: Partial<typeof sections> = {}): Promise<Settings> {
  configure(change)
  return composeSettings(await readConfiguration(file()))
}

describe('a reload drops the tokens at hand (BRK-01)', () => {
  it.each<[string, Partial<typeof sections>]>([
    ['the requirements on evidence', { verifier: 'event_log = "required"' }],
    ['an endorsement key that is pinned', { verifier: `ek_pinned = ["${'ab'.repeat(32)}"]` }],
    ['the life of tokens', { issuer: `${sections.issuer}\nlifetime = "10m"` }],
  ])('when it changes %s', async (_, change) => {
    expect(changesTokens(await settings(), await settings(change))).toBe(true)
  })

  it.each<[string, () => void]>([
    ['an authority was taken out of a file', () => writePem('ca.pem', root)],
    ['an authority was put into a file', () => writePem('more.pem', intermediate, other)],
    ['an authority was exchanged', () => writePem('more.pem', other)],
  ])('when %s, although the configuration says the same', async (_, change) => {
    const before = await settings()
    change()
    expect(changesTokens(before, await settings())).toBe(true)
  })

  it('when a root of simulated TDs was exchanged in its file', async () => {
    const change = { tdx: 'simulator = true', verifier: `tdx_anchors = ["${folder}/more.pem"]` }
    const before = await settings(change)
    expect(changesTokens(before, await settings(change))).toBe(false)
    writePem('more.pem', other)
    const after = await settings(change)
    // The same file serves as a list of intermediates here; the roots alone have to count.
    expect(changesTokens({ ...before, trust: after.trust }, after)).toBe(true)
  })

  it.each<[string, Partial<typeof sections>]>([
    ['nothing', {}],
    ['the log', { agent: 'log_level = "debug"' }],
    ['who may have tokens', { callers: 'default_audiences = ["https://rp.example"]' }],
  ])('not when it changes %s', async (_, change) => {
    expect(changesTokens(await settings(), await settings(change))).toBe(false)
  })
})

describe('a reload renews the tokens at hand', () => {
  const withList = () => settings({ verifier: `crls = ["${folder}/root.crl"]` })
  const writeList = (serials: readonly bigint[]) =>
    writeFileSync(
      join(folder, 'root.crl'),
      issueCrl({ signer: root, revoked: serials.map((serial) => ({ serial })) }).der,
    )

  it('when a revocation list is another one, under the same name; they are served meanwhile', async () => {
    writeList([])
    const before = await withList()
    expect(changesLists(before, await withList())).toBe(false)
    writeList([7n])
    const after = await withList()
    expect([changesLists(before, after), changesTokens(before, after)]).toEqual([true, false])
  })
})

describe('a reload is refused whole (BRK-142)', () => {
  it.each<[string, Partial<typeof sections>, string]>([
    ['a life that no token may have', { issuer: `${sections.issuer}\nlifetime = "10s"` }, 'a lifetime of 10 s'],
    ['another issuer', { issuer: 'url = "https://other.example"' }, 'a change of issuer.url needs a restart'],
    ['another TPM', { tpm: 'tcti = "device:/dev/tpm0"' }, 'a change of tpm needs a restart'],
    ['a rule without form', { callers: 'rules = [{}]' }, 'callers.rules[0].id'],
  ])('with %s', async (_, change, says) => {
    const before = await settings()
    configure({ ...change, agent: 'log_level = "debug"' })
    const outcome = await reloadSettings(file(), before)
    expect(outcome).toEqual({ errors: expect.arrayContaining([expect.stringContaining(says)]) })
  })

  it.each<[string, () => void]>([
    ['is gone', () => rmSync(file())],
    ['names a file that is gone', () => rmSync(join(folder, 'ca.pem'))],
    ['is a named pipe', () => execFileSync('sh', ['-c', 'rm "$1" && mkfifo -m 600 "$1"', 'sh', file()])],
    ['names a named pipe', () => execFileSync('sh', ['-c', 'rm "$1" && mkfifo "$1"', 'sh', join(folder, 'ca.pem')])],
    ['may be written by others', () => writeFileSync(file(), '', { mode: 0o666 })],
  ])('when the file %s', async (_, change) => {
    const before = await settings()
    if (_.startsWith('may be')) rmSync(file())
    const umask = process.umask(0)
    change()
    process.umask(umask)
    expect(await reloadSettings(file(), before)).toHaveProperty('errors')
  })

  it('and taken where nothing stands against it', async () => {
    const before = await settings()
    configure({ agent: 'log_level = "debug"' })
    const outcome = await reloadSettings(file(), before)
    expect('settings' in outcome && outcome.settings.configuration.agent.log_level).toBe('debug')
  })
})
