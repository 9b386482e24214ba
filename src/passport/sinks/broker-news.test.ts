import { describe, expect, it } from 'vitest'
import { tokenRequest } from '../../../test/support/fake-token-source.ts'
import type { BrokerEvent, TokenEnd, TokenFacts } from '../broker-events.ts'
import { type News, newsOf } from './broker-news.ts'

const request = tokenRequest({ audience: ['https://a.example', 'https://b.example'] })
const reordered = { ...request, audience: ['https://b.example', 'https://a.example'] }
const foreign = { ...request, audience: ['https://a.example'] }
const elsewhere = { ...request, issuer: 'another' }
const { issuer, audience } = request
const token: TokenFacts = { issuer, audience, kid: 'k', jti: 'j', issuedAt: 1, expiresAt: 2, generation: 1 }

const ended = (why: TokenEnd, of = request): BrokerEvent => ({ event: 'ended', request: of, token, why })
const invalidated = (members: object): BrokerEvent => ({
  ...{ event: 'invalidated', issuer: null, audience: null, kid: null, hard: true, entries: 1 },
  ...members,
})
const state = (to: 'rejected' | 'degraded', of = request): BrokerEvent => ({
  event: 'state_changed',
  request: of,
  from: 'fresh',
  to,
})

describe('what an event of the broker means for a token file', () => {
  it.each<[string, BrokerEvent, News]>([
    ['a new token', { event: 'stored', request, token }, 'changed'],
    ['a new token for the same audiences in another order', { event: 'stored', request: reordered, token }, 'changed'],
    ['a new token for one of the audiences', { event: 'stored', request: foreign, token }, null],
    ['a new token of another issuer', { event: 'stored', request: elsewhere, token }, null],
    ['a token that expired', ended('expired'), 'changed'],
    ['a token that a newer one replaced', ended('replaced'), null],
    ['a token that was declared worthless', ended('invalidated'), 'revoked'],
    ['a token that a verdict ended (BRK-47)', ended('verdict'), 'revoked'],
    ['a token from before a snapshot (BRK-63)', ended('snapshot'), 'revoked'],
    ['the end of the token of somebody else', ended('invalidated', foreign), null],
    ['a verdict (BRK-47)', state('rejected'), 'revoked'],
    ['a verdict about others', state('rejected', elsewhere), null],
    ['a failed refresh', state('degraded'), null],
    ['a hard event for everything', invalidated({}), 'revoked'],
    ['a hard event that found nothing', invalidated({ entries: 0 }), null],
    ['a hard event for the issuer, whatever it found', invalidated({ issuer, entries: 0 }), 'revoked'],
    ['a hard event for another issuer', invalidated({ issuer: 'another' }), null],
    ['a hard event for one of the audiences', invalidated({ audience: 'https://b.example' }), 'revoked'],
    ['a hard event for another audience', invalidated({ audience: 'https://c.example' }), null],
    ['a hard event for a key: the file may hold an older token of it', invalidated({ kid: 'old' }), 'revoked'],
    ['a soft event', invalidated({ hard: false }), null],
    ['a soft event for the issuer', invalidated({ issuer, hard: false }), null],
    ['another configuration of the issuer', { event: 'sources_replaced', changed: [issuer] }, 'revoked'],
    ['another configuration of others', { event: 'sources_replaced', changed: ['another'] }, null],
    ['a snapshot', { event: 'clock', kind: 'snapshot', ms: 0 }, 'revoked'],
    ['a suspend', { event: 'clock', kind: 'suspend', ms: 9 }, 'changed'],
    ['a step of the wall clock', { event: 'clock', kind: 'wall-step', ms: -9 }, 'changed'],
    ['the end of the agent', { event: 'draining' }, null],
  ])('%s', (_, event, news) => {
    expect(newsOf(event, request)).toBe(news)
  })
})
