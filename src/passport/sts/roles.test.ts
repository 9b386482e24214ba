import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { AttestdError } from '../../base/errors.ts'
import type { AttestationPost } from '../remote/attestation-transport.ts'
import { assumeAlibabaRole } from './alibaba-role.ts'
import { assumeAwsRole } from './aws-role.ts'
import { requireStsEndpoint } from './role.ts'

/** The two clients of token services, answer by answer. */

const token = 'eyJhIjoxfQ.eyJiIjoyfQ.c2ln'
const secrets = ['wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY', 'IQoJb3JpZ2luX2VjEXAMPLE==']
const endpoint = requireStsEndpoint('https://sts.example', { allowLoopbackHttp: false })
const role = { endpoint, roleArn: 'arn:of:role/guest', sessionName: 'guest-1', durationS: 3600 }

type Given = Partial<Record<'AccessKeyId' | 'Secret' | 'Token' | 'Expiration', string | null>>
interface Scripted {
  readonly status?: number
  readonly body: string
  readonly retryAfter?: string
}

const values = (given: Given, clock: FakeClock): Record<string, string | null> => ({
  AccessKeyId: 'ASIAEXAMPLEKEY00',
  Secret: secrets[0] ?? '',
  Token: secrets[1] ?? '',
  Expiration: new Date(clock.now() + 3_600_000).toISOString().replace('.000', ''),
  ...given,
})

const named = (pairs: readonly (readonly [string, string | null | undefined])[]) =>
  pairs.filter((pair): pair is [string, string] => typeof pair[1] === 'string')

function awsBody(given: Given, clock: FakeClock): string {
  const { AccessKeyId, Secret, Token, Expiration } = values(given, clock)
  const members = named([
    ['AccessKeyId', AccessKeyId],
    ['SecretAccessKey', Secret],
    ['SessionToken', Token],
    ['Expiration', Expiration],
  ])
  const name = 'AssumeRoleWithWebIdentity'
  const credentials = members.map(([member, text]) => `<${member}>${text}</${member}>`).join('')
  return `<${name}Response xmlns="https://sts.amazonaws.com/doc/2011-06-15/"><${name}Result><Credentials>${credentials}</Credentials></${name}Result></${name}Response>`
}

function alibabaBody(given: Given, clock: FakeClock): string {
  const { AccessKeyId, Secret, Token, Expiration } = values(given, clock)
  const pairs = named([
    ['AccessKeyId', AccessKeyId],
    ['AccessKeySecret', Secret],
    ['SecurityToken', Token],
    ['Expiration', Expiration],
  ])
  return JSON.stringify({ RequestId: 'x', Credentials: Object.fromEntries(pairs) })
}

const services = {
  AWS: {
    body: awsBody,
    error: (code: string) =>
      `<ErrorResponse><Error><Code>${code}</Code><Message>${token}</Message></Error></ErrorResponse>`,
    refusal: 'InvalidIdentityToken',
    throttled: 'Throttling',
    assume: (parts: Parameters<typeof assumeAwsRole>[2], text = token, signal = new AbortController().signal) =>
      assumeAwsRole(role, text, parts, signal),
  },
  'Alibaba Cloud': {
    body: alibabaBody,
    error: (code: string) => JSON.stringify({ Code: code, Message: token }),
    refusal: 'AuthenticationFail.OIDCToken.Invalid',
    throttled: 'Throttling.User',
    assume: (parts: Parameters<typeof assumeAwsRole>[2], text = token, signal = new AbortController().signal) =>
      assumeAlibabaRole({ ...role, oidcProviderArn: 'arn:of:provider' }, text, parts, signal),
  },
}

describe.each(Object.entries(services))('a role of %s', (_, { body, error, refusal, throttled, assume }) => {
  const clock = new FakeClock()
  const sent: AttestationPost[] = []
  const answering = ({ status = 200, body: text, retryAfter }: Scripted) => ({
    clock,
    transport: {
      post: async (post: AttestationPost) => {
        sent.push(post)
        const bytes = new Uint8Array(Buffer.from(text))
        return { status, contentType: 'text/xml', retryAfter: retryAfter ?? null, body: bytes }
      },
    },
  })
  const refusalOf = async (scripted: Scripted, text?: string) => {
    const failure = await assume(answering(scripted), text).catch((caught: unknown) => caught)
    if (!(failure instanceof AttestdError)) throw new Error(`no refusal: ${String(failure)}`)
    const told = JSON.stringify([failure.message, failure.facts])
    for (const secret of [token, ...secrets]) expect(told).not.toContain(secret)
    return failure
  }

  it('comes with credentials for the token in the form, and never in the URL', async () => {
    const given = await assume(answering({ body: body({}, clock) }))
    expect(given).toEqual({
      accessKeyId: 'ASIAEXAMPLEKEY00',
      secret: secrets[0],
      securityToken: secrets[1],
      expiresAt: Math.floor(clock.now() / 1000) + 3600,
    })
    const { url, body: form, headers, maxBytes } = sent.at(-1) ?? {}
    expect([url?.origin, url?.href.includes(token), maxBytes]).toEqual(['https://sts.example', false, 65_536])
    expect(headers).not.toHaveProperty('authorization')
    expect(Buffer.from(form ?? []).toString()).toContain(token)
  })

  it.each<[string, Given, string]>([
    ['no key', { AccessKeyId: null }, 'no access key id'],
    ['a key with a newline', { AccessKeyId: 'ASIAEXAMPLE\n00' }, 'no access key id'],
    ['no secret', { Secret: null }, 'no secret'],
    ['an empty secret', { Secret: '' }, 'no secret'],
    ['a secret with a space', { Secret: 'a b' }, 'no secret'],
    ['no session token', { Token: null }, 'no session token'],
    ['16 385 characters of session token', { Token: 'x'.repeat(16_385) }, 'no session token'],
    ['no expiry', { Expiration: null }, 'no time of expiry'],
    ['a day that does not exist', { Expiration: '2026-02-30T00:00:00Z' }, 'no time of expiry'],
    ['a time without zone', { Expiration: '2030-01-01T00:00:00' }, 'no time of expiry'],
    ['an expiry in the past', { Expiration: '2001-01-01T00:00:00Z' }, 'have expired'],
    ['an expiry in a year', { Expiration: '2999-01-01T00:00:00Z' }, 'live longer'],
  ])('is not believed with %s', async (_case, given, says) => {
    const failure = await refusalOf({ body: body(given, clock) })
    expect([failure.code, failure.message]).toEqual(['sts_answer_invalid', expect.stringContaining(says)])
  })

  it('needs a life of 60 s, and has at most a day', async () => {
    const at = (seconds: number) => ({ Expiration: new Date(clock.now() + seconds * 1000).toISOString() })
    for (const [seconds, good] of [
      [59, false],
      [60, true],
      [86_400, true],
      [86_401, false],
    ] as const) {
      const outcome = assume(answering({ body: body(at(seconds), clock) }))
      expect(await outcome.then(() => true).catch(() => false), `${seconds} s`).toBe(good)
    }
  })

  it.each([
    ['a refusal', { status: 400, body: error(refusal) }, 'sts_refused', refusal],
    ['a refusal with 403', { status: 403, body: error('AccessDenied') }, 'sts_refused', 'AccessDenied'],
    ['a code that is no code', { status: 400, body: error('a b') }, 'sts_answer_invalid', 'HTTP_400'],
    ['throttling', { status: 400, body: error(throttled) }, 'sts_unavailable', throttled],
    ['429', { status: 429, body: '' }, 'sts_unavailable', 'HTTP_429'],
    ['500', { status: 500, body: error('InternalFailure') }, 'sts_unavailable', 'InternalFailure'],
    ['a captive portal', { status: 200, body: '<html><head></head></html>' }, 'sts_answer_invalid', 'HTTP_200'],
    ['a redirect', { status: 302, body: '' }, 'sts_answer_invalid', 'HTTP_302'],
    ['nothing', { status: 200, body: '' }, 'sts_answer_invalid', 'HTTP_200'],
    ['an error with status 200', { status: 200, body: error(refusal) }, 'sts_answer_invalid', refusal],
  ])('tells %s', async (_case, scripted, code, upstream) => {
    const failure = await refusalOf(scripted)
    expect([failure.code, failure.facts['upstream_code']]).toEqual([code, upstream])
  })

  it('passes on how long the service wants to be left alone', async () => {
    const failure = await refusalOf({ status: 503, body: '', retryAfter: '7' })
    expect([failure.retryable, failure.facts['retry_after_ms']]).toEqual([true, 7_000])
  })

  it('is not asked for with fewer than 4 or more than 20 000 characters of token (API-152, API-154)', async () => {
    const before = sent.length
    for (const size of [3, 20_001])
      expect((await refusalOf({ body: '' }, 'x'.repeat(size))).code).toBe('sts_token_size')
    expect(sent.length).toBe(before)
    for (const size of [4, 20_000]) await assume(answering({ body: body({}, clock) }), 'x'.repeat(size))
    expect(sent.length).toBe(before + 2)
  })

  it('is not waited for longer than 15 s (BRK-48)', async () => {
    const parts = { clock, transport: { post: () => new Promise<never>(() => undefined) } }
    const outcome = assume(parts).catch((caught: AttestdError) => [caught.code, caught.facts['network_code']])
    await clock.advance(15_000)
    expect(await outcome).toEqual(['sts_unavailable', 'EXCHANGE_TIMEOUT'])
  })

  it('is given up when its caller gives up', async () => {
    const stop = new AbortController()
    const parts = { clock, transport: { post: () => new Promise<never>(() => undefined) } }
    const outcome = assume(parts, token, stop.signal).catch((caught: unknown) => caught)
    stop.abort(new Error('stopping'))
    expect(await outcome).toBe(stop.signal.reason)
  })
})

describe('the endpoint of a token service', () => {
  it.each([
    ['http://sts.example', false],
    ['http://127.0.0.1:8080', false],
    ['ftp://sts.example', true],
    ['sts.example', true],
    ['https://sts.example/path', true],
    ['https://sts.example/?a=b', true],
    ['https://sts.example/#a', true],
    ['https://user@sts.example', true],
    ['http://localhost.evil.example', true],
    ['http://127.0.0.1.evil.example', true],
  ])('is not %s (loopback http allowed: %s)', (text, allowLoopbackHttp) => {
    expect(() => requireStsEndpoint(text, { allowLoopbackHttp })).toThrow('endpoint')
  })

  it.each([
    'https://sts.us-east-1.amazonaws.com',
    'https://sts.example:8443/',
    'http://127.0.0.1:80',
    'http://[::1]:81',
  ])('may be %s', (text) => {
    expect(requireStsEndpoint(text, { allowLoopbackHttp: true }).pathname).toBe('/')
  })
})
