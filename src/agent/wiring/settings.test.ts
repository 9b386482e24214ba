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
  ])('%j is refused with its place', async (text, says) => {
    expect(await outcome(text)).toContain(says)
  })

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
