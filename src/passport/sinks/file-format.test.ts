import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { encodeTokenFile, type FileFormat, findToken } from './file-format.ts'

const text = (format: FileFormat, token = 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln') =>
  new TextDecoder().decode(encodeTokenFile(format, { token, expiresAt: 1_700_000_000 }))
const formats: FileFormat[] = [
  { kind: 'text' },
  { kind: 'json', member: 'id_token' },
  { kind: 'envoy-secret', secret: 'token' },
]
const base64url = fc.string({ unit: fc.constantFrom(...'abzAZ059-_'), minLength: 1, maxLength: 60 })
const tokens = fc.tuple(base64url, base64url, base64url).map(([a, b, c]) => `ey${a}.${b}.${c}`)

describe('the content of a token file', () => {
  it('is the token and nothing else (BRK-110)', () => {
    expect(text({ kind: 'text' })).toBe('eyJhbGciOiJSUzI1NiJ9.e30.c2ln')
  })

  it('is an object with the token in the named member, and its end (API-156)', () => {
    const json = text({ kind: 'json', member: 'subject_token' })
    expect(json).toBe('{"subject_token":"eyJhbGciOiJSUzI1NiJ9.e30.c2ln","expires_at":1700000000}')
  })

  it('is a secret as Envoy finds it in a file (API-160)', () => {
    expect(JSON.parse(text({ kind: 'envoy-secret', secret: 'mine' }))).toEqual({
      resources: [
        {
          '@type': 'type.googleapis.com/envoy.extensions.transport_sockets.tls.v3.Secret',
          name: 'mine',
          generic_secret: { secret: { inline_string: 'eyJhbGciOiJSUzI1NiJ9.e30.c2ln' } },
        },
      ],
    })
  })

  it.each(formats)('has its token found again, exactly as it was written: $kind', (format) => {
    fc.assert(
      fc.property(tokens, fc.integer({ min: 1, max: 4_000_000_000 }), (token, expiresAt) => {
        const found = findToken(format, encodeTokenFile(format, { token, expiresAt }))
        expect(found?.token).toBe(token)
        expect(found?.isExact(expiresAt)).toBe(true)
        expect(found?.isExact(expiresAt + 1)).toBe(format.kind !== 'json')
      }),
      { numRuns: 200 },
    )
  })

  it('is found in other forms too, as not exact', () => {
    const found = findToken({ kind: 'text' }, new TextEncoder().encode('\ufeffeyJh.e30.c2ln\n'))
    expect([found?.token, found?.isExact(1)]).toEqual(['eyJh.e30.c2ln', false])
  })

  it.each([
    '',
    'hello',
    '{"id_token":"x"}',
    'type.googleapis.com/envoy.extensions.transport_sockets',
    'a.b',
    '\xff\xfe',
  ])('is no token where there is none: %j', (content) => {
    for (const format of formats) expect(findToken(format, new TextEncoder().encode(content))).toBeNull()
  })
})
