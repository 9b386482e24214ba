import type { ServedToken } from '../results/served-token.ts'
import type { TokenDemand } from '../results/token-request.ts'
import type { Instant } from './clock-watch.ts'
import type { BrokerLimits } from './limits.ts'
import { refreshDelayMs } from './refresh-points.ts'
import type { AcceptedToken } from './token-source.ts'

/**
 * A verified token in memory. Its end is kept on two clocks, in milliseconds, and both must say that it is valid
 * (BRK-62): a wall clock set back cannot revive it, one set forward can only shorten its life.
 */
export interface HeldToken {
  readonly token: string
  readonly accepted: AcceptedToken
  readonly wallExpiry: number
  readonly bootExpiry: number
  /** Life left at receipt. */
  readonly lifeMs: number
  readonly receivedAtBoot: number
  /** When it is to be renewed, on both clocks: whichever comes first. */
  readonly refreshAtWall: number
  readonly refreshAtBoot: number
  /** The one draw that decides when it is renewed (BRK-20). */
  readonly unit: number
}

/** Milliseconds that are left; not positive once either clock has passed the end. */
export function leftMs(held: HeldToken, { wall, boot }: Instant): number {
  return Math.min(held.wallExpiry - wall, held.bootExpiry - boot)
}

/** The readings between which a token was asked for and received. */
export interface Exchange {
  readonly asked: Instant
  readonly received: Instant
}

/** The end of a token's use on the wall clock: `exp`, or the configured age. */
export function wallExpiryOf(accepted: AcceptedToken, { maxAgeS }: Pick<BrokerLimits, 'maxAgeS'>): number {
  const oldest = maxAgeS === null ? accepted.expiresAt : accepted.issuedAt + maxAgeS
  return Math.min(accepted.expiresAt, oldest) * 1000
}

/**
 * Life at receipt: by the wall clock now; by the wall clock when the request was made, carried on by boot time; and never
 * more than the token's own span. A wall clock set back while the request was under way thus lengthens nothing (BRK-62).
 */
export function lifeAtReceipt(accepted: AcceptedToken, wallExpiry: number, { asked, received }: Exchange): number {
  const wallByBoot = asked.wall + (received.boot - asked.boot)
  return Math.min(wallExpiry - received.wall, wallExpiry - wallByBoot, (accepted.expiresAt - accepted.issuedAt) * 1000)
}

/** The same token, renewed early enough for readers that keep a file for ten minutes (BRK-21). */
export function heldForFile(held: HeldToken): HeldToken {
  const refreshIn = refreshDelayMs(held.lifeMs, held.unit, { forFile: true })
  const refreshAtBoot = held.receivedAtBoot + refreshIn
  return { ...held, refreshAtBoot, refreshAtWall: held.refreshAtWall + (refreshAtBoot - held.refreshAtBoot) }
}

/** Puts a token that passed every check into memory. `unit` is the one draw that decides when it is renewed (BRK-20). */
export function holdToken(
  token: string,
  accepted: AcceptedToken,
  timing: { readonly wallExpiry: number; readonly lifeMs: number; readonly received: Instant; readonly unit: number },
): HeldToken {
  const { wallExpiry, lifeMs, received, unit } = timing
  const refreshIn = refreshDelayMs(lifeMs, unit)
  return {
    token,
    accepted,
    wallExpiry,
    bootExpiry: received.boot + lifeMs,
    lifeMs,
    receivedAtBoot: received.boot,
    refreshAtWall: received.wall + refreshIn,
    refreshAtBoot: received.boot + refreshIn,
    unit,
  }
}

/** What must be left for this demand, in milliseconds (API-90): the demand or its default, and never below the floor. */
export function requiredMs(demand: TokenDemand, accepted: AcceptedToken, limits: BrokerLimits): number {
  const { minValidS } = demand
  if (minValidS === 0) return Math.min(1, limits.servingFloorS) * 1000
  const wished = minValidS ?? Math.min(60, 0.2 * (accepted.expiresAt - accepted.issuedAt))
  return Math.max(wished, limits.servingFloorS) * 1000
}

/** The token as a caller gets it. */
export function servedToken(held: HeldToken, source: ServedToken['source'], generation: number): ServedToken {
  const { accepted } = held
  return {
    token: held.token,
    issuer: accepted.issuer,
    audience: accepted.audience,
    issuedAt: accepted.issuedAt,
    expiresAt: accepted.expiresAt,
    refreshAt: Math.floor(held.refreshAtWall / 1000),
    jti: accepted.jti,
    source,
    generation,
  }
}
