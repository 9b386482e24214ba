import { describe, expect, it } from 'vitest'
import { cloudOutage, credentialsOf, openCloudSurface } from '../../../test/support/cloud-surface-room.ts'
import { settled } from '../../../test/support/fake-clock.ts'
import { RawClient } from '../../../test/support/raw-http.ts'
import { request } from '../../../test/support/workload-room.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import { awsContainer } from './aws-container.ts'
import { credentialSurface } from './cloud-credentials.ts'

/** A room whose cloud answers when the test lets it; `get` is the request of the consumer `shop`. */
async function openHeld() {
  const room = await openCloudSurface(awsContainer)
  const waiting: ((parts: Partial<CloudCredentials> | Error) => void)[] = []
  room.cloud.give = () =>
    new Promise((resolve, reject) => {
      waiting.push((parts) => (parts instanceof Error ? reject(parts) : resolve(parts)))
    })
  const get = request('GET', '/aws/shop', ['Host: 127.0.0.1:1', `Authorization: ${room.texts.shop}`])
  const untilAsked = async (count: number) => {
    while (room.obtained.length < count) await settled(1)
    await settled(5)
  }
  const release = (parts: Partial<CloudCredentials> | Error = {}) => {
    for (const answer of waiting.splice(0)) answer(parts)
  }
  return { ...room, get, untilAsked, release, client: new RawClient(room.path) }
}

describe('credentials of a cloud role', () => {
  it('are not given to who lost the right to them while they were fetched (API-69)', async () => {
    const { client, get, untilAsked, release, takeRight, events } = await openHeld()
    client.write(get)
    await untilAsked(1)
    takeRight()
    release()
    const [answer] = await client.answers(1)
    expect([answer?.status, answer?.headers['attestd-error']]).toEqual([403, 'policy_denied'])
    expect(client.received).not.toMatch(/\bsecret\b/)
    expect(events.filter(({ event }) => event === 'credentials_served')).toEqual([])
    client.destroy()
  })

  it('are not given to who lost the right while an earlier answer of the connection was awaited (API-69)', async () => {
    const { client, get, untilAsked, release, takeRight } = await openHeld()
    client.write(get + get)
    await untilAsked(2)
    takeRight()
    release()
    const answers = await client.answers(2)
    expect(answers.map(({ status }) => status)).toEqual([403, 403])
    client.destroy()
  })

  it('are asked for again when an earlier answer had to be waited for: they may be worthless by then', async () => {
    const { client, get, untilAsked, release, cloud, obtained } = await openHeld()
    client.write(get)
    await untilAsked(1)
    const held = cloud.give
    cloud.give = async () => ({ accessKeyId: 'KEY-OLD' })
    client.write(get)
    await untilAsked(2)
    cloud.give = async () => ({ accessKeyId: 'KEY-NEW' })
    release()
    const answers = await client.answers(2)
    expect(answers.map(({ body }) => JSON.parse(body).AccessKeyId)).toEqual(['KEY-shop', 'KEY-NEW'])
    expect([obtained.length, held === cloud.give]).toEqual([3, false])
    client.destroy()
  })

  it.each([
    [59, 504],
    [60, 200],
  ])('with %i s left when they would be written are answered %i', async (leftS, status) => {
    const { ask, cloud, texts, clock } = await openCloudSurface(awsContainer)
    cloud.give = async () => ({ expiresAt: Math.floor(clock.now() / 1000) + leftS })
    const answer = await ask('/aws/shop', [`Authorization: ${texts.shop}`])
    expect(answer.status).toBe(status)
    expect(answer.body.includes('secret/of')).toBe(status === 200)
  })

  it('are not waited for longer than 15 s and a little', async () => {
    const { client, get, untilAsked, clock, obtained } = await openHeld()
    client.write(get)
    await untilAsked(1)
    await clock.advance(15_049)
    expect([client.received, obtained[0]?.signal.aborted]).toEqual(['', false])
    await clock.advance(1)
    const [answer] = await client.answers(1)
    expect([answer?.status, answer?.headers['attestd-error']]).toEqual([504, 'deadline_exceeded'])
    expect(obtained[0]?.signal.aborted).toBe(true)
    client.destroy()
  })

  it('are not waited for by a caller that has gone (API-34)', async () => {
    const { client, get, untilAsked, obtained, clock } = await openHeld()
    client.write(get)
    await untilAsked(1)
    client.destroy()
    while (!obtained[0]?.signal.aborted) await clock.advance(50)
    expect(clock.monotonic()).toBeLessThan(16_000)
  })

  it('are not asked for where the role lives longer than the rule allows (API-64)', async () => {
    const { ask, texts, obtained } = await openCloudSurface((settings) =>
      awsContainer({ ...settings, consumers: settings.consumers.map((one) => ({ ...one, lifetimeS: 3601 })) }),
    )
    const answer = await ask('/aws/shop', [`Authorization: ${texts.shop}`])
    expect([answer.status, answer.headers['attestd-error'], obtained]).toEqual([403, 'policy_denied', []])
  })

  it('are told to observers without what they are (API-110)', async () => {
    const { ask, texts, events, log } = await openCloudSurface(awsContainer)
    await ask('/aws/shop', [`Authorization: ${texts.shop}`])
    expect(events.filter(({ event }) => event === 'credentials_served')).toEqual([
      {
        event: 'credentials_served',
        listener: 'tcp:aws_container',
        caller: expect.objectContaining({ uid: 1001 }),
        consumer: 'shop',
        issuer: 'local',
        audience: ['https://a.example'],
        expiresAt: Date.UTC(2026, 0, 1, 1) / 1000,
      },
    ])
    const told = JSON.stringify(events) + log.lines.join()
    for (const text of [texts.shop, ...Object.values(credentialsOf('shop'))]) expect(told).not.toContain(text)
  })

  it('are nobody else’s after a failure: the error is told, and nothing of an earlier answer', async () => {
    const { ask, texts, cloud } = await openCloudSurface(awsContainer)
    const authorization = [`Authorization: ${texts.shop}`]
    expect((await ask('/aws/shop', authorization)).status).toBe(200)
    cloud.give = () => Promise.reject(cloudOutage())
    const answer = await ask('/aws/shop', authorization)
    expect([answer.status, answer.body.includes('KEY')]).toEqual([503, false])
  })

  it('of a consumer with a secret and no role are a fault of the agent', async () => {
    const { ask, log } = await openCloudSurface((settings) =>
      credentialSurface(
        {
          listener: 'tcp:aws_container',
          path: '/aws/{consumer}',
          requireConsumer: () => 'nobody',
          encodeCredentials: () => '',
          encodeError: ({ status, code }) => ({ status, type: 'text/plain', body: code }),
        },
        settings,
      ),
    )
    expect((await ask('/aws/shop')).body).toBe('internal')
    expect(log.lines.join()).toContain('TypeError')
  })
})
