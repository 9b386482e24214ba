import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../base/errors.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { composeSettings } from './settings.ts'

const issuer = '[issuer]\nurl = "https://verifier.example"\n'

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
    [`${issuer}[verifier]\nek_anchors = ["/nowhere/ca.pem"]\n`, '/nowhere/ca.pem: ENOENT'],
    [`${issuer}lifetime = "59s"\n`, 'a lifetime of 59 s is not within 60 to 86400 s'],
    [`${issuer}lifetime = "25h"\n`, 'a lifetime of 90000 s is not within 60 to 86400 s'],
    [`${issuer}[[issuer.audiences]]\naudience = "x"\nlifetime = "1s"\n`, 'audience x: a lifetime of 1 s'],
    [`${issuer}${'[[issuer.audiences]]\naudience = "x"\n'.repeat(2)}`, 'audience x is listed twice'],
    ['[issuer]\nurl = "http://verifier.example"\n', 'the issuer URL is not https'],
  ])('%j is refused with its place', async (text, says) => {
    expect(await outcome(text)).toContain(says)
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
