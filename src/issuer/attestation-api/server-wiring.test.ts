import { PassThrough } from 'node:stream'
import type { FastifyInstance } from 'fastify'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { evidenceText, makeVerifierRig, type VerifierRig } from '../../../test/support/verifier-rig.ts'
import { toBase64url } from '../../base/bytes.ts'
import type { TdVerification } from './ports.ts'
import { createVerifierServer, type VerifierServerOptions } from './verifier-server.ts'

/** What the parts of the service are given of its options, and what stands in every answer. */

const reportData = new Uint8Array(64).fill(7)
const open: FastifyInstance[] = []
let rig: VerifierRig

beforeAll(async () => {
  rig = await makeVerifierRig()
})
afterEach(async () => {
  for (const app of open.splice(0)) await app.close()
})

function server(change: Partial<VerifierServerOptions> = {}): FastifyInstance {
  const app = createVerifierServer(rig.options(change))
  open.push(app)
  return app
}

const challenge = (app: FastifyInstance, payload = '') => app.inject({ method: 'POST', url: '/challenge', payload })

function attest(app: FastifyInstance, more: object = {}) {
  const evidence = evidenceText(rig.simulator.quote({ reportData }))
  const payload = { tee: 'tdx', evidence, runtime_data: { raw: toBase64url(reportData) }, ...more }
  return app.inject({ method: 'POST', url: '/v1/attestation', payload })
}

describe('an answer', () => {
  it.each(['/healthz', '/status', '/nowhere', '/jwks', '/challenge'])(
    'of %s is not sniffed, and is kept by nobody but where it is a document',
    async (url) => {
      const { headers } = url === '/challenge' ? await challenge(server()) : await server().inject(url)
      expect(headers['x-content-type-options']).toBe('nosniff')
      if (url !== '/jwks') expect(headers['cache-control']).toBe('no-store')
    },
  )

  it('with the keys may be kept as long as the service says', async () => {
    const { headers } = await server({ jwksMaxAgeS: 77 }).inject('/jwks')
    expect(headers['cache-control']).toContain('max-age=77')
  })

  it('about the state says whether unbound evidence is taken (AS-08)', async () => {
    expect((await server({ allowUnbound: true }).inject('/status')).json()).toMatchObject({ unbound: true })
  })
})

describe('the verifier is asked', () => {
  it('about the report data of the request, with its policies and how fresh it is', async () => {
    const asked: TdVerification[] = []
    const verify: VerifierServerOptions['verifier']['verify'] = (request, signal) => {
      asked.push(request)
      return rig.verifier.verify(request, signal)
    }
    const { statusCode } = await attest(server({ verifier: { verify } }), { policy_ids: ['b', 'a'] })
    expect([statusCode, asked]).toMatchObject([200, [{ reportData, policyIds: ['b', 'a'], freshness: 'nonce' }]])
  })
})

describe('the log hears', () => {
  it('how long a request took, from its head to its end', async () => {
    const verify: VerifierServerOptions['verifier']['verify'] = async (request, signal) => {
      await rig.clock.advance(250)
      return rig.verifier.verify(request, signal)
    }
    await attest(server({ verifier: { verify } }))
    expect(rig.events.at(-1)).toMatchObject({ status: 200, durationMs: 250 })
  })
})

describe('by default', () => {
  it('an address sends 20 requests a second, and 40 at once (SVC-43)', async () => {
    const app = server()
    for (let asked = 0; asked < 40; asked++) expect((await challenge(app)).statusCode).toBe(200)
    expect((await challenge(app)).json()).toMatchObject({
      ...{ code: 'AS.REQUEST.RATE_LIMITED', detail: expect.stringMatching(/ in 50 ms$/) },
    })
    await rig.clock.advance(100)
    expect([(await challenge(app)).statusCode, (await challenge(app)).statusCode]).toEqual([200, 200])
    expect((await challenge(app)).statusCode).toBe(429)
  })
})

describe('the memory for bodies', () => {
  it('is also that of challenges', async () => {
    const { statusCode } = await challenge(server({ mostBodyBytes: 4_000 }), `{}${' '.repeat(2_000)}`)
    expect(statusCode).toBe(503)
  })
})

describe('what never becomes a request', () => {
  /** What the server writes on a connection on which its parser found this error. */
  async function told(app: FastifyInstance, code: string): Promise<string> {
    const socket = new PassThrough()
    app.server.emit('clientError', Object.assign(new Error('x'), { code }), socket)
    return (await socket.toArray()).join('')
  }
  const problemOf = (answer: string) => JSON.parse(answer.slice(answer.indexOf('\r\n\r\n')))

  it('because its head did not come in time is answered with 408 (SVC-42)', async () => {
    const answer = await told(server(), 'ERR_HTTP_REQUEST_TIMEOUT')
    expect(answer).toMatch(/^HTTP\/1\.1 408 Request Timeout\r\nConnection: close\r\n/)
    expect(problemOf(answer)).toMatchObject({ status: 408, code: 'AS.REQUEST.TIMEOUT' })
  })

  it('is answered with as little as everything else where problems are bare (ERR-02)', async () => {
    const problem = problemOf(await told(server({ bareProblems: true }), 'HPE_INVALID_METHOD'))
    expect(Object.keys(problem).sort()).toEqual(['code', 'instance', 'status'])
  })
})
