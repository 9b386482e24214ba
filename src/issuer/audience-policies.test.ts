import { describe, expect, it } from 'vitest'
import { AttestdError } from '../base/errors.ts'
import { type AudiencePolicy, type AudiencePolicyOptions, createAudiencePolicies } from './audience-policies.ts'
import { type ConsumerName, consumers, requireConsumerTakesToken } from './consumers.ts'

const policy: AudiencePolicy = {
  subject: { mode: 'ek' },
  algorithm: 'RS256',
  lifetimeS: 900,
  consumer: null,
  maxCharacters: 8192,
}
const base: AudiencePolicyOptions = { issuer: 'https://v.example', fallback: policy }
const listed = (change: Partial<AudiencePolicy>, audience = 'a') => [{ audience, policy: { ...policy, ...change } }]

function outcome(run: () => unknown): unknown {
  try {
    return run()
  } catch (error) {
    return error instanceof AttestdError ? [error.code, error.facts['limit']].filter(Boolean).join(' ') : String(error)
  }
}
const created = (options: Partial<AudiencePolicyOptions>) =>
  outcome(() => createAudiencePolicies({ ...base, ...options }) && 'created')
const asked = (options: Partial<AudiencePolicyOptions>, audience: string[]) =>
  outcome(() => createAudiencePolicies({ ...base, ...options }).policyFor(audience))

describe('audiences of a request (TOK-11)', () => {
  const many = Array.from({ length: 9 }, (_, index) => `a${index}`)

  it.each<[string, string[]]>([
    ['one', ['a']],
    ['eight', many.slice(1)],
    ['256 characters', ['x'.repeat(256)]],
  ])('may be %s', (_, audience) => {
    expect(asked({}, audience)).toMatchObject({ algorithm: 'RS256', consumers: [] })
  })

  it.each<[string, string[]]>([
    ['none', []],
    ['nine', many],
    ['an empty one', ['']],
    ['257 characters', ['x'.repeat(257)]],
    ['a space', ['a b']],
    ['a line feed at the end', ['a\n']],
    ['a letter outside of ASCII', ['ä']],
    ['one twice', ['a', 'a']],
  ])('are never %s', (_, audience) => {
    expect(asked({}, audience)).toBe('AUDIENCE_INVALID')
  })

  it('are refused where only listed ones are served', () => {
    expect(asked({ fallback: null, listed: listed({}) }, ['b'])).toBe('AUDIENCE_REFUSED')
    expect(asked({ fallback: null, listed: listed({}) }, ['a'])).toMatchObject({ lifetimeS: 900 })
    expect(asked({ fallback: null }, ['__proto__'])).toBe('AUDIENCE_REFUSED')
  })
})

describe('several audiences in one token', () => {
  it('get the shortest life, the smallest budget and every consumer', () => {
    const both = [
      ...listed({ lifetimeS: 300, consumer: 'google' }, 'a'),
      ...listed({ maxCharacters: 4000, consumer: 'aws-sts' }, 'b'),
    ]
    expect(asked({ listed: both }, ['a', 'b', 'c'])).toMatchObject({
      lifetimeS: 300,
      maxCharacters: 4000,
      consumers: ['google', 'aws-sts'],
    })
  })

  it.each<[string, Partial<AudiencePolicy>]>([
    ['subject', { subject: { mode: 'key' } }],
    ['algorithm', { algorithm: 'ES256' }],
  ])('must agree on the %s (TOK-41)', (_, change) => {
    expect(asked({ listed: listed(change) }, ['a', 'b'])).toBe('AUDIENCES_DISAGREE')
  })
})

describe('settings (TOK-43, TOK-150)', () => {
  it.each<[string, Partial<AudiencePolicyOptions>, string]>([
    ['60 s of life', { listed: listed({ lifetimeS: 60 }) }, 'created'],
    ['59 s of life', { listed: listed({ lifetimeS: 59 }) }, 'AUDIENCE_POLICY_INVALID'],
    ['2 s of life in test mode', { listed: listed({ lifetimeS: 2 }), leastLifetimeS: 2 }, 'created'],
    ['24 h of life', { listed: listed({ lifetimeS: 86_400 }) }, 'created'],
    ['more than 24 h of life', { fallback: { ...policy, lifetimeS: 86_401 } }, 'AUDIENCE_POLICY_INVALID'],
    ['no budget', { listed: listed({ maxCharacters: 0 }) }, 'AUDIENCE_POLICY_INVALID'],
    ['an audience twice', { listed: [...listed({}), ...listed({})] }, 'AUDIENCE_POLICY_INVALID'],
    ['an audience with a space', { listed: listed({}, 'a b') }, 'AUDIENCE_POLICY_INVALID'],
    ['a consumer for all audiences', { fallback: { ...policy, consumer: 'google' } }, 'AUDIENCE_POLICY_INVALID'],
  ])('%s', (_, options, expected) => {
    expect(created(options)).toBe(expected)
  })

  const with_ = (consumer: ConsumerName, change: Partial<AudiencePolicy> = {}, audience = 'a', issuer = base.issuer) =>
    created({ issuer, listed: listed({ consumer, ...change }, audience) })

  it.each<[string, () => unknown, string]>([
    ['Alibaba with RS256', () => with_('alibaba-sts', {}, 'sts.aliyuncs.com'), 'created'],
    ['Alibaba with ES256', () => with_('alibaba-sts', { algorithm: 'ES256' }), 'CONSUMER_LIMIT algorithm'],
    ['Alibaba with 128 characters', () => with_('alibaba-sts', {}, 'x'.repeat(128)), 'created'],
    ['Alibaba with 129 characters', () => with_('alibaba-sts', {}, 'x'.repeat(129)), 'CONSUMER_LIMIT audience'],
    ['Alibaba with a first dot', () => with_('alibaba-sts', {}, '.x'), 'CONSUMER_LIMIT audience'],
    ['Alibaba with a tilde', () => with_('alibaba-sts', {}, 'x~'), 'CONSUMER_LIMIT audience'],
    ['Alibaba beyond its issuance limit', () => with_('alibaba-sts', { lifetimeS: 43_201 }), 'CONSUMER_LIMIT lifetime'],
    ['AWS with a path', () => with_('aws-sts', {}, 'a', 'https://v.example/a'), 'created'],
    ['AWS with a port', () => with_('aws-sts', {}, 'a', 'https://v.example:8443'), 'CONSUMER_LIMIT issuer'],
    ['AWS with PS256', () => with_('aws-sts', { algorithm: 'PS256' }), 'CONSUMER_LIMIT algorithm'],
    ['Google with ES256', () => with_('google', { algorithm: 'ES256' }), 'created'],
    ['Google with ES384', () => with_('google', { algorithm: 'ES384' }), 'CONSUMER_LIMIT algorithm'],
    ['Kubernetes with EdDSA', () => with_('kubernetes', { algorithm: 'EdDSA' }), 'CONSUMER_LIMIT algorithm'],
    ['Vault with EdDSA', () => with_('vault', { algorithm: 'EdDSA' }), 'created'],
    ['Entra with 20 minutes', () => with_('entra', { lifetimeS: 1200 }), 'created'],
    ['Entra with less', () => with_('entra', { lifetimeS: 1199 }), 'CONSUMER_LIMIT lifetime'],
  ])('%s', (_, run, expected) => {
    expect(run()).toBe(expected)
  })
})

describe('limits of a minted token (TOK-150)', () => {
  const minted = { token: 'x', audience: ['a'], subject: 's', lifetimeS: 1200 }
  const take = (consumer: ConsumerName, change: Partial<typeof minted>) =>
    outcome(() => requireConsumerTakesToken(consumer, { ...minted, ...change }) ?? 'taken')

  it.each<[ConsumerName, Partial<typeof minted>, string]>([
    ['alibaba-sts', { token: 'x'.repeat(20_000) }, 'taken'],
    ['alibaba-sts', { token: 'x'.repeat(20_001) }, 'CONSUMER_LIMIT size'],
    ['aws-sts', { token: 'x'.repeat(20_001) }, 'CONSUMER_LIMIT size'],
    ['google', { subject: 's'.repeat(127) }, 'taken'],
    ['google', { subject: 's'.repeat(128) }, 'CONSUMER_LIMIT subject'],
    ['entra', { audience: ['a', 'b'] }, 'CONSUMER_LIMIT audiences'],
    ['entra', { lifetimeS: 1199 }, 'CONSUMER_LIMIT lifetime'],
    ['openid', { token: 'x'.repeat(100_000), audience: ['a', 'b'] }, 'taken'],
  ])('%s', (consumer, change, expected) => {
    expect(take(consumer, change)).toBe(expected)
  })

  it('are told in the words of the consumer', () => {
    expect(() => requireConsumerTakesToken('alibaba-sts', { ...minted, token: 'x'.repeat(23_418) })).toThrow(
      'Alibaba STS takes at most 20000 characters; this token has 23418',
    )
  })

  it('never exceed what every token keeps anyway', () => {
    for (const { algorithms, lifetimeS } of Object.values(consumers)) {
      expect(algorithms).toContain('RS256')
      expect(lifetimeS[1]).toBeLessThanOrEqual(86_400)
    }
  })
})
