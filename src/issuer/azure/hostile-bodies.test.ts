import { randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { administratorToken, makeAzureFacade } from '../../../test/support/azure-facade.ts'
import { rsaKey } from '../../../test/support/issuing.ts'
import { forgeJws, makePolicySigner, x5cOf } from '../../../test/support/policy-signers.ts'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { openKeyRing } from '../open-key-ring.ts'
import { createAzureAttestation } from './attest-server.ts'
import { AnswerKeys } from './azure-answers.ts'
import type { AzureApp } from './azure-server.ts'

const signer = makePolicySigner()
const bugs: unknown[] = []
let facade: Awaited<ReturnType<typeof makeAzureFacade>>
let attestation: AzureApp

beforeAll(async () => {
  facade = await makeAzureFacade()
  const { clock } = facade
  const initialKeys = [rsaKey()]
  const ring = await openKeyRing({
    purpose: 'azure-token',
    store: 'ephemeral',
    algorithms: ['RS256'],
    clock,
    initialKeys,
  })
  attestation = createAzureAttestation({
    ...{ issuer: 'https://attest.example', tls: throwAwayTls().server, keys: new AnswerKeys(ring), clock },
    appraiser: {
      appraise: async () => ({
        ...{ affirmed: false, claims: {}, simulated: null, collateral: null, pck: null },
        findings: [{ id: 'tdx.quote.form', outcome: 'failed' }],
      }),
    },
    policies: { active: async () => null },
    judge: () => null,
    rate: { perS: 1e6, burst: 1e6 },
    random: (size) => new Uint8Array(randomBytes(size)),
    onBug: (error) => bugs.push(error),
  })
})
afterAll(async () => {
  await facade.app.close()
  await attestation.close()
})

const anyJson = fc.json({ maxDepth: 4 })
const anyHeader = fc.oneof(
  anyJson,
  fc.record(
    {
      alg: fc.constantFrom('none', 'RS256', 'ES256', 'HS256', 1, null),
      x5c: fc.constantFrom(x5cOf(signer), [], [''], 'x', [1], null),
      jwk: fc.constantFrom(signer.authority.keys.publicKey.export({ format: 'jwk' }), { kty: 'EC' }, {}, 'x', null),
      crit: fc.constantFrom([], ['x']),
    },
    { requiredKeys: ['alg'] },
  ),
)
const anyPayload = fc.oneof(
  anyJson,
  fc.record({ AttestationPolicy: fc.oneof(fc.base64String(), fc.string(), fc.jsonValue()) }),
  fc.record({ policyCertificate: fc.oneof(fc.jsonValue(), fc.constant({ kty: 'EC', x5c: x5cOf(signer) })) }),
)
const anyJws = fc
  .tuple(anyHeader, anyPayload, fc.boolean())
  .map(([header, payload, isSigned]) => forgeJws(header, payload, isSigned ? signer : undefined))
const anyBody = fc.oneof(
  fc.uint8Array({ maxLength: 200 }).map((bytes) => Buffer.from(bytes)),
  fc.oneof(anyJws, anyJson, fc.string()).map((text) => Buffer.from(text)),
  anyJws.map((text) => Buffer.from(JSON.stringify(text))),
)
const member = fc.oneof(fc.jsonValue(), fc.base64String(), fc.constant('AAAA'))
const anyAttestRequest = fc.record(
  {
    quote: member,
    runtimeData: fc.oneof(
      member,
      fc.record({ data: member, dataType: fc.oneof(member, fc.constantFrom('JSON', 'Binary')) }),
    ),
    nonce: member,
    initTimeData: member,
    draftPolicyForAttestation: member,
  },
  { requiredKeys: [] },
)

describe('whatever the body is', () => {
  it('the administration answers, and nothing is a bug', async () => {
    const operations = [
      ['PUT', '/policies/TdxVm', 'text/plain'],
      ['POST', '/policies/TdxVm:reset', 'text/plain'],
      ['POST', '/certificates:add', 'application/json'],
      ['POST', '/certificates:remove', 'application/json'],
    ] as const
    await fc.assert(
      fc.asyncProperty(fc.constantFrom(...operations), anyBody, async ([method, path, type], payload) => {
        const headers = { authorization: `Bearer ${administratorToken}`, 'content-type': type }
        const { statusCode } = await facade.app.inject({
          method,
          url: `${path}?api-version=2020-10-01`,
          headers,
          payload,
        })
        expect([200, 400]).toContain(statusCode)
        expect(facade.bugs).toEqual([])
      }),
      { numRuns: 600 },
    )
    // Nothing that was made up is a policy.
    expect(await facade.policies.active('type:TdxVm')).toBeNull()
  })

  it('the attestation answers, and nothing is a bug', async () => {
    const body = fc.oneof(
      anyAttestRequest.map((request) => Buffer.from(JSON.stringify(request))),
      anyBody,
    )
    await fc.assert(
      fc.asyncProperty(body, async (payload) => {
        const headers = { 'content-type': 'application/json' }
        const url = '/attest/TdxVm?api-version=2025-06-01'
        const { statusCode } = await attestation.inject({ method: 'POST', url, headers, payload })
        expect(statusCode).toBe(400)
        expect(bugs).toEqual([])
      }),
      { numRuns: 600 },
    )
  })

  it('the path may be anything as well', async () => {
    const anyPath = fc.tuple(
      fc.constantFrom('/policies/', '/certificates', '/attest/', '/', '//', '/certs'),
      fc.oneof(fc.string(), fc.webPath(), fc.constantFrom('%', '%00', '%ff', '..', ':reset', '::')),
      fc.constantFrom('', '?api-version=2020-10-01', '?%', '?#'),
    )
    await fc.assert(
      fc.asyncProperty(
        fc.constantFrom(...(['GET', 'PUT', 'POST'] as const)),
        anyPath,
        async (method, [start, rest, query]) => {
          // What no HTTP parser lets through does not come here.
          fc.pre(/^[\x21-\x7e]*$/.test(rest) && !/^[/\\]{2}/.test(start + rest))
          const headers = { authorization: `Bearer ${administratorToken}`, 'content-type': 'text/plain' }
          const { statusCode } = await facade.app.inject({
            method,
            url: `${start}${rest}${query}`,
            headers,
            payload: 'x',
          })
          expect([200, 400, 404]).toContain(statusCode)
          expect(facade.bugs).toEqual([])
        },
      ),
      { numRuns: 400 },
    )
  })
})
