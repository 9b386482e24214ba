import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import type { BrokerEvent } from '../broker-events.ts'
import { endsCredentials } from './credentials-end.ts'
import { stsErrors } from './errors.ts'
import { RoleCredentials } from './role-credentials.ts'

interface Waiting {
  resolve(credentials: CloudCredentials): void
  reject(error: unknown): void
}

function rig() {
  const clock = new FakeClock()
  const waiting: Waiting[] = []
  const held = new RoleCredentials({
    clock,
    random: () => Uint8Array.of(255),
    obtain: () => new Promise((resolve, reject) => waiting.push({ resolve, reject })),
  })
  let made = 0
  const given = (lifeS = 3600): CloudCredentials => {
    const expiresAt = Math.floor(clock.now() / 1000) + lifeS
    return { accessKeyId: `key-${++made}`, secret: 's', securityToken: 't', expiresAt }
  }
  const obtain = (signal = new AbortController().signal) => held.obtain(signal)
  return { clock, waiting, held, given, obtain }
}

const unavailable = (facts = {}) => stsErrors.error('sts_unavailable', 'down', { facts })
const codeOf = (outcome: Promise<unknown>) =>
  outcome.then(
    () => 'given',
    (error: unknown) => (error instanceof AttestdError ? error.code : String(error)),
  )

describe('the credentials of a consumer (API-153)', () => {
  it('come from one exchange, whoever waits for it', async () => {
    const { waiting, given, obtain } = rig()
    const asked = [obtain(), obtain(), obtain()]
    expect(waiting).toHaveLength(1)
    waiting[0]?.resolve(given())
    const got = await Promise.all(asked)
    expect(new Set(got.map(({ accessKeyId }) => accessKeyId))).toEqual(new Set(['key-1']))
    await obtain()
    expect(waiting).toHaveLength(1)
  })

  it('are kept until 5 min before they expire, and not a second longer', async () => {
    const { clock, waiting, given, obtain } = rig()
    const first = obtain()
    waiting[0]?.resolve(given(3600))
    await first
    await clock.advance((3600 - 301) * 1000)
    await obtain()
    expect(waiting).toHaveLength(1)
    await clock.advance(1000)
    const second = obtain()
    expect(waiting).toHaveLength(2)
    waiting[1]?.resolve(given())
    expect((await second).accessKeyId).toBe('key-2')
  })

  it('are given out to their last minute while the service is away, and a second longer not', async () => {
    const { clock, waiting, given, obtain } = rig()
    const first = obtain()
    waiting[0]?.resolve(given(3600))
    await first
    await clock.advance(3300 * 1000)
    const during = obtain()
    waiting[1]?.reject(unavailable({ retry_after_ms: 120_000 }))
    expect((await during).accessKeyId).toBe('key-1')
    expect((await obtain()).accessKeyId).toBe('key-1')
    expect(waiting).toHaveLength(2)
    await clock.advance(240 * 1000)
    const last = obtain()
    waiting[2]?.reject(unavailable({ retry_after_ms: 120_000 }))
    expect((await last).accessKeyId).toBe('key-1')
    await clock.advance(1000)
    expect(await codeOf(obtain())).toBe('sts_unavailable')
  })

  it.each([
    ['the cloud refuses the role now', 'sts_refused'],
    ['they were declared worthless meanwhile', 'sts_unavailable'],
  ] as const)('are not given out any more, though they live, when %s', async (_, code) => {
    const { clock, waiting, held, given, obtain } = rig()
    const first = obtain()
    waiting[0]?.resolve(given(3600))
    await first
    await clock.advance(3400 * 1000)
    const outcome = codeOf(obtain())
    if (code === 'sts_unavailable') held.forget()
    waiting[1]?.reject(stsErrors.error(code, 'no'))
    expect(await outcome).toBe(code)
  })

  it('that live shorter than five minutes are not asked for by every call', async () => {
    const { clock, waiting, given, obtain } = rig()
    const first = obtain()
    waiting[0]?.resolve(given(200))
    await first
    for (let call = 0; call < 10; call++) expect((await obtain()).accessKeyId).toBe('key-1')
    expect(waiting).toHaveLength(1)
    await clock.advance(30_000)
    void obtain()
    expect(waiting).toHaveLength(2)
  })

  it('that one caller gives up are still for the others', async () => {
    const { waiting, given, obtain } = rig()
    const stop = new AbortController()
    const [quitter, other] = [obtain(stop.signal), obtain()]
    stop.abort(new Error('gone'))
    await expect(quitter).rejects.toThrow('gone')
    waiting[0]?.resolve(given())
    expect((await other).accessKeyId).toBe('key-1')
  })

  it('are not asked for again at once after a failure; 1, 2, 4 s later they are', async () => {
    const { clock, waiting, obtain } = rig()
    for (const [failures, ms] of [1_000, 2_000, 4_000].entries()) {
      const outcome = obtain()
      expect(waiting).toHaveLength(failures + 1)
      waiting[failures]?.reject(unavailable())
      expect(await codeOf(outcome)).toBe('sts_unavailable')
      const meanwhile = await obtain().catch((error: AttestdError) => error)
      expect(meanwhile).toMatchObject({ code: 'sts_unavailable', retryable: true })
      expect(waiting).toHaveLength(failures + 1)
      await clock.advance(ms)
    }
  })

  it('are left alone as long as the service asks for', async () => {
    const { clock, waiting, obtain } = rig()
    const outcome = codeOf(obtain())
    waiting[0]?.reject(unavailable({ retry_after_ms: 60_000 }))
    await outcome
    await clock.advance(59_000)
    const error = await obtain().catch((caught: AttestdError) => caught)
    expect(error).toMatchObject({ facts: { retry_after_ms: 1_000 } })
    await clock.advance(1_000)
    void codeOf(obtain())
    expect(waiting).toHaveLength(2)
  })

  it('that were declared worthless are gone, those under way too', async () => {
    const { waiting, held, given, obtain } = rig()
    const first = obtain()
    waiting[0]?.resolve(given())
    await first
    held.forget()
    const second = obtain()
    expect(waiting).toHaveLength(2)
    held.forget()
    const third = obtain()
    waiting[1]?.resolve(given())
    waiting[2]?.resolve(given())
    expect(await codeOf(second)).toBe('sts_unavailable')
    expect((await third).accessKeyId).toBe('key-3')
    expect((await obtain()).accessKeyId).toBe('key-3')
  })

  it('whose failure came too late to count are asked for at once', async () => {
    const { waiting, held, given, obtain } = rig()
    const first = codeOf(obtain())
    held.forget()
    waiting[0]?.reject(unavailable({ retry_after_ms: 60_000 }))
    expect(await first).toBe('sts_unavailable')
    const second = obtain()
    expect(waiting).toHaveLength(2)
    waiting[1]?.resolve(given())
    expect((await second).accessKeyId).toBe('key-1')
  })

  it('under way stay one exchange when an older one ends', async () => {
    const { waiting, held, given, obtain } = rig()
    const first = codeOf(obtain())
    held.forget()
    const second = obtain()
    waiting[0]?.resolve(given())
    expect(await first).toBe('sts_unavailable')
    const third = obtain()
    expect(waiting).toHaveLength(2)
    waiting[1]?.resolve(given())
    expect([(await second).accessKeyId, (await third).accessKeyId]).toEqual(['key-2', 'key-2'])
  })

  it('leave a bug a bug', async () => {
    const { waiting, obtain } = rig()
    const outcome = obtain()
    waiting[0]?.reject(new TypeError('bug'))
    await expect(outcome).rejects.toThrow(TypeError)
  })
})

describe('credentials at hand before somebody asks', () => {
  const keeping = () => {
    const stop = new AbortController()
    const parts = rig()
    return { ...parts, stop, kept: parts.held.keepFresh(stop.signal) }
  }

  it('are had at once, and again five minutes before they end', async () => {
    const { clock, waiting, given, stop, kept } = keeping()
    expect(waiting).toHaveLength(1)
    waiting[0]?.resolve(given(3600))
    await clock.advance(3299_000)
    expect(waiting).toHaveLength(1)
    await clock.advance(1_000)
    expect(waiting).toHaveLength(2)
    stop.abort('stop')
    await kept
  })

  it('with a life of less than five minutes are not asked for in a loop', async () => {
    const { clock, waiting, given, stop, kept } = keeping()
    waiting[0]?.resolve(given(120))
    await clock.advance(29_999)
    expect(waiting).toHaveLength(1)
    await clock.advance(1)
    expect(waiting).toHaveLength(2)
    stop.abort('stop')
    await kept
  })

  it('are tried for again while the service is away, and a bug ends it', async () => {
    const { clock, waiting, kept } = keeping()
    const ended = kept.catch((error: unknown) => error)
    waiting[0]?.reject(unavailable())
    await clock.advance(30_000)
    expect(waiting).toHaveLength(2)
    waiting[1]?.reject(new TypeError('bug'))
    expect(await ended).toBeInstanceOf(TypeError)
  })
})

describe('credentials end', () => {
  const origin = { issuer: 'local', audience: 'sts.amazonaws.com' }
  const attempt = (issuer: string, failure: string | null): BrokerEvent => ({
    event: 'attempt_ended',
    issuer,
    audience: ['https://other.example'],
    background: true,
    unshared: false,
    result: failure === null ? 'landed' : 'failed',
    durationMs: 1,
    token: null,
    failure: failure === null ? null : ({ class: failure, code: 'x', upstreamCode: null, check: null } as never),
  })
  const invalidated = (members: object): BrokerEvent => ({
    ...{ event: 'invalidated', issuer: null, audience: null, kid: null, hard: true, entries: 0 },
    ...members,
  })

  it.each<[string, BrokerEvent, boolean]>([
    ['with a verdict of their issuer, whatever token it was about (BRK-47)', attempt('local', 'verdict'), true],
    ['not with the verdict of another issuer', attempt('remote', 'verdict'), false],
    ['not with an outage', attempt('local', 'transport'), false],
    ['not with a success', attempt('local', null), false],
    ['with a restored snapshot (BRK-63)', { event: 'clock', kind: 'snapshot', ms: 0 }, true],
    ['not with a suspend', { event: 'clock', kind: 'suspend', ms: 5 }, false],
    ['with an issuer that says something else now', { event: 'sources_replaced', changed: ['local'] }, true],
    ['not with another issuer that does', { event: 'sources_replaced', changed: ['remote'] }, false],
    ['when everything is declared worthless', invalidated({}), true],
    ['when their audience is', invalidated({ audience: 'sts.amazonaws.com' }), true],
    ['not when another audience is', invalidated({ audience: 'other' }), false],
    ['not when another issuer is', invalidated({ issuer: 'remote' }), false],
    ['not when tokens are only to be renewed', invalidated({ hard: false }), false],
  ])('%s', (_, event, ends) => {
    expect(endsCredentials(event, origin)).toBe(ends)
  })
})
