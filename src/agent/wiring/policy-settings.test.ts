import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { forgeJws, makePolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { AttestdError } from '../../base/errors.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { defaultPolicies, encodeUnsignedPolicy, parsePolicy, policyDigest, signPolicy } from '../../policies/index.ts'
import { defaultTpmRequirements } from '../../verifier/index.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { policiesFor } from './policies-of-guest.ts'
import { readPolicySettings } from './policy-settings.ts'
import { changesTokens } from './reload.ts'
import { composeSettings } from './settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policies-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const utf8 = new TextEncoder()

const good = 'version=1.2;authorizationrules{=> permit();};'
const bad = 'version=1.2;\nauthorizationrules\n{\n  => permt();\n};'
const [signer, stranger] = [makePolicySigner(), makePolicySigner()]
const signed = signPolicy(utf8.encode(good), signer)

let written = 0
function file(content: string | Uint8Array, mode = 0o600): string {
  const path = join(folder, `${++written}.policy`)
  writeFileSync(path, content)
  chmodSync(path, mode)
  return path
}
const certificate = file(encodePem(signer.authority.certificate.der, 'CERTIFICATE'))

const issuer = '[issuer]\nurl = "https://verifier.example"\n[tpm]\nuse = "required"\n'
const site = (path: string, id = 'site') => `[[policies.files]]\nid = "${id}"\nfile = "${path}"\n`
const loaded = (text: string) => ({
  ...{ file: 'attestd.toml', text: issuer + text },
  configuration: parseConfiguration(issuer + text, 'attestd.toml'),
})
const settingsOf = (text: string) => composeSettings(loaded(text))

async function outcome(text: string): Promise<string> {
  try {
    await readPolicySettings(loaded(text))
  } catch (error) {
    if (error instanceof AttestdError) return error.message
    throw error
  }
  return 'accepted'
}

const tpm = { requirements: defaultTpmRequirements, references: null }
const compared = { requirements: { ...defaultTpmRequirements, ima: 'required' as const }, references: {} as never }

async function usual(text: string, guest: Parameters<typeof policiesFor>[1]): Promise<readonly string[] | undefined> {
  const policies = await readPolicySettings(loaded(text))
  return policiesFor({ policies }, guest)?.usual.map(({ id }) => id)
}

describe('the section `policies`', () => {
  it('is off where it is not there', async () => {
    expect(await readPolicySettings(loaded(''))).toBeNull()
    expect(await usual('', { td: {}, tpm })).toBeUndefined()
  })

  it.each<[string, Parameters<typeof policiesFor>[1]]>([
    ['attestd-default-tpm-v1', { td: null, tpm }],
    ['attestd-default-tpm-ima-v1', { td: null, tpm: compared }],
    ['attestd-default-tdx-v1', { td: {}, tpm: null }],
    ['attestd-default-tdx-tpm-v1', { td: {}, tpm }],
    ['attestd-default-tdx-tpm-ima-v1', { td: {}, tpm: compared }],
  ])('takes %s where it names nothing (POL-441)', async (name, guest) => {
    expect(await usual('[policies]\n', guest)).toEqual([name])
  })

  it('takes what is named for the kind of the guest, in that order (POL-429, POL-442)', async () => {
    const text = `[policies]\ntdx = ["site", "attestd-default-tdx-v1"]\ntpm = ["other"]\n${site(file(good))}${site(file(bad.replace('permt', 'permit')), 'other')}`
    expect(await usual(text, { td: {}, tpm })).toEqual(['site', 'attestd-default-tdx-v1'])
    expect(await usual(text, { td: null, tpm })).toEqual(['other'])
    const policies = await readPolicySettings(loaded(text))
    expect(policiesFor({ policies }, { td: null, tpm })?.configured.map(({ id }) => id)).toEqual([
      ...['other', 'site', 'attestd-default-tdx-v1'],
    ])
    expect(policies?.configured[0]?.hash).toBe(policyDigest(utf8.encode(good)))
  })

  it.each<[string, string]>([
    ['text', good],
    ['an unsigned JWS', encodeUnsignedPolicy(utf8.encode(good))],
    ['a signed JWS', signed],
  ])('takes %s as one policy with one hash, that of its text (POL-701, POL-711)', async (_what, content) => {
    const policies = await readPolicySettings(loaded(`[policies]\n${site(file(content))}`))
    expect(policies?.configured).toEqual([
      { id: 'site', text: good, hash: policyDigest(utf8.encode(good)), documents: false },
    ])
  })

  it('keeps a byte order mark out of the text, and in the hash (POL-711)', async () => {
    const marked = `\ufeff${good}`
    const policies = await readPolicySettings(loaded(`[policies]\n${site(file(marked))}`))
    const [policy] = policies?.configured ?? []
    expect(policy?.hash).toBe(policyDigest(utf8.encode(marked)))
    expect(parsePolicy(policy !== undefined && 'text' in policy ? policy.text : '').policy).toBeDefined()
  })

  it('takes with trusted signers what they signed, and nothing else (POL-704, POL-705, POL-706)', async () => {
    const under = (content: string) => outcome(`[policies]\nsigners = ["${certificate}"]\n${site(file(content))}`)
    expect(await under(signed)).toBe('accepted')
    expect(await under(good)).toContain('signers are configured, and the policy came as text')
    expect(await under(encodeUnsignedPolicy(utf8.encode(good)))).toContain('came as unsigned JWS')
    expect(await under(signPolicy(utf8.encode(good), stranger))).toContain(
      'the signer is none of those that are trusted',
    )
    const payload = { AttestationPolicy: Buffer.from(good).toString('base64url') }
    expect(await under(forgeJws({ alg: 'ES256', x5c: x5cOf(signer) }, payload, stranger))).toContain('does not verify')
  })

  it('takes no signature that is not good, also without trusted signers (POL-704)', async () => {
    const broken = `${signed.slice(0, -12)}${'A'.repeat(12)}`
    expect(await outcome(`[policies]\n${site(file(broken))}`)).toContain('toml:8: policies.files[0].file ')
  })

  it('says file, line, column, rule and what is wrong of a policy that does not load (POL-802)', async () => {
    const path = file(bad)
    expect(await outcome(`[policies]\n${site(path)}`)).toMatch(
      new RegExp(
        `^attestd\\.toml:8: policies\\.files\\[0\\]\\.file does not load:\\n${path}:4:6: error POL-\\d{3}: .*permt`,
      ),
    )
  })

  it.each<[string, string, string]>([
    ['is absent', join(folder, 'nowhere'), 'does not exist'],
    ['is a folder', folder, 'is not a regular file'],
    ['others may write', file(good, 0o666), 'may be written by others (mode 666)'],
    ['is too large', file('x'.repeat((1 << 20) + 1)), 'is larger than 1048576 bytes'],
    ['is longer than a policy may be', file(`${good}${' '.repeat(65_536)}`), 'POL-601'],
    ['is no UTF-8', file(new Uint8Array([0xff, 0xfe])), ''],
  ])('takes no file that %s (POL-709)', async (_what, path, says) => {
    const message = await outcome(`[policies]\n${site(path)}`)
    expect(message).toContain('toml:8: policies.files[0].file ')
    expect(message).toContain(says)
  })

  it('does not wait for a named pipe', async () => {
    const pipe = join(folder, 'pipe')
    execFileSync('mkfifo', [pipe])
    expect(await outcome(`[policies]\n${site(pipe)}`)).toContain('is not a regular file')
  })

  it.each<[string, string]>([
    ['[policies]\ntdx = ["none"]\n', 'toml:6: policies.tdx[0] is none, neither an id of policies.files nor a shipped'],
    [
      '[policies]\ntpm = ["attestd-deny-all-v1", "attestd-deny-all-v1"]\n',
      'policies.tpm[1] names attestd-deny-all-v1 twice',
    ],
    [`[policies]\n${site('/a', 'builtin')}`, 'policies.files[0].id is a name of a policy of the product'],
    [
      `[policies]\n${site('/a', 'attestd-default-tdx-v1')}`,
      'policies.files[0].id is a name of a policy of the product',
    ],
    [`[policies]\n${site('/a')}${site('/b')}`, 'policies.files[1].id names another file already'],
  ])('%j is refused with its place', async (text, says) => {
    expect(await outcome(text)).toContain(says)
  })

  it.each<[string, string]>([
    ['[policies]\ntdx = []\n', 'policies.tdx'],
    [`[policies]\ntdx = [${'"a",'.repeat(11)}]\n`, 'policies.tdx'],
    ['[policies]\ntdx = ["a b"]\n', 'policies.tdx[0] must be 1 to 128 letters'],
    ['[policies]\nfile = "/x"\n', 'policies.file is not a key; did you mean files?'],
  ])('%j is refused by its form', (text, says) => {
    expect(() => loaded(text)).toThrow(says)
  })

  it('takes every shipped policy by its name (POL-440)', async () => {
    for (const { name } of defaultPolicies) expect(await outcome(`[policies]\ntdx = ["${name}"]\n`)).toBe('accepted')
  })
})

describe('another policy (POL-709, BRK-01)', () => {
  const path = file(good)
  const text = `[policies]\ntpm = ["site"]\n${site(path)}`

  it('drops the tokens at hand where the text, the list or the section is another one, and nowhere else', async () => {
    const before = await settingsOf(text)
    expect(changesTokens(before, await settingsOf(text))).toBe(false)
    expect(changesTokens(before, await settingsOf(`[policies]\ntpm = ["site"]\n${site(file(good))}`))).toBe(false)
    expect(changesTokens(before, await settingsOf(`[policies]\ntpm = ["site"]\n${site(file(signed))}`))).toBe(false)
    expect(changesTokens(before, await settingsOf(`[policies]\n${site(path)}`))).toBe(true)
    expect(changesTokens(before, await settingsOf(''))).toBe(true)
    expect(changesTokens(await settingsOf(''), await settingsOf('[policies]\n'))).toBe(true)
    writeFileSync(path, `${good}\n`)
    expect(changesTokens(before, await settingsOf(text))).toBe(true)
  })
})
