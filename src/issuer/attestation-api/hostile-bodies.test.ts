import fc from 'fast-check'
import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { makeVerifierRig, type VerifierRig } from '../../../test/support/verifier-rig.ts'
import { toBase64, toBase64url } from '../../base/bytes.ts'
import { createVerifierServer } from './verifier-server.ts'

let rig: VerifierRig
let app: FastifyInstance
let quote: Uint8Array
const reportData = new Uint8Array(64).fill(6)
/** Header and body of a quote of version 4. */
const signedSize = 632

beforeAll(async () => {
  rig = await makeVerifierRig(new FakeClock(undefined, 1))
  quote = rig.simulator.quote({ reportData })
  app = createVerifierServer(rig.options({ allowUnbound: true, rate: { perS: 1e9, burst: 1e9 } }))
})
afterAll(() => app.close())

const anyMember = fc.oneof(
  fc.jsonValue(),
  fc.base64String(),
  fc.string(),
  fc.constantFrom('tdx', 'AAAA', null, {}, [], ''),
)
const changedQuote = fc
  .record({ at: fc.nat(), value: fc.nat(255), cut: fc.option(fc.nat()) })
  .map(({ at, value, cut }) => {
    const bytes = quote.with(at % quote.length, value)
    return toBase64(cut === null ? bytes : bytes.subarray(0, cut % bytes.length))
  })
const anyInner = fc.record(
  {
    quote: fc.oneof({ weight: 3, arbitrary: changedQuote }, { weight: 1, arbitrary: anyMember }),
    cc_eventlog: fc.oneof(anyMember, fc.uint8Array({ maxLength: 300 }).map(toBase64)),
    aa_eventlog: anyMember,
    gpu_evidence: anyMember,
    hints: fc.oneof(anyMember, fc.record({ simulated: fc.oneof(fc.boolean(), anyMember) })),
  },
  { requiredKeys: ['quote'] },
)
const encoded = anyInner.map((inner) => toBase64url(Buffer.from(JSON.stringify(inner))))
const anyRuntime = fc.oneof(
  anyMember,
  fc.record(
    {
      raw: fc.oneof(anyMember, fc.constant(toBase64url(reportData))),
      structured: fc.oneof(
        anyMember,
        fc.record({ challenge_token: anyMember, nonce: anyMember }, { requiredKeys: [] }),
      ),
    },
    { requiredKeys: [] },
  ),
)
const anyInit = fc.oneof(
  anyMember,
  fc.record(
    {
      init_data_digest: fc.oneof(anyMember, fc.uint8Array({ maxLength: 70 }).map(toBase64url)),
      init_data_toml: fc.oneof(anyMember, fc.constantFrom('a = 1', '[data]', 'a.b.c = {}', '[[x]]\n[x.y]')),
      raw: anyMember,
      structured: anyMember,
    },
    { requiredKeys: [] },
  ),
)
const anyRequest = fc.record(
  {
    tee: fc.oneof({ weight: 9, arbitrary: fc.constant('tdx') }, { weight: 1, arbitrary: anyMember }),
    evidence: fc.oneof({ weight: 9, arbitrary: encoded }, { weight: 1, arbitrary: anyMember }),
    runtime_data: anyRuntime,
    runtime_data_hash_algorithm: fc.oneof(anyMember, fc.constantFrom('sha256', 'sha384', 'sha512')),
    init_data: anyInit,
    init_data_hash_algorithm: fc.oneof(anyMember, fc.constant('sha256')),
    policy_ids: anyMember,
    additional_data: anyMember,
  },
  { requiredKeys: ['tee', 'evidence'] },
)
const anyBody = fc.oneof(
  anyRequest.map((request) => Buffer.from(JSON.stringify(request))),
  fc.array(anyRequest, { maxLength: 3 }).map((all) => Buffer.from(JSON.stringify({ verification_requests: all }))),
  fc.json({ maxDepth: 4 }).map((text) => Buffer.from(text)),
  fc.uint8Array({ maxLength: 300 }).map((bytes) => Buffer.from(bytes)),
)

const answers = [200, 400, 401, 422]

describe('whatever the body is', () => {
  it('the attestation answers, and nothing is a bug', async () => {
    await fc.assert(
      fc.asyncProperty(anyBody, async (payload) => {
        const { statusCode } = await app.inject({ method: 'POST', url: '/v1/attestation', payload })
        expect(answers).toContain(statusCode)
        expect(rig.bugs).toEqual([])
      }),
      { numRuns: 800 },
    )
  })

  it('a token is only given for what was signed', async () => {
    const runtime_data = { raw: toBase64url(reportData) }
    const signed = toBase64(quote.subarray(0, signedSize))
    const payloadOf = (text: string) => {
      const evidence = toBase64url(Buffer.from(JSON.stringify({ quote: text })))
      return JSON.stringify({ tee: 'tdx', evidence, runtime_data })
    }
    const post = (text: string) => app.inject({ method: 'POST', url: '/v1/attestation', payload: payloadOf(text) })
    expect((await post(toBase64(quote))).statusCode).toBe(200)
    await fc.assert(
      fc.asyncProperty(changedQuote, async (text) => {
        const { statusCode } = await post(text)
        const isSigned = toBase64(Buffer.from(text, 'base64').subarray(0, signedSize)) === signed
        expect(isSigned || statusCode !== 200).toBe(true)
      }),
      { numRuns: 300 },
    )
  })

  it('a challenge is given or not, and nothing is a bug', async () => {
    await fc.assert(
      fc.asyncProperty(anyBody, async (payload) => {
        const { statusCode } = await app.inject({ method: 'POST', url: '/challenge', payload })
        expect([200, 400]).toContain(statusCode)
        expect(rig.bugs).toEqual([])
      }),
      { numRuns: 300 },
    )
  })

  it('the headers may be anything as well', async () => {
    const header = fc.stringMatching(/^[\x20-\x7e]{0,40}$/)
    const headers = fc.record(
      {
        'content-type': fc.oneof(header, fc.constant('application/json')),
        'content-encoding': fc.oneof(header, fc.constantFrom('gzip', 'identity')),
        origin: header,
        'x-forwarded-for': header,
        'content-length': fc.oneof(header, fc.nat().map(String)),
      },
      { requiredKeys: [] },
    )
    await fc.assert(
      fc.asyncProperty(anyBody, headers, async (payload, given) => {
        const { statusCode } = await app.inject({ method: 'POST', url: '/attestation', payload, headers: given })
        expect([...answers, 413, 415]).toContain(statusCode)
        expect(rig.bugs).toEqual([])
      }),
      { numRuns: 400 },
    )
  })
})
