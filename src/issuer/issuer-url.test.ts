import { describe, expect, it } from 'vitest'
import { AttestdError } from '../base/errors.ts'
import { type IssuerUrlRules, requireIssuerUrl } from './issuer-url.ts'

function outcome(url: string, rules?: IssuerUrlRules): string {
  try {
    return requireIssuerUrl(url, rules)
  } catch (error) {
    return error instanceof AttestdError ? error.code : String(error)
  }
}

describe('the issuer URL (TOK-02, TOK-10)', () => {
  const longest = `https://a.example/${'x'.repeat(237)}`

  it.each([
    'https://verifier.example',
    'https://verifier.example:8443',
    'https://verifier.example/tenants/a',
    'https://xn--mnchen-3ya.example',
    'https://aliyuncs.com.example',
    'https://notgoogleapis.com',
    longest,
  ])('may be %s', (url) => {
    expect(outcome(url)).toBe(url)
  })

  it.each([
    '',
    'verifier.example',
    'http://verifier.example',
    'ftp://verifier.example',
    'https://verifier.example/',
    'https://verifier.example/a/',
    'https://verifier.example?',
    'https://verifier.example?x=1',
    'https://verifier.example#',
    'https://user@verifier.example',
    'https://user:word@verifier.example',
    'https://Verifier.example',
    'HTTPS://verifier.example',
    'https://verifier.example:443',
    'https://verifier.example/a/../b',
    'https://verifier.example\\a',
    'https://verifier.example.',
    'https://sts.googleapis.com.',
    'https://aliyuncs.com./a',
    ' https://verifier.example',
    'https://verifier.example\n',
    'https://münchen.example',
    'https://verifier.example/ä',
    'http://127.0.0.1:8080',
    `${longest}x`,
  ])('is never %j', (url) => {
    expect(outcome(url)).toBe('ISSUER_URL_INVALID')
  })

  it.each([
    'https://attest.cn-beijing.aliyuncs.com',
    'https://aliyuncs.com',
    'https://shared.weu.attest.azure.net',
    'https://portal.trustauthority.intel.com/x',
    'https://sts.googleapis.com',
  ])('is never that of another service: %s', (url) => {
    expect(outcome(url)).toBe('ISSUER_FOREIGN')
  })

  it('may be http on loopback with the switch, and only there', () => {
    const rules = { allowLoopbackHttp: true }
    for (const url of ['http://127.0.0.1:8080', 'http://localhost:1/a', 'http://[::1]:8080']) {
      expect(outcome(url, rules)).toBe(url)
    }
    for (const url of ['http://127.0.0.1.example', 'http://10.0.0.1', 'http://localhost.example', 'ftp://localhost']) {
      expect(outcome(url, rules)).toBe('ISSUER_URL_INVALID')
    }
  })
})
