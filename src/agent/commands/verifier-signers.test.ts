import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import type { Command } from 'commander'
import { beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { serveAdministration } from '../../../test/support/local-administration.ts'
import { makePolicySigner, type TestPolicySigner } from '../../../test/support/policy-signers.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { toBase64 } from '../../base/bytes.ts'
import { keySha256 } from '../../issuer/administration/descriptions.ts'
import { certificateThumbprint, signPolicy } from '../../policies/index.ts'
import type { CommandIo } from '../presentation/terminal.ts'
import { signersCommand } from './verifier-signers.ts'

const [ann, bob, carol] = [makePolicySigner('P-256'), makePolicySigner('rsa'), makePolicySigner('P-256')]
const keyOf = ({ authority }: TestPolicySigner) => keySha256(authority.certificate)
const pemOf = ({ authority }: TestPolicySigner) =>
  `-----BEGIN CERTIFICATE-----\n${toBase64(authority.certificate.der).replace(/.{64}/g, '$&\n')}\n-----END CERTIFICATE-----\n`

let folder: string
let place: Awaited<ReturnType<typeof serveAdministration>>

function thrownUpon(io: CommandIo): Command {
  const command = signersCommand(io)
  for (const sub of command.commands) sub.exitOverride().configureOutput({ writeErr: () => undefined })
  return command
}

const run = (name: string, ...args: string[]) => runInProcess(thrownUpon, name, '--socket', place.path, ...args)

function fileOf(content: string | Uint8Array): string {
  const path = join(folder, 'signer.crt')
  writeFileSync(path, content)
  return path
}

beforeEach(async () => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-signers-'))
  onTestFinished(() => rmSync(folder, { recursive: true }))
  place = await serveAdministration({ signsTokens: (key) => Buffer.from(key).equals(bob.publicKey) })
})

const on = 'signer mode is on: policies and resets must be signed by one who is trusted\n'
const off = 'signer mode is off: nobody is trusted, and policies need no signature\n'

describe('attestd verifier signers', () => {
  it('adds the first one, lists it, and removes the last one, and says what that means (POL-704, POL-708)', async () => {
    expect((await run('list')).out).toBe(off)
    const added = await run('add', fileOf(pemOf(ann)))
    expect(added.error).toBeNull()
    expect(added.out).toBe(`${keyOf(ann)} (CN=policy signer P-256) is trusted\n${on}`)
    expect((await run('add', fileOf(ann.authority.certificate.der))).out).toContain('nothing was changed')
    const [mode, head, line] = (await run('list')).out.split('\n')
    expect(`${mode}\n`).toBe(on)
    expect(head?.split(/ {2,}/)).toEqual(['KEY', 'SUBJECT', 'VALID UNTIL', 'ADDED'])
    expect(line?.split(/ {2,}/)).toEqual([
      ...[keyOf(ann), 'CN=policy signer P-256', expect.stringMatching(/^20\d\d-/)],
      '2026-01-31T12:00:00Z by uid=0(root)',
    ])
    const removed = await run('remove', certificateThumbprint(ann.authority.certificate))
    expect(removed.out).toBe(`${keyOf(ann)} (CN=policy signer P-256) is trusted no more\n${off}`)
    const { out } = await run('list')
    expect(out).toContain(`${off}trusted no more\n`)
    expect(out.trimEnd().split(/ {2,}/).at(-1)).toBe('2026-01-31T12:00:00Z by uid=0(root)')
    expect(place.changes.map(({ event }) => event)).toEqual(['policy.signer.added', 'policy.signer.removed'])
  })

  it('tells which policies stay active without the signature of anybody who is trusted (POL-704)', async () => {
    const text = Buffer.from('version=1.0;authorizationrules{=> permit();};')
    const says = (slot: string) => `${slot} is active, and nobody who is trusted now has signed it\n`
    const remedy = '`policies set` it again, signed by one who is trusted, or take it out of use by `policies reset`\n'
    await place.policies.set('id:early', text, 'tests')
    expect((await run('add', fileOf(pemOf(ann)))).out).toContain(`${on}${says('id:early')}${remedy}`)
    await run('add', fileOf(pemOf(carol)))
    await place.policies.set('id:site', Buffer.from(signPolicy(text, ann)), 'tests')
    expect((await run('remove', keyOf(ann))).out).toContain(`${on}${says('id:early')}${says('id:site')}${remedy}`)
    expect((await run('remove', keyOf(carol))).out).toMatch(new RegExp(`${off}$`))
  })

  it('answers programs with objects', async () => {
    const add = JSON.parse((await run('add', fileOf(pemOf(ann)), '--json')).out)
    expect(add).toMatchObject({ changed: true, signerMode: 'on', signer: { keySha256: keyOf(ann) } })
    const list = JSON.parse((await run('list', '--json')).out)
    expect(list).toMatchObject({ signerMode: 'on', trusted: [{ keySha256: keyOf(ann) }], former: [] })
    const remove = JSON.parse((await run('remove', keyOf(ann), '--json')).out)
    expect(remove).toMatchObject({ changed: true, signerMode: 'off' })
  })

  it('refuses keys that sign tokens, several certificates, and what is none (POL-712)', async () => {
    const own = await run('add', fileOf(pemOf(bob)))
    expect(own.error).toMatchObject({ code: 'policy_signer_key', exitCode: 77 })
    expect((await run('add', fileOf(pemOf(ann) + pemOf(bob)))).error).toMatchObject({ code: 'USAGE' })
    expect((await run('add', fileOf('no certificate'))).error).toMatchObject({
      ...{ code: 'INPUT_UNREADABLE', exitCode: 78, remedy: expect.stringContaining('certificate of the signer') },
    })
    expect((await run('remove', '0'.repeat(64))).error).toMatchObject({
      ...{ code: 'ADMINISTRATION_SIGNER_UNKNOWN', exitCode: 65 },
      remedy: expect.stringContaining('attestd verifier signers list'),
    })
    await expect(run('remove', 'abc')).rejects.toThrow(/must be 64 hexadecimal digits/)
    expect(place.changes).toEqual([])
  })
})
