import { generateKeyPairSync } from 'node:crypto'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { AttestdError } from '../../base/errors.ts'
import { defaultImaPolicy } from '../../verifier/index.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { composeSettings } from './settings.ts'

const issuer = '[issuer]\nurl = "https://verifier.example"\n'

const folder = mkdtempSync(join(tmpdir(), 'attestd-settings-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
let written = 0
const publicKey = generateKeyPairSync('ec', { namedCurve: 'P-256' }).publicKey.export({ format: 'jwk' })

async function outcome(text: string): Promise<string> {
  try {
    await composeSettings({ file: 'attestd.toml', text, configuration: parseConfiguration(text, 'attestd.toml') })
  } catch (error) {
    if (error instanceof AttestdError) return error.message
    throw error
  }
  return 'accepted'
}

describe('settings that the schema cannot judge', () => {
  it.each([
    [
      `${issuer}[tpm]\npcrs = [0, 1]\n`,
      'verifier.required_pcrs asks for PCR 2, 3, 4, 5, 6, 7, which tpm.pcrs does not quote',
    ],
    [`${issuer}subject = "workload"\n`, 'issuer.subject_claims must list claims'],
    [
      `${issuer}[[callers.rules]]\nid = "a"\nmatch = {}\nallow = { methods = ["token"] }\n`,
      'attestd.toml:5: callers.rules[0].match',
    ],
    [
      `${issuer}[[callers.rules]]\nid = "a"\nmatch = { uid = 1 }\nallow = { methods = ["token"], audience = ["x"] }\n`,
      'attestd.toml:6: callers.rules[0].allow',
    ],
    [`${issuer}[verifier]\nek_anchors = ["/nowhere/ca.pem"]\n`, '/nowhere/ca.pem: does not exist (ENOENT)'],
    [`${issuer}lifetime = "59s"\n`, 'a lifetime of 59 s is not within 60 to 86400 s'],
    [`${issuer}lifetime = "25h"\n`, 'a lifetime of 90000 s is not within 60 to 86400 s'],
    [`${issuer}[[issuer.audiences]]\naudience = "x"\nlifetime = "1s"\n`, 'audience x: a lifetime of 1 s'],
    [`${issuer}${'[[issuer.audiences]]\naudience = "x"\n'.repeat(2)}`, 'audience x is listed twice'],
    ['[issuer]\nurl = "http://verifier.example"\n', 'the issuer URL is not https'],
    [`${issuer}[collateral]\npccs = ["https://a.example", "http://b.example"]\n`, 'toml:4: collateral.pccs[1] '],
    [
      `${issuer}[verifier]\nreferences = ["/nowhere/a.jsonl"]\n`,
      'toml:4: verifier.references[0] /nowhere/a.jsonl: ENOENT',
    ],
    [
      `${issuer}[verifier]\nreferences = ["/dev/null"]\n`,
      'toml:4: verifier.references[0] /dev/null: is not a regular file',
    ],
    [`${issuer}[collateral]\npccs = ["nonsense"]\n`, 'toml:4: collateral.pccs[0] '],
  ])('%j is refused with its place', async (text, says) => {
    expect(await outcome(text)).toContain(says)
  })

  const remote = (...lines: readonly string[]) =>
    `${issuer}[tdx]\nuse = "required"\n[[remotes]]\nname = "r"\ndialect = "alibaba"\n${lines.join('\n')}\n`
  const keys = (...members: readonly object[]) => {
    const path = join(folder, `keys-${++written}.json`)
    writeFileSync(path, JSON.stringify({ keys: members }))
    return path
  }
  const hosted = 'issuer = "https://attest.example"'
  const endpoints = (...urls: readonly string[]) => remote(hosted, `endpoints = ${JSON.stringify(urls)}`)

  it.each([
    [remote('issuer = "http://attest.example"'), 'toml:8: remotes[0].issuer an endpoint is not https'],
    [remote('issuer = "http://127.0.0.1:1"'), 'toml:8: remotes[0].issuer an endpoint is not https'],
    [remote('issuer = "https://user@attest.example"'), 'toml:8: remotes[0].issuer an endpoint has'],
    [endpoints('https://a.example', 'http://b.example'), 'toml:9: remotes[0].endpoints an endpoint is not https'],
    [endpoints('https://a.example/?x'), 'toml:9: remotes[0].endpoints an endpoint has'],
    [
      remote(hosted, 'jwks = "/nowhere/keys.json"'),
      'toml:9: remotes[0].jwks /nowhere/keys.json: does not exist (ENOENT)',
    ],
    [remote(hosted, `jwks = "${folder}"`), 'toml:9: remotes[0].jwks '],
    [remote(hosted, `jwks = "${keys()}"`), 'holds no key that may be used: it is empty'],
    [remote(hosted, `jwks = "${keys({ kty: 'oct', k: 'AA' })}"`), 'holds no key that may be used: a secret key'],
    [`${remote(hosted)}[[remotes]]\nname = "r"\ndialect = "alibaba"\n${hosted}\n`, 'remotes[1].name is the name of'],
    [remote(hosted).replace('required', 'off'), 'toml:7: remotes[0].dialect speaks of TDs only'],
    [`${remote(hosted)}[callers]\ndefault_issuer = "s"\n`, 'toml:10: callers.default_issuer is not one of local, r'],
  ])('of remote verifiers: %j is refused with its place', async (text, says) => {
    expect(await outcome(text)).toContain(says)
  })

  it.each([
    ['by https', remote(hosted)],
    ['with a key', remote(hosted, `jwks = "${keys(publicKey)}"`)],
    ['by http on loopback, with the switch', remote('issuer = "http://[::1]:1"', 'allow_http_loopback = true')],
    ['with other endpoints', endpoints('https://a.example/base/', 'https://a.example:8443')],
    ['that is the usual one', `${remote(hosted)}[callers]\ndefault_issuer = "r"\n`],
  ])('takes a remote verifier %s', async (_, text) => {
    expect(await outcome(text)).toBe('accepted')
  })

  it('asks of IMA logs and firmware what the configuration says', async () => {
    const policy = [
      'max_violations = 7',
      'unlisted_files = "report"',
      'signed_files = "report"',
      'invalid_signatures = "report"',
      'unlisted_keys = "report"',
      'unknown_templates = "refuse"',
      'kexec = "refuse"',
      'boot_aggregate = "required"',
    ]
    const firmware = 'tpm_firmware = ["2019102300163636"]'
    const text = [issuer, '[verifier]', firmware, '[verifier.ima_policy]', ...policy, ''].join('\n')
    const configuration = parseConfiguration(text, 'attestd.toml')
    const { requirements } = await composeSettings({ file: 'attestd.toml', text, configuration })
    expect(requirements.firmwareVersions).toEqual([0x2019102300163636n])
    expect(requirements.imaPolicy).toEqual({
      maxViolations: 7,
      unlistedFiles: 'report',
      signedFiles: 'report',
      invalidSignatures: 'report',
      unlistedKeys: 'report',
      unknownTemplates: 'refuse',
      kexec: 'refuse',
      bootAggregate: 'required',
    })
  })

  it.each([true, false])(
    'says what the evidence must be: padded SHA-1 values are accepted: %s (IMA-06)',
    async (accept) => {
      const text = `${issuer}[verifier]\nima_sha1_padded = ${accept}\nima = "required"\nevent_log = "required"\n`
      const configuration = parseConfiguration(text, 'attestd.toml')
      const { requirements } = await composeSettings({ file: 'attestd.toml', text, configuration })
      expect(requirements).toEqual({
        banks: ['sha256'],
        pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
        eventLog: 'required',
        ima: 'required',
        imaPcr: 10,
        imaPolicy: defaultImaPolicy,
        acceptSha1Padded: accept,
        firmwareVersions: 'any',
      })
    },
  )

  it('takes a whole one', async () => {
    const rules =
      '[[callers.rules]]\nid = "a"\nmatch = { uid = "root" }\nallow = { methods = ["token"], audiences = ["x"] }\n'
    expect(
      await outcome(
        `${issuer}subject = "workload"\nsubject_claims = ["tpm.pcr.4"]\n[verifier]\nek_vendors = ["aliyun"]\n${rules}`,
      ),
    ).toBe('accepted')
  })
})
