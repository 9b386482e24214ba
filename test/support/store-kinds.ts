import type { SqlEngine } from '../../src/registry/sql-engine.ts'
import { SqlStore } from '../../src/registry/sql-store.ts'
import { type EngineKind, type EnginePlace, engineKinds } from './sql-engines.ts'

/** One way to keep what a store of type `S` keeps, for the tests that all ways must pass. */
export interface StoreKind<S> {
  readonly name: string
  readonly possible: boolean
  prepare(): Promise<void>
  /** An empty store; the one before is not used any more. */
  fresh(): Promise<S>
  end(): Promise<void>
  /** The database behind it. */
  engine?(): SqlEngine
}

/** The part of a database that a suite is about. */
export interface StoredPart<S> {
  of(store: SqlStore): S
  /** Forgets all of it, but not the schema. */
  empty(engine: SqlEngine): Promise<void>
}

interface Opened {
  readonly place: EnginePlace
  readonly engine: SqlEngine
  readonly store: SqlStore
}

/** One engine and its database for all tests of a suite: to make one takes seconds. */
class DatabaseKind<S> implements StoreKind<S> {
  readonly name: string
  readonly possible: boolean
  #make: EngineKind['make']
  #part: StoredPart<S>
  #opened: Opened | null = null

  constructor({ name, possible, make }: EngineKind, part: StoredPart<S>) {
    this.name = name
    this.possible = possible
    this.#make = make
    this.#part = part
  }

  async prepare(): Promise<void> {
    const place = await this.#make()
    const engine = await place.open()
    this.#opened = { place, engine, store: await SqlStore.open(engine) }
  }

  async fresh(): Promise<S> {
    await this.#part.empty(this.engine())
    return this.#part.of(this.#require().store)
  }

  engine(): SqlEngine {
    return this.#require().engine
  }

  async end(): Promise<void> {
    await this.#opened?.store.close()
    await this.#opened?.place[Symbol.asyncDispose]()
  }

  #require(): Opened {
    if (this.#opened === null) throw new Error(`${this.name} has not been prepared`)
    return this.#opened
  }
}

/** In memory, and in each engine that this machine has. */
export function storeKinds<S>(inMemory: () => S, part: StoredPart<S>): readonly StoreKind<S>[] {
  const memory: StoreKind<S> = {
    name: 'memory',
    possible: true,
    prepare: async () => undefined,
    fresh: async () => inMemory(),
    end: async () => undefined,
  }
  return [memory, ...engineKinds.map((kind) => new DatabaseKind(kind, part))]
}

export const registryPart: StoredPart<SqlStore> = {
  of: (store) => store,
  async empty(engine) {
    await engine.query('TRUNCATE attestd.enrolments, attestd.identity_holders, attestd.appraisals')
  },
}

export const policyPart: StoredPart<SqlStore['policies']> = {
  of: (store) => store.policies,
  async empty(engine) {
    await engine.query(
      'TRUNCATE attestd.policy_versions, attestd.policy_active, attestd.policy_activations, attestd.policy_signers',
    )
    await engine.query('DELETE FROM attestd.policy_book')
    await engine.query('INSERT INTO attestd.policy_book (revision) VALUES (0)')
  },
}
