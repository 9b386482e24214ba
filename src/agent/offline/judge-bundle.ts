import { MalformedError } from '../../base/errors.ts'
import { commonNameOf } from '../../base/pki/distinguished-name.ts'
import { parseCrl } from '../../base/pki/revocation-list.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import { pckCaKindOf } from '../../endorsements/tdx/pck-certificate.ts'
import { parseTcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import { itemsOfBundle } from '../../endorser/tdx/bundle-items.ts'
import { type CollateralItem, factsOfItem, type ItemFacts } from '../../endorser/tdx/collateral-item.ts'
import type { ItemKey } from '../../endorser/tdx/item-key.ts'
import { isFromFuture, isPast } from '../../endorser/tdx/item-window.ts'
import { authenticateCollateralItem } from '../../verifier/tdx/authenticate-collateral-item.ts'
import type { QuotePlatform } from '../quote-platform.ts'

/** What stands in a bundle about one item, and what is true of it. */
export interface JudgedItem {
  readonly kind: CollateralItem['kind']
  readonly facts: ItemFacts
  /** Why it is not authentic; null if it is. */
  readonly problem: string | null
  /** At the time in question: the item itself, and the certificates of those who signed it. */
  readonly period: 'current' | 'expired' | 'from-future' | 'signer-not-valid'
}

/** A bundle item by item; whether it fits a quote is not judged. */
export interface JudgedBundle {
  readonly platform: QuotePlatform
  readonly items: readonly JudgedItem[]
}

/** The platform that a bundle is for, by its TCB info and the issuer of its PCK CRL. Throws `MalformedError`. */
function platformOfBundle({ tcbInfo, pckCrl }: Collateral): QuotePlatform {
  const { id, fmspc } = parseTcbInfo(tcbInfo)
  const ca = pckCaKindOf(commonNameOf(parseCrl(pckCrl, 'pckCrl').issuer))
  if (ca === null) throw new MalformedError({ path: 'pckCrl.issuer' }, 'is no CA of PCK certificates')
  return { tee: id === 'TDX' ? 'tdx' : 'sgx', fmspc, ca }
}

function keyOf(kind: CollateralItem['kind'], { tee, fmspc, ca }: QuotePlatform): ItemKey {
  switch (kind) {
    case 'tcb-info':
      return { kind, tee, fmspc, update: 'standard' }
    case 'qe-identity':
      return { kind, tee, update: 'standard' }
    case 'pck-crl':
      return { kind, ca }
    case 'root-crl':
      return { kind }
  }
}

interface Judging {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly trustAnchors: readonly TrustAnchor[]
}

/** Authenticity is judged at the time of issue, so that what merely expired is not taken for a forgery. */
function judgeItem(item: CollateralItem, platform: QuotePlatform, { now, trustAnchors }: Judging): JudgedItem {
  const facts = factsOfItem(item, keyOf(item.kind, platform))
  const problem = authenticateCollateralItem(item, { now: facts.issueDate, trustAnchors })
  const judged = { kind: item.kind, facts, problem }
  if (isFromFuture(facts, now)) return { ...judged, period: 'from-future' }
  if (isPast(facts, now)) return { ...judged, period: 'expired' }
  const isValid = problem !== null || authenticateCollateralItem(item, { now, trustAnchors }) === null
  return { ...judged, period: isValid ? 'current' : 'signer-not-valid' }
}

/**
 * Judges every item of a bundle by itself at `now`. Throws `MalformedError` where an item does not read, belongs to
 * another platform than the rest, or lacks what it would be authenticated with.
 */
export function judgeBundle(bundle: Collateral, judging: Judging): JudgedBundle {
  const platform = platformOfBundle(bundle)
  const items = itemsOfBundle(bundle)
  if (items.every(({ kind }) => kind !== 'pck-crl')) {
    throw new MalformedError(
      { path: 'collateral.pck_crl_issuer_chain' },
      'is missing: nothing says who issued the list',
    )
  }
  return { platform, items: items.map((item) => judgeItem(item, platform, judging)) }
}
