import { describe, expect, it } from 'vitest'
import { FakeClock, settled } from '../../test/support/fake-clock.ts'
import { RawClient } from '../../test/support/raw-http.ts'
import { openRoom, openRules, policyFrom, post, request } from '../../test/support/workload-room.ts'
import type { CallerPolicy } from '../policies/caller-policy.ts'

/** Requests that were sent ahead on one connection, and what changes before their turn comes. */

const nonces = ['nonce-0001']
const held = post('/v1/token', { nonces })
const plain = request('GET', '/v1/token')
const [payments] = openRules
const rule = (allow: object) => policyFrom([{ ...payments, allow: { ...payments?.allow, ...allow } }])()

async function openHeldRoom(parts: Parameters<typeof openRoom>[0] = {}) {
  let policy: CallerPolicy = policyFrom(openRules)()
  const room = await openRoom({ ...parts, policy: () => policy })
  const waiting: (() => void)[] = []
  room.provider.answer = ({ nonces: bound }) =>
    bound.length === 0 ? Promise.resolve({}) : new Promise((resolve) => waiting.push(() => resolve({})))
  /** Waits until so many were asked for, which is when those sent ahead have been decided on. */
  const untilAsked = async (count: number) => {
    while (room.provider.asked.length < count) await settled(1)
    await settled(5)
  }
  return {
    ...room,
    untilAsked,
    /** Lets all tokens with nonces come that were asked for. */
    release: () => {
      for (const answer of waiting.splice(0)) answer()
    },
    setPolicy: (next: CallerPolicy) => {
      policy = next
    },
  }
}

const codeOf = ({ body }: { body: string }) => JSON.parse(body).code

describe('a right that is taken away', () => {
  it('is gone for requests whose answer waits behind another one', async () => {
    const room = await openHeldRoom()
    const client = new RawClient(room.path).write(held + plain)
    await room.untilAsked(2)
    room.setPolicy(rule({ audiences: ['urn:else'], nonce: 'allow' }))
    room.release()
    const answers = await client.answers(2)
    expect(answers.map(({ status }) => status)).toEqual([403, 403])
    expect(answers.map(codeOf)).toEqual(['policy_denied', 'policy_denied'])
    expect(client.received).not.toContain('eyJ')
    client.destroy()
  })

  it.each<[string, object, number]>([
    ['nonces', { nonce: 'forbid' }, 403],
    ['the audience', { audiences: ['urn:else'] }, 403],
    ['the method', { methods: ['explain'] }, 403],
    ['a life that long', { ttl_s_max: 600 }, 409],
    ['nothing that this request needs', { fresh: false, min_valid_s_max: 1 }, 200],
  ])('while the token is issued: %s', async (_, allow, status) => {
    const room = await openHeldRoom()
    const client = new RawClient(room.path).write(held)
    await room.untilAsked(1)
    room.setPolicy(rule(allow))
    room.release()
    const [answer] = await client.answers(1)
    expect(answer?.status).toBe(status)
    expect(client.received.includes('eyJ')).toBe(status === 200)
    client.destroy()
  })

  it('while evidence is collected: it is not handed out', async () => {
    let collected: () => void = () => undefined
    let began = false
    const collectEvidence = () => {
      began = true
      return new Promise<string>((resolve) => {
        collected = () => resolve('{"evidence":"quote"}')
      })
    }
    const room = await openHeldRoom({ collectEvidence })
    const client = new RawClient(room.path).write(post('/v1/evidence', { challenge: 'AAECAwQFBgc' }))
    while (!began) await settled(1)
    room.setPolicy(rule({ methods: ['token'] }))
    collected()
    const [answer] = await client.answers(1)
    expect([answer?.status, codeOf(answer ?? { body: '{}' })]).toEqual([403, 'policy_denied'])
    expect(client.received).not.toContain('"quote"')
    client.destroy()
  })
})

describe('a token that was at hand when a request came ahead of its turn', () => {
  it('is asked for again when the turn comes: what the broker dropped meanwhile is not written', async () => {
    const room = await openHeldRoom()
    const client = new RawClient(room.path).write(held + plain)
    await room.untilAsked(2)
    room.provider.answer = async () => ({ token: 'eyJuZXc.bmV3.bmV3', generation: 8 })
    room.release()
    const [, second] = await client.answers(2)
    expect([second?.status, second?.body]).toEqual([200, 'eyJuZXc.bmV3.bmV3'])
    client.destroy()
  })

  it('with nonces is of this request alone, and is not made twice', async () => {
    const room = await openHeldRoom()
    const client = new RawClient(room.path).write(held + post('/v1/token', { nonces: ['nonce-0002'] }))
    await room.untilAsked(2)
    room.release()
    const answers = await client.answers(2)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(room.provider.asked.map(({ request: { nonces: asked } }) => asked)).toEqual([['nonce-0001'], ['nonce-0002']])
    client.destroy()
  })

  it('is given out of the cache even when the time of the request went by behind another one', async () => {
    const clock = new FakeClock()
    const room = await openHeldRoom({ clock })
    const client = new RawClient(room.path).write(held + post('/v1/token', { timeout_ms: 1 }))
    await room.untilAsked(2)
    await clock.advance(10)
    room.release()
    const answers = await client.answers(2)
    expect(answers.map(({ status }) => status)).toEqual([200, 200])
    expect(room.provider.asked[2]?.demand.timeoutMs).toBe(1)
    client.destroy()
  })
})
