import type { BrokerEvent } from '../broker-events.ts'

/** Whose tokens the credentials were made of. */
export interface CredentialOrigin {
  /** Name of the issuer in the configuration. */
  readonly issuer: string
  readonly audience: string
}

/**
 * Whether credentials at hand must not be served any more after this event of the broker: they were given for a machine that
 * is no longer affirmed (BRK-47), or for a token that was declared worthless or belongs to a machine before a snapshot.
 */
export function endsCredentials(event: BrokerEvent, { issuer, audience }: CredentialOrigin): boolean {
  if (event.event === 'clock') return event.kind === 'snapshot'
  if (event.event === 'sources_replaced') return event.changed.includes(issuer)
  if (event.event === 'attempt_ended') return event.issuer === issuer && event.failure?.class === 'verdict'
  if (event.event !== 'invalidated' || !event.hard) return false
  return (event.issuer ?? issuer) === issuer && (event.audience ?? audience) === audience
}
