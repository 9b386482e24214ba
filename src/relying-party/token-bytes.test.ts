import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { processorMs } from '../../test/support/processor-time.ts'
import { attestdPayload, createTestIssuer, tokenNow } from '../../test/support/test-issuer.ts'
import { MalformedError } from '../base/errors.ts'
import { DistrustedError } from './errors.ts'
import { createTokenVerifier } from './token-verifier.ts'

const issuers = [createTestIssuer('ES256'), createTestIssuer('RS256'), createTestIssuer('EdDSA')]
const alphabet = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789-_'

const verifierOf = (issuer: (typeof issuers)[number]) =>
  createTokenVerifier({
    issuer: 'https://verifier.test',
    audience: 'https://rp.test',
    keys: { jwks: { keys: [issuer.jwk] } },
    tee: ['acstdxnvgpu'],
    measurements: null,
    clientId: 'client-1',
    clock: new FakeClock(tokenNow * 1000),
  })

/** The class of the refusal; fails the test for acceptance, other errors and slowness. */
async function refusalOf(verifier: ReturnType<typeof verifierOf>, token: string): Promise<'malformed' | 'distrusted'> {
  const start = processorMs()
  const error = await verifier.accept(token).then(
    () => new Error('was accepted'),
    (thrown: unknown) => thrown,
  )
  expect(processorMs() - start).toBeLessThan(1000)
  if (error instanceof MalformedError) return 'malformed'
  if (error instanceof DistrustedError) return 'distrusted'
  throw error
}

describe('any change of a valid token is refused, with one of two errors, at once', () => {
  it.each(issuers)('$alg: another character at every place', async (issuer) => {
    const verifier = verifierOf(issuer)
    const token = issuer.sign(attestdPayload())
    await verifier.accept(token)
    const seen = { malformed: 0, distrusted: 0 }
    // Each place once, with a replacement that varies from place to place.
    for (let at = 0; at < token.length; at++) {
      const index = alphabet.indexOf(token[at] ?? '')
      const other = alphabet[(index + 1 + (at % 62)) % 64] ?? 'A'
      seen[await refusalOf(verifier, token.slice(0, at) + other + token.slice(at + 1))]++
    }
    expect(seen.malformed + seen.distrusted).toBe(token.length)
    expect(Math.min(seen.malformed, seen.distrusted)).toBeGreaterThan(10)
  })

  it('any character put in, taken out or replaced', async () => {
    const [issuer = createTestIssuer('ES256')] = issuers
    const verifier = verifierOf(issuer)
    const token = issuer.sign(attestdPayload())
    const edit = fc.tuple(
      fc.nat(token.length - 1),
      fc.nat(2),
      fc.string({ unit: 'binary', minLength: 0, maxLength: 3 }),
    )
    await fc.assert(
      fc.asyncProperty(edit, async ([at, removed, added]) => {
        const edited = token.slice(0, at) + added + token.slice(at + removed)
        fc.pre(edited !== token)
        await refusalOf(verifier, edited)
      }),
      { numRuns: 500 },
    )
  })

  it('any bytes as header and payload, signed or not', async () => {
    const [issuer = createTestIssuer('ES256')] = issuers
    const verifier = verifierOf(issuer)
    const json = fc.oneof(
      fc.json(),
      fc.jsonValue().map((value) => JSON.stringify({ ...attestdPayload(), tdx: value, attestd: value })),
    )
    await fc.assert(
      fc.asyncProperty(json, fc.boolean(), async (text, signed) => {
        const token = signed ? issuer.sign(text) : issuer.sign(attestdPayload(), text)
        // A payload whose changes no rule looks at may be accepted; every refusal has one of the two classes.
        const accepted = await verifier.accept(token).then(
          () => true,
          () => false,
        )
        if (!accepted) await refusalOf(verifier, token)
      }),
      { numRuns: 500 },
    )
  })

  it('a hostile number in runtime data is a finding, not a crash', async () => {
    const [issuer = createTestIssuer('ES256')] = issuers
    const text = JSON.stringify(attestdPayload()).replace('"purpose":"test"', '"purpose":1e999')
    const { findings } = await verifierOf(issuer).appraise(issuer.sign(text))
    expect(findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).toEqual(['token.runtimeData'])
  })
})
