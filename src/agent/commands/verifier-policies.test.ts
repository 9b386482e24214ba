import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { type AdministrationSpec, serveAdministration } from '../../../test/support/local-administration.ts'
import { makePolicySigner } from '../../../test/support/policy-signers.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { defaultPolicyLimits, encodeUnsignedPolicy, policyHash, signPolicy } from '../../policies/index.ts'
import { signPolicyReset } from '../../policies/signed/encode-policy-jws.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { renderPolicies, shownPolicyText } from '../presentation/verifier-policies.ts'
import { verifierCommand } from './verifier.ts'

const bytes = (text: string) => new Uint8Array(Buffer.from(text, 'utf8'))
const textNumbered = (number: number) =>
  `version=1.0;\nauthorizationrules\n{\n  => permit();\n};\nissuancerules\n{\n  => issue(type="n", value=${number});\n};\n`
const broken = 'version=1.0\nauthorizationrules { => permit(); };\n'
const set = '2026-01-31T12:00:00Z'
const signer = makePolicySigner('P-256')

let folder: string
let place: Awaited<ReturnType<typeof serveAdministration>>

/** What commander refuses is thrown here, and does not end the process. */
function thrownUpon(io: CommandIo): Command {
  const quiet = (command: Command): Command => {
    for (const sub of command.commands) quiet(sub)
    return command.exitOverride().configureOutput({ writeErr: () => undefined })
  }
  return quiet(verifierCommand(io))
}

const run = (name: string, ...args: string[]) =>
  runInProcess(thrownUpon, 'policies', name, '--socket', place.path, ...args)

async function open(spec: AdministrationSpec = {}) {
  place = await serveAdministration(spec)
}

function fileOf(content: string | Uint8Array): string {
  const path = join(folder, 'policy.txt')
  writeFileSync(path, content)
  return path
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-policies-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  await open()
})

describe('attestd verifier policies set', () => {
  it('makes a policy the active one, with what the lint says of it (POL-709)', async () => {
    const { out, error } = await run('set', '--type', 'TdxVm', fileOf(textNumbered(1)))
    expect(error).toBeNull()
    const lines = out.trimEnd().split('\n')
    const hash = policyHash(bytes(textNumbered(1)))
    expect(lines.at(-1)).toBe(`type:TdxVm: version 1 is active now; policy hash ${hash}`)
    expect(lines[0]).toMatch(/policy\.txt:\d+:\d+: (?:warning|info) L\d\d: /)
    expect(await place.policies.show('type:TdxVm', 1)).toMatchObject({ upload: bytes(textNumbered(1)) })
    const again = await run('set', '--type', 'TdxVm', fileOf(textNumbered(1)), '--json')
    expect(JSON.parse(again.out)).toMatchObject({ slot: 'type:TdxVm', changed: false, version: { number: 1 } })
    expect((await run('set', '--type', 'TdxVm', fileOf(textNumbered(1)))).out).toContain('was active already')
  })

  it('shows where a policy is wrong as `policy check` does, also within a JWS, and changes nothing (POL-802)', async () => {
    for (const content of [broken, encodeUnsignedPolicy(bytes(broken))]) {
      const { out, error } = await run('set', '--id', 'site', fileOf(content))
      const [head, excerpt, caret] = out.split('\n')
      expect(head).toBe(`${join(folder, 'policy.txt')}:2:1: error POL-202: found 'authorizationrules', expected ';'`)
      expect([excerpt, caret]).toEqual(['authorizationrules { => permit(); };', '^'])
      expect(error).toMatchObject({
        ...{ code: 'ADMINISTRATION_POLICY_ERRORS', exitCode: 65 },
        remedy: expect.stringContaining('attestd policy check'),
      })
    }
    const { out } = await run('set', '--id', 'site', fileOf(broken), '--json')
    expect(JSON.parse(out)).toEqual({ diagnostics: [expect.objectContaining({ id: 'POL-202', line: 2, column: 1 })] })
    expect(place.changes).toEqual([])
  })

  it('says of an empty file and of one that is no UTF-8 what is wrong with the policy (POL-111, POL-101)', async () => {
    const { out, error } = await run('set', '--id', 'site', fileOf(''))
    expect(out).toMatch(/policy\.txt:1:1: error POL-111: /)
    expect(error).toMatchObject({ code: 'ADMINISTRATION_POLICY_ERRORS', exitCode: 65 })
    const latin = await run('set', '--id', 'site', fileOf(Uint8Array.of(0x2f, 0x2f, 0xff)))
    expect(latin.error).toMatchObject({ remedy: expect.stringContaining('save the policy as UTF-8') })
    expect(place.changes).toEqual([])
  })

  it('leaves to the verifier what is good: signer mode refuses what nobody signed (POL-704)', async () => {
    await place.signers.addLocally(signer.authority.certificate.der, 'root')
    const unsigned = await run('set', '--id', 'site', fileOf(textNumbered(1)))
    expect(unsigned.error).toMatchObject({ code: 'POLICY_SIGNER_REQUIRED', exitCode: 77 })
    const { out, error } = await run('set', '--id', 'site', fileOf(signPolicy(bytes(textNumbered(1)), signer)))
    expect(error).toBeNull()
    expect(out).toContain(', signed by CN=policy signer P-256\n')
  })

  it('refuses what is no policy text before it asks', async () => {
    const wasm = await run('set', '--id', 'site', fileOf(Uint8Array.of(0, 0x61, 0x73, 0x6d, 1, 0, 0, 0)))
    expect(wasm.error).toMatchObject({ code: 'POLICY_COMPILED' })
    const large = await run('set', '--id', 'site', fileOf(' '.repeat(262_145)))
    expect(large.error).toMatchObject({ code: 'INPUT_UNREADABLE' })
    expect((await run('set', '--id', 'site', join(folder, 'none'))).error).toMatchObject({ code: 'INPUT_UNREADABLE' })
    expect(place.changes).toEqual([])
  })

  it('tells the refusals of the verifier with its remedy', async () => {
    const reserved = await run('set', '--id', 'attestd-x', fileOf(textNumbered(1)))
    expect(reserved.error).toMatchObject({ code: 'ADMINISTRATION_POLICY_RESERVED', exitCode: 77 })
    expect(reserved.error?.facts).toMatchObject({ field: 'slot' })
    await open({ actor: () => null })
    const forbidden = await run('set', '--id', 'site', fileOf(textNumbered(1)))
    expect(forbidden.error).toMatchObject({ code: 'ADMINISTRATION_FORBIDDEN', exitCode: 77 })
  })
})

describe('the active policy of a signer who was removed (POL-704)', () => {
  it('is told by list and show, with what to do', async () => {
    const other = makePolicySigner('P-256')
    for (const { authority } of [signer, other]) await place.signers.addLocally(authority.certificate.der, 'tests')
    await place.policies.set('id:site', bytes(signPolicy(bytes(textNumbered(1)), signer)), 'tests')
    const shown = async () => (await run('list')).out + (await run('show', '--id', 'site')).out
    expect(await shown()).not.toContain('trusted')
    await place.signers.removeLocally(signer.authority.certificate.der, 'tests')
    const says = await shown()
    expect(says).toContain('id:site is active, and nobody who is trusted now has signed it\n`policies set` it again')
    expect(says).toMatch(/^signer +[0-9a-f]{64}, not trusted now$/m)
    expect(JSON.parse((await run('list', '--json')).out).policies).toMatchObject([{ signerTrusted: false }])
  })
})

describe('attestd verifier policies list', () => {
  it('names each policy with its active version (POL-709)', async () => {
    expect((await run('list')).out).toBe('no policy was ever set; `attestd verifier status` shows which decide\n')
    await place.policies.set('id:site', bytes(textNumbered(1)), 'uid=0(root)')
    await place.policies.set('type:TdxVm', bytes(textNumbered(2)), 'ann')
    await place.policies.set('type:Tpm', bytes(textNumbered(3)), 'ann')
    await place.policies.reset('type:Tpm', 'eyJhbGciOiJub25lIn0..', 'ann')
    const [head, ...lines] = (await run('list')).out.trimEnd().split('\n')
    const cells = (line = '') => line.split(/ {2,}/)
    expect(cells(head)).toEqual(['POLICY', 'VERSION', 'FORM', 'SET', 'POLICY HASH', 'SIGNER', 'BY'])
    expect(lines.map(cells)).toEqual([
      ['id:site', '1', 'text', set, policyHash(bytes(textNumbered(1))), '-', 'uid=0(root)'],
      ['type:TdxVm', '1', 'text', set, policyHash(bytes(textNumbered(2))), '-', 'ann'],
      ['type:Tpm', 'shipped default', '-', '-', '-', '-', '-'],
    ])
  })

  it('shows all pages', async () => {
    for (let at = 0; at < 130; at++) await place.policies.set(`id:p${at}`, bytes(textNumbered(at)), 'ann')
    const { policies } = JSON.parse((await run('list', '--json')).out)
    expect(new Set(policies.map(({ slot }: { slot: string }) => slot)).size).toBe(130)
    expect(policies).toHaveLength(130)
  })

  it('cuts hashes for a person', () => {
    const hash = 'h'.repeat(43)
    const active = {
      ...{ number: 1, at: 0, by: 'ann', form: 'text', uploadSha256: '', policyHash: hash, policyTokenHash: null },
      ...{ digest: '', signerKeySha256: null, previousDigest: null, lints: { error: 0, warning: 0, info: 0 } },
    }
    const io = { terminal: true, colour: false, out: () => undefined, err: () => undefined }
    const shown = renderPolicies([{ slot: 'id:a', active }], io)
    expect(shown).toContain(` ${hash.slice(0, 16)} `)
    expect(shown).not.toContain(hash.slice(0, 17))
  })
})

describe('attestd verifier policies show', () => {
  beforeEach(async () => {
    await place.policies.set('id:site', bytes(textNumbered(1)), 'ann')
    await place.policies.set('id:site', bytes(`\ufeff${textNumbered(2)}`), 'bob')
  })

  it('shows the active version, or the one of a number (POL-709)', async () => {
    const { out, error } = await run('show', '--id', 'site')
    expect(error).toBeNull()
    expect(out).toContain('policy       id:site\nversion      2, text\nset          2026-01-31T12:00:00Z by bob\n')
    const { policyHash: hash, digest } = (await place.policies.show('id:site', 1)).version
    expect(out).toContain(`before       ${digest}\n`)
    const first = (await run('show', '--id', 'site', '1')).out
    expect(first).toContain(`policy hash  ${hash}\n`)
    expect(first).toContain('before       none\n')
    await place.policies.set('type:Tpm', bytes(textNumbered(1)), 'ann')
    expect((await run('show', '--type', 'Tpm')).out).toContain('before       shipped default\n')
    expect(first.endsWith(`\n\n${textNumbered(1)}`)).toBe(true)
  })

  it('counts the lints of severity error (L16)', async () => {
    const reserved =
      'version=1.0;\nauthorizationrules { => permit(); };\nissuancerules { => issue(type="iss", value="x"); };\n'
    await place.policies.set('id:lint', bytes(reserved), 'ann')
    expect((await run('show', '--id', 'lint')).out).toContain('lint         1 error, 1 warning, 0 remarks\n')
  })

  it('gives the text byte for byte to a program, and harmless to a person', async () => {
    expect((await run('show', '--id', 'site', '--text')).out).toBe(`\ufeff${textNumbered(2)}`)
    expect(shownPolicyText('a\u001b[2J\tb\r\n', { terminal: true })).toBe('a\\x1b[2J\tb\\x0d\n')
    expect(shownPolicyText('a', { terminal: true })).toBe('a\n')
    expect(JSON.parse((await run('show', '--id', 'site', '1', '--json')).out)).toMatchObject({
      ...{ slot: 'id:site', text: textNumbered(1), upload: Buffer.from(textNumbered(1)).toString('base64') },
    })
  })

  it('says what there is not', async () => {
    expect((await run('show', '--type', 'Tpm')).error).toMatchObject({
      ...{ code: 'POLICY_NOT_SET', exitCode: 77, remedy: expect.stringContaining('attestd policy shipped') },
    })
    expect((await run('show', '--id', 'none')).error).toMatchObject({ code: 'ADMINISTRATION_POLICY_UNKNOWN' })
    expect((await run('show', '--id', 'site', '3')).error).toMatchObject({ code: 'policy_version_unknown' })
  })
})

describe('attestd verifier policies history, restore, reset', () => {
  it('tell what was active when, and make it active again (POL-709, POL-904)', async () => {
    for (const number of [1, 2]) await run('set', '--id', 'site', fileOf(textNumbered(number)))
    const restored = await run('restore', '--id', 'site', '1')
    expect(restored.out).toContain('id:site: version 1 is active now; policy hash ')
    expect(restored.out).toMatch(/^id:site version 1:\d+:\d+: /)
    expect((await run('reset', '--id', 'site')).out).toBe('id:site: no policy is active any more\n')
    expect((await run('reset', '--id', 'site')).out).toBe('id:site: no policy was active: nothing was changed\n')
    const { out } = await run('history', '--id', 'site')
    const lines = out.trimEnd().split('\n')
    expect(lines.slice(0, 2)).toEqual(['policy       id:site', 'active       none'])
    expect(lines.slice(3, 5).map((line) => line.split(/ {2,}/).slice(0, 3))).toEqual([
      ['2', 'text', set],
      ['1', 'text', set],
    ])
    expect(lines.slice(5)).toEqual([
      'changes, newest first',
      `  ${set}  reset     version 1 -> none  by uid=0(root)`,
      `  ${set}  restored  version 2 -> version 1  by uid=0(root)`,
      `  ${set}  set       version 1 -> version 2  by uid=0(root)`,
      `  ${set}  set       none -> version 1  by uid=0(root)`,
    ])
    expect((await run('history', '--type', 'Tpm')).out).toContain(
      'active       shipped default\nno version was ever set',
    )
  })

  it('show older versions page by page', async () => {
    for (let number = 1; number <= 258; number++) {
      await place.policies.set('type:Tpm', bytes(textNumbered(number)), 'ann')
    }
    expect((await run('history', '--type', 'Tpm')).out).toContain('older versions: --before 3\n')
    const { versions, next } = JSON.parse((await run('history', '--type', 'Tpm', '--before', '3', '--json')).out)
    expect([versions.map(({ number }: { number: number }) => number), next]).toEqual([[2, 1], null])
  })

  it('need a signed reset in signer mode (POL-904)', async () => {
    await run('set', '--type', 'Tpm', fileOf(textNumbered(1)))
    await place.signers.addLocally(signer.authority.certificate.der, 'root')
    const unsigned = await run('reset', '--type', 'Tpm')
    expect(unsigned.error).toMatchObject({
      ...{ code: 'ADMINISTRATION_RESET_UNSIGNED', exitCode: 77 },
      remedy: expect.stringContaining('attestd policy sign --reset'),
    })
    const { out } = await run('reset', '--type', 'Tpm', '--jws', fileOf(signPolicyReset(signer)))
    expect(out).toBe('type:Tpm: the shipped default is active now\n')
    expect((await run('restore', '--type', 'Tpm', '1')).error).toMatchObject({ code: 'POLICY_SIGNER_REQUIRED' })
  })
})

describe('attestd verifier policies compare', () => {
  beforeEach(async () => {
    for (const number of [1, 2]) await place.policies.set('id:site', bytes(textNumbered(number)), 'ann')
    await place.policies.set('id:site', bytes(textNumbered(2).replaceAll('\n', '\r\n')), 'ann')
  })

  it('shows the rules that two versions do not share, as `policy diff` does (POL-709)', async () => {
    const { out, error } = await run('compare', '--id', 'site', '1', '2')
    expect(error).toBeNull()
    expect(out).toContain('-     8  => issue(type="n", value=1);\n')
    expect(out).toContain('+     8  => issue(type="n", value=2);\n')
    expect((await run('compare', '--id', 'site', '2', '3')).out).toBe(
      'the policies say the same; 2 rules are the same\n',
    )
  })

  it('shows lines where that is asked for', async () => {
    const { out } = await run('compare', '--id', 'site', '1', '2', '--lines')
    expect(out).toBe(
      '  …\n  };\n  issuancerules\n  {\n-   => issue(type="n", value=1);\n+   => issue(type="n", value=2);\n  };\n  \n',
    )
    expect((await run('compare', '--id', 'site', '2', '2', '--lines')).out).toBe('the texts are the same\n')
    const { lines } = JSON.parse((await run('compare', '--id', 'site', '1', '2', '--json')).out)
    expect(lines).toContainEqual({ is: 'added', line: '  => issue(type="n", value=2);' })
  })

  it('of the largest texts is taken (POL-601)', async () => {
    const { textBytes } = defaultPolicyLimits
    const padded = (line: string) => textNumbered(1).padEnd(textBytes - 1, line)
    for (const line of ['\n', ' \n']) await place.policies.set('id:large', bytes(`${padded(line)}\n`), 'ann')
    const { out, error } = await run('compare', '--id', 'large', '1', '2')
    expect([error, out]).toEqual([null, 'the policies say the same; 2 rules are the same\n'])
  })
})

describe('attestd verifier policies', () => {
  it('speak of one policy', async () => {
    for (const name of ['show', 'history', 'reset']) {
      expect((await run(name)).error).toMatchObject({ code: 'USAGE', exitCode: 78 })
      expect((await run(name, '--id', 'a', '--type', 'Tpm')).error).toMatchObject({ code: 'USAGE' })
    }
    await expect(run('show', '--id', 'a/b')).rejects.toThrow(/must be 1 to 128 letters/)
    await expect(run('show', '--type', 'tdxvm')).rejects.toThrow(/TdxVm/)
    await expect(run('restore', '--id', 'a', '0')).rejects.toThrow(/must be an integer/)
  })

  it('say that no verifier answers, and what to do', async () => {
    const { path } = place
    rmSync(path)
    const { error, out } = await run('list')
    expect(out).toBe('')
    expect(error).toMatchObject({
      ...{ code: 'VERIFIER_NOT_REACHED', exitCode: 75, message: `${path}: ENOENT` },
      remedy: expect.stringContaining('systemctl start attestd-verifier'),
    })
  })

  it('tell what is wrong with the database', async () => {
    place.store.situation = async () => {
      throw storeErrors.error('registry_unavailable', 'no connection')
    }
    const { error } = await run('set', '--id', 'site', fileOf(textNumbered(1)))
    expect(error).toMatchObject({ code: 'registry_unavailable', exitCode: 75 })
  })

  it('refuse what writes on the terminal', async () => {
    const facts = await place.policies.set('id:a', bytes(textNumbered(1)), 'x')
    const version = { ...(facts.loaded ? facts.version : {}), form: '\u001b[2J' }
    const { policies } = place
    await open({
      policies: Object.assign(Object.create(policies), {
        slots: async () => ['id:a'],
        active: async () => ({ version, upload: bytes(''), policy: bytes('') }),
      }),
    })
    const { out, error } = await run('list')
    expect([out, error?.code]).toEqual(['', 'VERIFIER_ANSWER'])
  })

  it('do not follow pages that do not end', async () => {
    const path = join(folder, 'other.sock')
    const server = createServer((_, response) => response.end('{"policies":[],"next":"id:a"}')).listen(path)
    await once(server, 'listening')
    onTestFinished(() => void server.close())
    const { out, error } = await runInProcess(thrownUpon, 'policies', 'list', '--socket', path)
    expect([out, error?.code]).toEqual(['', 'VERIFIER_ANSWER'])
  })
})
