import type { LifetimeBound } from '../../issuer/token-lifetime.ts'
import type { QuoteAppraisal } from '../../verifier/index.ts'

/** TOK-44: what ends a token about a TD. Collateral that is used in its grace has ended already, and bounds nothing any more. */
export function boundsOfTd({ collateral, pck }: Pick<QuoteAppraisal, 'collateral' | 'pck'>): readonly LifetimeBound[] {
  const bounds: LifetimeBound[] = []
  if (pck !== null) bounds.push({ name: 'PCK certificate', at: Math.floor(pck.notAfter / 1000) })
  if (collateral !== null && !collateral.expired) {
    bounds.push({ name: 'TDX collateral', at: Math.floor(collateral.earliestExpirationDate / 1000) })
  }
  return bounds
}
