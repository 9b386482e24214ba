import { createHash } from 'node:crypto'
import type { BrokerEvent, TokenFacts } from '../passport/broker-events.ts'
import type { JournalFacts } from '../passport/journal/record.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { WorkloadEvent } from '../workload-api/workload-log.ts'

/** Turns what happens into facts for the journal (BRK-120). Texts of others are hashed or bounded here, and nowhere later. */

export interface Noted {
  readonly event: string
  readonly facts: JournalFacts
}

/** An event that callers can cause at will; `kind` names what is alike. */
export interface SampledNote extends Noted {
  readonly kind: string
}

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')

/** Of one audience its SHA-256; of several that of all in order, one a line: no audience holds a line feed. */
const hashAudience = (audience: readonly string[]) => sha256([...audience].sort().join('\n'))

/** A key id is whatever the issuer wrote. */
const boundedId = (text: string) => (/^[\w.:/+=-]{1,128}$/.test(text) ? text : `sha256:${sha256(text)}`)

const named = (issuer: string, audience: readonly string[]) => ({ issuer, aud_hash: hashAudience(audience) })

function tokenFacts({ issuer, audience, kid, jti, issuedAt, expiresAt }: TokenFacts): JournalFacts {
  const times = { iat: issuedAt, exp: expiresAt }
  return { ...named(issuer, audience), kid: boundedId(kid), jti_hash: sha256(jti), ...times }
}

const callerFacts = ({ uid, unit, identity }: CallerIdentity): JournalFacts => ({
  uid,
  unit: unit === null ? null : unit.slice(0, 256),
  identity,
})

type AttemptEnded = Extract<BrokerEvent, { event: 'attempt_ended' }>
type Invalidated = Extract<BrokerEvent, { event: 'invalidated' }>

function attemptNote({ issuer, audience, result, token, failure, unshared }: AttemptEnded): Noted | null {
  if (result === 'landed' && unshared && token) {
    return { event: 'issue', facts: { ...tokenFacts(token), shared: false } }
  }
  if (result !== 'failed' || failure === null) return null
  const facts = { ...named(issuer, audience), code: failure.code, check: failure.check }
  return { event: failure.class === 'verdict' ? 'verdict' : 'failure', facts }
}

function invalidatedNote({ issuer, audience, kid, hard, entries }: Invalidated): Noted {
  const selected = { issuer, aud_hash: audience === null ? null : hashAudience([audience]) }
  return { event: 'invalidate', facts: { ...selected, kid: kid === null ? null : boundedId(kid), hard, entries } }
}

/** The entry for an event of the broker; null: it is none for the journal. */
export function brokerNote(event: BrokerEvent): Noted | null {
  switch (event.event) {
    case 'stored':
      return { event: event.token.generation > 1 ? 'refresh' : 'issue', facts: tokenFacts(event.token) }
    case 'attempt_ended':
      return attemptNote(event)
    case 'invalidated':
      return invalidatedNote(event)
    case 'clock':
      return { event: 'clock', facts: { kind: event.kind, ms: Math.trunc(event.ms) } }
    case 'clock_judged':
      return { event: 'clock', facts: { kind: 'judged', safe: event.safe } }
    default:
      return null
  }
}

/** Failures come as often as attempts do: an issuer that is down makes thousands of them. */
export const isSampled = ({ event }: Noted) => event === 'failure' || event === 'verdict'

/** The entry for an event of the workload API; null: it is none for the journal. */
export function workloadNote(event: WorkloadEvent): SampledNote | null {
  if (event.event === 'served') {
    const { caller, issuer, audience, jti, issuedAt, expiresAt, source, listener } = event
    const token = { ...named(issuer, audience), jti_hash: sha256(jti), iat: issuedAt, exp: expiresAt }
    const facts = { caller: callerFacts(caller), listener, ...token, source }
    return { kind: `serve ${listener} ${keyOf(caller)} ${facts.jti_hash}`, event: 'serve', facts }
  }
  if (event.event === 'credentials_served') {
    const { caller, consumer, issuer, audience, expiresAt, listener } = event
    const facts = { caller: callerFacts(caller), listener, consumer, ...named(issuer, audience), exp: expiresAt }
    return { kind: `serve ${listener} ${keyOf(caller)} ${consumer} ${expiresAt}`, event: 'serve', facts }
  }
  if (event.event !== 'denied') return null
  const { who, rule, code, dimension, listener } = event
  const facts = { caller: callerFacts(who), listener, rule, code, dimension }
  return { kind: `deny ${listener} ${keyOf(who)} ${code} ${dimension}`, event: 'deny', facts }
}

const keyOf = ({ uid, unit, identity }: CallerIdentity) => `${identity} ${uid} ${unit}`
