import type { QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import type { TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import type { AuthenticDocument, IssuerChain } from './collateral-chains.ts'
import type { PckChain } from './pck-chain.ts'
import type { AuthenticList } from './revocation.ts'

/** A map that forgets what was not asked for longest. */
export class RecentMap<Value> {
  #maximum: number
  #entries = new Map<string, Value>()

  constructor(maximum: number) {
    this.#maximum = maximum
  }

  get(key: string): Value | undefined {
    const value = this.#entries.get(key)
    if (value === undefined) return undefined
    this.#entries.delete(key)
    this.#entries.set(key, value)
    return value
  }

  set(key: string, value: Value): void {
    this.#entries.delete(key)
    this.#entries.set(key, value)
    const [oldest] = this.#entries.keys()
    if (this.#entries.size > this.#maximum && oldest !== undefined) this.#entries.delete(oldest)
  }
}

/**
 * What follows from bytes and anchors alone, kept between appraisals by the hash of exactly these bytes (TDX-216):
 * chains and collateral that were found authentic. Nothing that failed is kept, so that a peer without a signed object
 * cannot fill it, and nothing that depends on the time or on another object of the same appraisal.
 */
export interface QuoteMemo {
  readonly pckChains: RecentMap<PckChain>
  readonly tcbInfos: RecentMap<AuthenticDocument<TcbInfo>>
  readonly qeIdentities: RecentMap<AuthenticDocument<QeIdentity>>
  readonly lists: RecentMap<AuthenticList>
  readonly issuerChains: RecentMap<IssuerChain>
}

/** An empty memo of at most `maximum` objects of each kind. */
export function createQuoteMemo({ maximum }: { readonly maximum: number } = { maximum: 64 }): QuoteMemo {
  if (!(Number.isSafeInteger(maximum) && maximum > 0)) throw new TypeError('a memo holds at least one object')
  return {
    pckChains: new RecentMap(maximum),
    tcbInfos: new RecentMap(maximum),
    qeIdentities: new RecentMap(maximum),
    lists: new RecentMap(maximum),
    issuerChains: new RecentMap(maximum),
  }
}
