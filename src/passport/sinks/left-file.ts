import type { Clock } from '../../base/clock.ts'
import type { Broker } from '../broker.ts'
import type { TokenOffer } from '../token-offer.ts'
import { findToken, largestTokenFile } from './file-format.ts'
import type { Sink, TokenPlace } from './sink.ts'

/** Keys that must be fetched first may take so long; then the token counts as one that cannot be verified. */
const recognitionMs = 5_000

export interface ExaminationParts {
  readonly sink: Pick<Sink, 'request' | 'format'>
  readonly broker: Pick<Broker, 'recogniseToken'>
  readonly clock: Clock
}

/** What an earlier run left at the path of a token file. */
export type LeftFile =
  | { readonly kind: 'nothing' }
  /** No token in any form: not of our making, and left alone. */
  | { readonly kind: 'foreign' }
  /** A token that does not verify for this sink, or not in time. */
  | { readonly kind: 'unusable' }
  /** `mark` fits only a file of exactly the bytes and the mode of today. */
  | { readonly kind: 'token'; readonly offer: TokenOffer; readonly mark: string }

/** Reads and verifies what lies at the place (BRK-117); changes nothing. */
export async function examineLeft(place: TokenPlace, parts: ExaminationParts): Promise<LeftFile> {
  const seen = await place.look()
  if (seen === null) return { kind: 'nothing' }
  const bytes = await place.read(largestTokenFile)
  const found = bytes === null ? null : findToken(parts.sink.format, bytes)
  if (found === null) return { kind: 'foreign' }
  const offer = await recognise(found.token, parts)
  if (offer === null) return { kind: 'unusable' }
  return { kind: 'token', offer, mark: seen.modeFits && found.isExact(offer.expiresAt) ? seen.mark : '' }
}

async function recognise(token: string, { broker, sink, clock }: ExaminationParts): Promise<TokenOffer | null> {
  const ended = new AbortController()
  const late = clock.sleep(recognitionMs, ended.signal).then(
    () => null,
    () => null,
  )
  try {
    return await Promise.race([broker.recogniseToken(token, sink.request), late])
  } finally {
    ended.abort()
  }
}
