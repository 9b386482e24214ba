import type { FastifyInstance } from 'fastify'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { settled } from '../../../test/support/fake-clock.ts'
import { evidenceText, makeVerifierRig, type VerifierRig } from '../../../test/support/verifier-rig.ts'
import type { JsonObject } from '../../base/json.ts'
import { hashStructuredData } from '../../evidence/runtime-data.ts'
import type { TdVerification } from './ports.ts'
import { createVerifierServer, type VerifierServerOptions } from './verifier-server.ts'

let rig: VerifierRig
let app: FastifyInstance
const heard: TdVerification[] = []
let hold: Promise<void> | null = null

beforeAll(async () => {
  rig = await makeVerifierRig()
  app = serverWith({})
})
afterAll(() => app.close())

function serverWith(change: Partial<VerifierServerOptions>): FastifyInstance {
  const verifier: VerifierServerOptions['verifier'] = {
    verify: async (request, signal) => {
      heard.push(request)
      await hold
      return rig.verifier.verify(request, signal)
    },
  }
  return createVerifierServer(rig.options({ verifier, rate: { perS: 1000, burst: 1000 }, ...change }))
}

async function challenge(url = '/challenge', payload?: string): Promise<{ nonce: string; jwt: string }> {
  const answer = await app.inject({ method: 'POST', url, ...(payload === undefined ? {} : { payload }) })
  expect([answer.statusCode, answer.headers['cache-control']]).toEqual([200, 'no-store'])
  const { nonce, 'extra-params': extra, ...others } = answer.json()
  expect([Object.keys(extra), others]).toEqual([['jwt'], {}])
  return { nonce, jwt: extra.jwt }
}

/** Status, and the code of a refusal. */
async function attest(structured: JsonObject, to = app, change: { readonly reportData?: Uint8Array } = {}) {
  const quote = rig.simulator.quote({ reportData: change.reportData ?? hashStructuredData(structured) })
  const payload = JSON.stringify({ tee: 'tdx', evidence: evidenceText(quote), runtime_data: { structured } })
  const { statusCode, body } = await to.inject({ method: 'POST', url: '/attestation', payload })
  return statusCode === 200 ? '200' : `${statusCode} ${JSON.parse(body).code}`
}

const used = '401 AS.CHALLENGE.INVALID_TOKEN'

describe('challenges (SVC-30 to SVC-33)', () => {
  it.each(['/challenge', '/v1/challenge', '/api/attestation-service/challenge'])(
    'are served at %s (SVC-32)',
    async (url) => {
      for (const payload of [undefined, '{}', '{"tee":"tdx","more":1}']) await challenge(url, payload)
    },
  )

  it.each([
    ['{"tee":"tpm"}', 'AS.REQUEST.UNSUPPORTED_TEE'],
    ['{', 'AS.REQUEST.INVALID_JSON'],
    ['[]', 'AS.REQUEST.INVALID_JSON'],
  ])('are not given for %s', async (payload, code) => {
    const answer = await app.inject({ method: 'POST', url: '/challenge', payload })
    expect([answer.statusCode, answer.json().code]).toEqual([400, code])
  })

  it('are good for one token, which is fresh by them (SVC-30)', async () => {
    const { nonce, jwt } = await challenge()
    const structured = { challenge_token: jwt, nonce, key: 'k' }
    expect(await attest(structured)).toBe('200')
    expect(heard.at(-1)?.freshness).toBe('challenge')
    expect(await attest(structured)).toBe(used)
    expect(await attest({ challenge_token: jwt })).toBe(used)
  })

  it('are good for one of two tokens that are asked for at once', async () => {
    const structured = { challenge_token: (await challenge()).jwt }
    let release = () => {}
    hold = new Promise((resolve) => (release = resolve))
    const before = heard.length
    const both = [attest(structured), attest(structured)]
    while (heard.length < before + 2) await new Promise((resolve) => setImmediate(resolve))
    release()
    hold = null
    expect((await Promise.all(both)).sort()).toEqual(['200', used])
  })

  it('are not used up by evidence that is refused', async () => {
    const structured = { challenge_token: (await challenge()).jwt }
    expect(await attest(structured, app, { reportData: new Uint8Array(64) })).toBe('422 AS.EVIDENCE.BINDING_MISMATCH')
    expect(await attest(structured)).toBe('200')
  })

  it('are not used up by an appraisal that nobody waits for any more', async () => {
    const structured = { challenge_token: (await challenge()).jwt }
    let release = () => {}
    hold = new Promise((resolve) => (release = resolve))
    const [before, asked] = [heard.length, rig.asked()]
    const late = attest(structured)
    while (heard.length === before) await new Promise((resolve) => setImmediate(resolve))
    await rig.clock.advance(30_000)
    expect(await late).toBe('503 AS.SERVICE.OVERLOADED')
    release()
    hold = null
    while (rig.asked() === asked) await new Promise((resolve) => setImmediate(resolve))
    await settled()
    expect(await attest(structured)).toBe('200')
  })

  it('are not used up where no token can be signed', async () => {
    const structured = { challenge_token: (await challenge()).jwt }
    let published = false
    const keys = {
      ...{ jwks: () => rig.keys.jwks(), algorithms: () => rig.keys.algorithms() },
      signingKey: () => rig.keys.signingKey('RS256'),
      isPublished: () => published,
    }
    const other = serverWith({ keys })
    expect(await attest(structured, other)).toBe('503 AS.DEPENDENCY.UNAVAILABLE')
    published = true
    expect(await attest(structured, other)).toBe('200')
    await other.close()
  })

  it('bind only what carries them: a nonce alone is a nonce (SVC-32)', async () => {
    const { nonce } = await challenge()
    expect(await attest({ nonce })).toBe('200')
    expect(heard.at(-1)?.freshness).toBe('nonce')
  })

  it.each([
    ['another nonce', { nonce: 'AAAA' }],
    ['a nonce that is null', { nonce: null }],
  ])('are refused with %s beside them', async (_, more) => {
    expect(await attest({ challenge_token: (await challenge()).jwt, ...more })).toBe(used)
  })

  it.each([['x'], [null], [7]])('are not %j, and the verifier is not asked (SVC-44)', async (token) => {
    const before = heard.length
    expect(await attest({ challenge_token: token })).toBe(used)
    expect(heard).toHaveLength(before)
  })

  it('are looked at before the quote is (SVC-44)', async () => {
    const expected = { reportData: new Uint8Array(64) }
    expect(await attest({ challenge_token: 'x' }, app, expected)).toBe(used)
  })
})
