import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AttestdError } from '../../src/base/errors.ts'
import { parseJsonObject } from '../../src/base/json.ts'
import { chooseMedia } from './accept.ts'
import { parseEvidenceParameters } from './evidence-parameters.ts'
import { parseQuery } from './query.ts'
import { parseTokenParameters, tokenQueryForms } from './token-parameters.ts'

const isProblem = (work: () => unknown) => {
  try {
    work()
  } catch (error) {
    expect(error).toBeInstanceOf(AttestdError)
    expect((error as AttestdError).status).toBe(400)
  }
}

describe('members of any form', () => {
  const anyMembers = fc.dictionary(
    fc.constantFrom(
      ...Object.keys(tokenQueryForms),
      'nonces',
      'cnf',
      'challenge',
      'profile',
      'devices',
      'verifier',
      '__proto__',
    ),
    fc.oneof(
      fc.jsonValue(),
      fc.constantFrom(0, 60, 'OIDC', 'raw', true, 'nonce-0001', ['nonce-0001'], ['tpm'], { jwk: { kty: 'EC' } }),
    ),
  )

  it('are parameters or a 400', () => {
    fc.assert(
      fc.property(anyMembers, (members) => {
        const text = JSON.stringify(members)
        isProblem(() => parseTokenParameters(parseJsonObject(text, 'body')))
        isProblem(() => parseEvidenceParameters(parseJsonObject(text, 'body')))
      }),
      { numRuns: 5000 },
    )
  })

  it('are read from any query or refused with a 400', () => {
    const piece = fc.oneof(
      fc.constantFrom('audience=', 'fresh=', 'ttl_s=', '&', '=', '%', '+', '%41', 'true', '60', '%C3%A9', '\xff', ' '),
      fc.string({ maxLength: 4 }),
    )
    fc.assert(
      fc.property(fc.array(piece, { maxLength: 12 }), (pieces) => {
        isProblem(() => parseTokenParameters(parseQuery(pieces.join(''), tokenQueryForms)))
      }),
      { numRuns: 5000 },
    )
  })

  it('a query reads as URLSearchParams reads it, wherever it is accepted', () => {
    fc.assert(
      fc.property(
        fc.array(fc.string({ minLength: 1, unit: 'grapheme' }), { minLength: 1, maxLength: 4 }),
        (audiences) => {
          const query = new URLSearchParams(
            audiences.map((audience): [string, string] => ['audience', audience]),
          ).toString()
          expect(parseQuery(query, tokenQueryForms)['audience']).toEqual(audiences)
        },
      ),
    )
  })

  it('any Accept is chosen from or refused', () => {
    fc.assert(
      fc.property(fc.string(), fc.constantFrom('', ', application/json', ';q=0.3,*/*;q=0.1'), (start, end) => {
        expect([null, 'application/jwt', 'text/plain; charset=us-ascii', 'application/json']).toContain(
          chooseMedia(start + end),
        )
      }),
    )
  })
})
