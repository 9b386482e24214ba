import type { TokenRequest } from '../../results/token-request.ts'
import type { BrokerEvent } from '../broker-events.ts'
import { sameSet } from '../cache-key.ts'

/** `revoked`: what was delivered before may be worth nothing any more. `changed`: it is worth a look. */
export type News = 'revoked' | 'changed' | null

const isFor = (request: TokenRequest, other: TokenRequest) =>
  request.issuer === other.issuer && sameSet(request.audience, other.audience)

type Invalidated = Extract<BrokerEvent, { event: 'invalidated' }>

/** A key is known of the token at hand only, and an older one may be in the file: any key counts as that of the file. */
function mayConcern({ issuer, audience, kid, entries }: Invalidated, request: TokenRequest): boolean {
  if (issuer === null && audience === null && kid === null) return entries > 0
  if (issuer !== null && issuer !== request.issuer) return false
  return audience === null || request.audience.includes(audience)
}

/** What an event of the broker means for a file that is made of the tokens of `request` (BRK-47, BRK-63, broker.md section 8). */
export function newsOf(event: BrokerEvent, request: TokenRequest): News {
  switch (event.event) {
    case 'stored':
      return isFor(event.request, request) ? 'changed' : null
    case 'ended': {
      if (event.why === 'replaced' || !isFor(event.request, request)) return null
      return event.why === 'expired' ? 'changed' : 'revoked'
    }
    case 'state_changed':
      return event.to === 'rejected' && isFor(event.request, request) ? 'revoked' : null
    case 'invalidated':
      return event.hard && mayConcern(event, request) ? 'revoked' : null
    case 'sources_replaced':
      return event.changed.includes(request.issuer) ? 'revoked' : null
    case 'clock':
      return event.kind === 'snapshot' ? 'revoked' : 'changed'
    default:
      return null
  }
}
