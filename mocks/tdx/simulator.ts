import type { Clock } from '../../src/base/clock.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { CollateralIssuer, type CollateralOptions } from './collateral.ts'
import { createPki, type SimulatedPki } from './pki.ts'
import { type QuoteOptions, simulateQuote } from './quotes.ts'

/**
 * A simulated TDX machine and its maker: quotes, and the collateral to judge them with. Real formats and real
 * signatures, under keys that protect nothing.
 */
export interface SimulatedTdx {
  readonly pki: SimulatedPki
  /** A quote in its bytes; see `simulateQuote`. */
  quote(options: QuoteOptions): Uint8Array
  /** Collateral for it, issued at the time of the clock unless the options say otherwise. */
  collateral(options?: CollateralOptions): Collateral
}

export interface SimulatorOptions {
  readonly clock: Pick<Clock, 'now'>
  /** Default: new keys; see `keepPki` for ones that stay. */
  readonly pki?: SimulatedPki
}

export function createSimulator({ clock, pki = createPki(clock.now()) }: SimulatorOptions): SimulatedTdx {
  return {
    pki,
    quote: (options) => simulateQuote(pki, options),
    collateral: (options = {}) => new CollateralIssuer(pki, clock.now(), options).bundle(),
  }
}
