import { describe, expect, it } from 'vitest'
import { exchangeBroken } from './exchange-failure.ts'

const endpoint = new URL('https://attest.example/v1/attestation')
const withCode = (code: unknown, cause?: unknown) => Object.assign(new Error('token eyJ in a message'), { code, cause })

describe('an exchange that brought nothing', () => {
  it.each<[string, unknown, string]>([
    ['a code', withCode('ECONNREFUSED'), 'ECONNREFUSED'],
    ['the code of its cause', new Error('x', { cause: withCode('ECONNRESET') }), 'ECONNRESET'],
    ['a code of its cause in place of one that is none', withCode('of many\nlines', withCode('EPIPE')), 'EPIPE'],
    ['a code that is text of the peer', withCode('eyJhbGciOi.J9'), 'UNKNOWN'],
    ['a number', withCode(7), 'UNKNOWN'],
    ['a code deep below', { cause: { cause: { cause: { cause: { code: 'EPIPE' } } } } }, 'UNKNOWN'],
    ['no error', 'boom', 'UNKNOWN'],
    ['nothing', null, 'UNKNOWN'],
  ])('is known by %s, and by nothing else that was thrown', (_, thrown, code) => {
    const { class: failure, error, tryNext } = exchangeBroken(endpoint, thrown)
    expect([failure, error.code, tryNext]).toEqual(['retryable', 'issuer_unavailable', true])
    expect(error.facts).toEqual({ endpoint: endpoint.href, network_code: code })
    expect(error.message).toBe(`${endpoint.href}: no complete answer came (${code})`)
  })

  it.each([
    'CERT_HAS_EXPIRED',
    'ERR_TLS_CERT_ALTNAME_INVALID',
    'SELF_SIGNED_CERT_IN_CHAIN',
    'DEPTH_ZERO_SELF_SIGNED_CERT',
    'UNABLE_TO_VERIFY_LEAF_SIGNATURE',
  ])('for %s pauses a minute at least (broker.md section 5)', (code) => {
    const { error } = exchangeBroken(endpoint, withCode(code))
    expect(error.facts).toMatchObject({ tls: true, retry_after_ms: 60_000, network_code: code })
    expect(error.message).toBe(`${endpoint.href}: the certificate is not valid (${code})`)
  })
})
