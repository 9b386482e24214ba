import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../base/errors.ts'
import { parseConfiguration } from './load.ts'

const issuer = '[issuer]\nurl = "https://verifier.example"\n'

function refused(text: string): string {
  try {
    parseConfiguration(text, 'attestd.toml')
  } catch (error) {
    if (error instanceof AttestdError) {
      expect(error.exitCode).toBe(78)
      return error.message
    }
    throw error
  }
  return 'accepted'
}

describe('the configuration', () => {
  it('fills every default', () => {
    const configuration = parseConfiguration(issuer, 'attestd.toml')
    expect(configuration.tpm.tcti).toBe('device:/dev/tpmrm0')
    expect(configuration.tpm.simulator).toBe(false)
    expect(configuration.callers.default_rule).toBe(false)
    expect(configuration.issuer.algorithm).toBe('RS256')
  })

  it.each([
    [`${issuer}[tpm]\ntransprot = "tcti"\n`, 'attestd.toml:4: tpm.transprot is not a key; did you mean transport?'],
    [
      `${issuer}[tpm]\n\ntransport = "usb"\n`,
      'attestd.toml:5: tpm.transport is not allowed; allowed: auto, tcti, device, swtpm',
    ],
    [`${issuer}[tpm]\ntimeout = "soon"\n`, 'attestd.toml:4: tpm.timeout must be a number with a unit'],
    [`${issuer}[tpm]\ntimeout = "0s"\n`, 'attestd.toml:4: tpm.timeout must be more than nothing'],
    [`${issuer}[tdx]\ntimeout = "0ms"\n`, 'attestd.toml:4: tdx.timeout must be more than nothing'],
    ...['cn-1', 'cn--beijing', 'cn-beijing-', 'cn-x', 'CN-beijing', 'cn-beijing-123', 'cn-beijing.example'].map(
      (region): string[] => [
        `${issuer}[collateral]\nregion = "${region}"\n`,
        'attestd.toml:4: collateral.region must be',
      ],
    ),
    [
      `${issuer}[[remotes]]\nname = "r"\ndialect = "alibaba"\nissuer = "https://a.example"\npolicy_ids = ["a b"]\n`,
      'attestd.toml:7: remotes[0].policy_ids[0] must be 1 to 128 letters',
    ],
    [
      `${issuer}[[remotes]]\nname = "r"\ndialect = "alibaba"\nissuer = "https://a.example"\naudience = "a b"\n`,
      'attestd.toml:7: remotes[0].audience must be 1 to 256 printable',
    ],
    [`${issuer}[tpm]\npcrs = [0, 24]\n`, 'attestd.toml:4: tpm.pcrs[1] too big'],
    [`${issuer}[tpm]\nsimulator = "yes"\n`, 'attestd.toml:4: tpm.simulator invalid input: expected boolean'],
    ['[tpm]\n', 'attestd.toml:1: issuer is missing (object)'],
    [`${issuer}[cellar]\nx = 1\n`, 'attestd.toml:3: cellar is not a key; allowed: agent, listen, tpm'],
    [`${issuer}[tpm\n`, 'attestd.toml:3:'],
    [`${issuer}url = "https://b.example"\n`, 'attestd.toml:3:'],
    [
      `${issuer}[[issuer.audiences]]\naudience = "a"\n[[issuer.audiences]]\naudience = "b"\nsubject = "me"\n`,
      'attestd.toml:7: issuer.audiences[1].subject is not allowed',
    ],
  ])('names line, key and what is allowed: %j', (text, says) => {
    expect(refused(text)).toContain(says)
  })

  it('shows all problems at once', () => {
    expect(refused(`${issuer}lifetime = "x"\nrotation = "y"\n`).split('\n')).toHaveLength(2)
  })
})
