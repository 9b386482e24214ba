import type { WorkloadLimits } from './limits.ts'

/** Gives the place back; may be called more than once. */
export type ReleasePlace = () => void

type LedgerLimits = Pick<WorkloadLimits, 'connections' | 'tcpConnections' | 'adminReserve' | 'connectionsPerUid'>

/**
 * Counts open connections (API-23): in total, and by uid. Administrators have a reserve beyond the total, so that a
 * flood of workloads does not lock them out; TCP, where users are counted after a look-up only, has a part of the total. All listeners of a process share one ledger.
 */
export class ConnectionLedger {
  #limits: LedgerLimits
  #total = 0
  #tcp = 0
  #reserved = 0
  #byUid = new Map<number, number>()

  constructor(limits: LedgerLimits) {
    this.#limits = limits
  }

  get open(): number {
    return this.#total + this.#reserved
  }

  /** A place for one connection, or null: all are taken. */
  takePlace(listener: string): ReleasePlace | null {
    const tcp = listener.startsWith('tcp:')
    if (tcp && this.#tcp >= this.#limits.tcpConnections) return null
    if (this.#total < this.#limits.connections) {
      this.#total++
      if (tcp) this.#tcp++
      return once(() => {
        this.#total--
        if (tcp) this.#tcp--
      })
    }
    if (listener !== 'admin' || this.#reserved >= this.#limits.adminReserve) return null
    this.#reserved++
    return once(() => this.#reserved--)
  }

  /** A place among those of one uid, or null: it has all it may have. */
  takePlaceOf(uid: number): ReleasePlace | null {
    const taken = this.#byUid.get(uid) ?? 0
    if (taken >= this.#limits.connectionsPerUid) return null
    this.#byUid.set(uid, taken + 1)
    return once(() => this.#releaseOf(uid))
  }

  #releaseOf(uid: number): void {
    const left = (this.#byUid.get(uid) ?? 1) - 1
    if (left > 0) this.#byUid.set(uid, left)
    else this.#byUid.delete(uid)
  }
}

function once(release: () => void): ReleasePlace {
  let released = false
  return () => {
    if (released) return
    released = true
    release()
  }
}
