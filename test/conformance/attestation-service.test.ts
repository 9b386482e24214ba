import type { FastifyInstance } from 'fastify'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { freePort } from '../../mocks/demo/free-port.ts'
import { embeddedErrors } from '../../src/agent/embedded/errors.ts'
import { attestationErrors } from '../../src/issuer/attestation-api/errors.ts'
import type { TdVerifier } from '../../src/issuer/attestation-api/ports.ts'
import { createVerifierServer } from '../../src/issuer/attestation-api/verifier-server.ts'
import { requireIssuerUrl } from '../../src/issuer/issuer-url.ts'
import { createBroker } from '../../src/passport/broker.ts'
import { type AlibabaSourceOptions, createAlibabaSource } from '../../src/passport/remote/alibaba-source.ts'
import { createAttestationTransport } from '../../src/passport/remote/undici-transport.ts'
import type { TokenRequest } from '../../src/results/token-request.ts'
import { countingRandom } from '../support/issuing.ts'
import { makeVerifierRig, type VerifierRig } from '../support/verifier-rig.ts'

/** Our client of the hosted service, at the service that this project holds: one protocol, two ends. */
let rig: VerifierRig
let app: FastifyInstance
let issuer: string
/** Asked in place of the real one. */
let instead: TdVerifier | null = null

beforeAll(async () => {
  rig = await makeVerifierRig()
  const port = await freePort()
  issuer = requireIssuerUrl(`http://127.0.0.1:${port}`, { allowLoopbackHttp: true })
  const verifier: TdVerifier = { verify: (asked, signal) => (instead ?? rig.verifier).verify(asked, signal) }
  app = createVerifierServer(rig.options({ issuer, verifier }))
  await app.listen({ host: '127.0.0.1', port })
})
afterEach(() => {
  instead = null
})
afterAll(() => app.close())

const quiet = () => new AbortController().signal

function source(change: Partial<AlibabaSourceOptions> = {}) {
  return createAlibabaSource({
    ...{ name: 'own', generation: 1, issuer, allowLoopbackHttp: true, allowSimulated: true },
    transport: createAttestationTransport(),
    collectTdx: async (reportData) => ({
      quote: rig.simulator.quote({ reportData }),
      ccEventLog: null,
      simulated: true,
    }),
    ...{ clock: rig.clock, random: countingRandom() },
    ...change,
  })
}

function request(change: Partial<TokenRequest> = {}): TokenRequest {
  const shape = { issuer: 'own', tokenType: 'OIDC', nonces: [], ttlS: null, policyIds: [], cnf: null } as const
  return { ...shape, audience: [issuer], fresh: false, ...change }
}

describe('our own client at our own service', () => {
  it('obtains a token and accepts it, by the keys that discovery leads to', async () => {
    const one = source()
    const token = await one.obtainToken(request(), quiet())
    const accepted = await one.acceptToken(token, request())
    expect(accepted).toMatchObject({ issuer, audience: [issuer], issuedAt: rig.clock.now() / 1000 })
  })

  it('is served through the broker', async () => {
    const broker = createBroker({ sources: [source()], clock: rig.clock, random: countingRandom() })
    const demand = { minValidS: null, timeoutMs: 20_000, caller: 'uid:0' }
    const { source: where } = await broker.obtainToken(request(), demand, quiet())
    expect(where).toBe('issued')
  })

  it.each([
    [
      'a TD in debug mode: a verdict',
      (reportData: Uint8Array) => rig.simulator.quote({ reportData, tdAttributes: new Uint8Array(8).with(0, 1) }),
      { code: 'issuer_rejected', facts: { upstream_code: 'AS.EVIDENCE.VERIFICATION_FAILED' } },
    ],
    [
      'a quote that was changed on its way: a verdict',
      (reportData: Uint8Array) => rig.simulator.quote({ reportData }).with(300, 1),
      { code: 'issuer_rejected', facts: { upstream_code: 'AS.EVIDENCE.VERIFICATION_FAILED' } },
    ],
  ])('understands the refusal of %s', async (_, make, expected) => {
    const collectTdx = async (reportData: Uint8Array) => ({
      quote: make(reportData),
      ccEventLog: null,
      simulated: true,
    })
    await expect(source({ collectTdx }).obtainToken(request(), quiet())).rejects.toMatchObject(expected)
  })

  it.each([
    [embeddedErrors.error('AS.POLICY.DENIED', 'policy p: a rule denies'), 'issuer_rejected'],
    [attestationErrors.error('AS.DEPENDENCY.UNAVAILABLE', 'no collateral'), 'issuer_unavailable'],
    [attestationErrors.error('AS.DEPENDENCY.BAD_RESPONSE', 'bad collateral'), 'issuer_unavailable'],
    [attestationErrors.error('AS.SERVICE.OVERLOADED', 'too much'), 'issuer_unavailable'],
    [new TypeError('a bug'), 'issuer_misconfigured'],
  ])('understands %s: %s', async (error, code) => {
    instead = { verify: () => Promise.reject(error) }
    const upstream_code = 'code' in error ? error.code : 'AS.INTERNAL.ERROR'
    await expect(source().obtainToken(request(), quiet())).rejects.toMatchObject({ code, facts: { upstream_code } })
  })
})
