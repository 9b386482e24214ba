import type { BrokerObserver } from './broker-events.ts'
import { passportErrors } from './errors.ts'
import type { Flight } from './flight.ts'
import { IssuerGate } from './issuer-gate.ts'
import type { TokenSource } from './token-source.ts'

/** One configured issuer with what the broker remembers of it. */
export interface Issuer {
  readonly source: TokenSource
  readonly gate: IssuerGate
  /** Attempts whose token goes to one caller only. */
  readonly unshared: Set<Flight>
}

/** The configured issuers by name; replaced as a whole by a reload (BRK-142). */
export class Issuers {
  readonly #drawUnit: () => number
  readonly #observe: BrokerObserver
  #byName: ReadonlyMap<string, Issuer>

  constructor(sources: readonly TokenSource[], drawUnit: () => number, observe: BrokerObserver) {
    this.#drawUnit = drawUnit
    this.#observe = observe
    this.#byName = this.#named(sources, new Map())
  }

  #named(sources: readonly TokenSource[], before: ReadonlyMap<string, Issuer>): ReadonlyMap<string, Issuer> {
    const byName = new Map<string, Issuer>()
    for (const source of sources) {
      if (byName.has(source.name)) throw new TypeError(`two sources are named '${source.name}'`)
      const known = before.get(source.name)
      const same = known !== undefined && known.source.generation === source.generation
      byName.set(source.name, same ? { ...known, source } : this.#made(source))
    }
    return byName
  }

  #made(source: TokenSource): Issuer {
    const issuer = source.name
    const gate = new IssuerGate(this.#drawUnit, (state) => this.#observe({ event: 'breaker', issuer, state }))
    return { source, gate, unshared: new Set() }
  }

  /** Takes the new sources and gives those issuers that are gone or changed. */
  replace(sources: readonly TokenSource[]): readonly Issuer[] {
    const before = this.#byName
    this.#byName = this.#named(sources, before)
    return [...before.values()].filter(({ source, gate }) => this.#byName.get(source.name)?.gate !== gate)
  }

  find(name: string): Issuer | undefined {
    return this.#byName.get(name)
  }

  require(name: string): Issuer {
    const issuer = this.#byName.get(name)
    if (issuer !== undefined) return issuer
    throw passportErrors.error('issuer_misconfigured', 'no issuer of this name is configured')
  }

  all(): IterableIterator<Issuer> {
    return this.#byName.values()
  }
}
