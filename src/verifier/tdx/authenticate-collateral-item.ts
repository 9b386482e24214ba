import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { Checklist } from '../../results/checklist.ts'
import { validityProblem } from './chain-rules.ts'
import { ChainWork } from './chain-work.ts'
import { authenticateQeIdentity, authenticateTcbInfo, readIssuerChain, type SignedText } from './collateral-chains.ts'
import { type QeIdentityCheckId, qeIdentityChecks, type TcbInfoCheckId, tcbInfoChecks } from './collateral-checks.ts'
import type { ChainContext } from './pck-chain.ts'
import { readList } from './revocation.ts'

/** One item of collateral as a provisioning service gives it; nothing of it is verified. */
export type CollateralItem =
  | (SignedText & { readonly kind: 'tcb-info' | 'qe-identity' })
  | { readonly kind: 'pck-crl' | 'root-crl'; readonly der: Uint8Array; readonly issuerChain: string | null }

export interface ItemInputs {
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly trustAnchors: readonly TrustAnchor[]
}

/**
 * Whether one item by itself is authentic (TDX-211): signed by whom its kind demands, with an issuer chain that leads to
 * a trust anchor and is valid at `now`, and well formed. Null if it is, else one sentence why not. Not judged is whether
 * the item itself is current and whether it fits a quote. Never throws for bad items.
 */
export function authenticateCollateralItem(item: CollateralItem, { now, trustAnchors }: ItemInputs): string | null {
  const context = { work: new ChainWork(), anchors: trustAnchors }
  switch (item.kind) {
    case 'tcb-info': {
      const checklist = new Checklist<TcbInfoCheckId>(tcbInfoChecks)
      return documentProblem(checklist, authenticateTcbInfo(checklist, item, context), now)
    }
    case 'qe-identity': {
      const checklist = new Checklist<QeIdentityCheckId>(qeIdentityChecks)
      return documentProblem(checklist, authenticateQeIdentity(checklist, item, context), now)
    }
    case 'pck-crl':
      return pckListProblem(item.der, item.issuerChain, context, now)
    case 'root-crl':
      return rootListProblem(item.der, item.issuerChain, context)
  }
}

type Authentic = ReturnType<typeof authenticateTcbInfo> | ReturnType<typeof authenticateQeIdentity>

function documentProblem(checklist: Pick<Checklist<string>, 'findings'>, authentic: Authentic, now: number) {
  if (authentic) return validityProblem([authentic.signer, authentic.root], now)
  const failed = checklist.findings().find(({ outcome }) => outcome === 'failed')
  return `${failed?.id}: ${failed?.detail}`
}

function pckListProblem(der: Uint8Array, pem: string | null, context: ChainContext, now: number): string | null {
  if (pem === null) return 'the revocation list of PCK certificates came without the chain of its issuer'
  const chain = readIssuerChain(pem, 'pckCa', context)
  if (typeof chain === 'string') return chain
  const list = readList(der, chain.issuer, context.work)
  return typeof list === 'string' ? list : validityProblem([chain.issuer, chain.root], now)
}

/** An anchor needs no chain: its key and name are known. Whether it is still valid shows where it stands in a chain. */
function rootListProblem(der: Uint8Array, pem: string | null, { work, anchors }: ChainContext): string | null {
  if (pem !== null) return 'the revocation list of the root came with a chain'
  const readings = anchors.map(({ authority }) => readList(der, authority, work))
  if (readings.some((reading) => typeof reading !== 'string')) return null
  const [first] = readings
  return typeof first === 'string' ? first : 'there is no trust anchor'
}
