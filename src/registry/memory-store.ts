import { type HistoryEntry, historyLength } from './appraisal-history.ts'
import { type EnrolmentRecord, holdsIdentity, isLive } from './enrolment-record.ts'
import { registryErrors } from './errors.ts'
import { MemoryPolicyStore } from './policies/memory-policy-store.ts'
import {
  type KeptOutcome,
  pageLength,
  type RecordChange,
  type RegistryStore,
  type StoredRecord,
} from './registry-store.ts'

const defaultCapacity = 10_000

/** A store that lasts as long as the process. Throws `registry_full` above its capacity. */
export class MemoryStore implements RegistryStore {
  readonly policies = new MemoryPolicyStore()
  #records = new Map<string, StoredRecord>()
  #histories = new Map<string, readonly HistoryEntry[]>()
  #capacity: number

  constructor({ capacity = defaultCapacity }: { readonly capacity?: number } = {}) {
    this.#capacity = capacity
  }

  async findByAk(akName: string): Promise<StoredRecord | null> {
    return this.#records.get(akName) ?? null
  }

  async findByEk(ekName: string): Promise<readonly StoredRecord[]> {
    return this.#where(({ record }) => record.ekName === ekName)
  }

  async findByEkKey(ekSpkiSha256: string): Promise<readonly StoredRecord[]> {
    return this.#where(({ record }) => record.ekSpkiSha256 === ekSpkiSha256)
  }

  async findByIdentity(identity: string): Promise<readonly StoredRecord[]> {
    return this.#where(({ record }) => record.identity === identity)
  }

  async list(after = ''): Promise<readonly StoredRecord[]> {
    const behind = this.#where(({ record }) => record.akName > after)
    return behind.sort((left, right) => (left.record.akName < right.record.akName ? -1 : 1)).slice(0, pageLength)
  }

  async commit(changes: readonly RecordChange[], outcomes: readonly KeptOutcome[] = []): Promise<boolean> {
    if (!changes.every(({ record, expected }) => this.#versionOf(record.akName) === expected)) return false
    const next = new Map(this.#records)
    for (const { record, expected } of changes) next.set(record.akName, { record, version: (expected ?? 0) + 1 })
    if (next.size > this.#capacity) {
      throw registryErrors.error('registry_full', `the registry holds at most ${this.#capacity} enrolments`)
    }
    const records = [...next.values()].map(({ record }) => record)
    if (!changes.every(({ record }) => isUnique(record, records))) return false
    if (!outcomes.every(({ akName }) => next.has(akName))) return false
    this.#records = next
    for (const outcome of outcomes) this.#remember(outcome)
    return true
  }

  async history(akName: string): Promise<readonly HistoryEntry[]> {
    return this.#histories.get(akName) ?? []
  }

  #remember({ akName, entry }: KeptOutcome): void {
    const before = this.#histories.get(akName) ?? []
    this.#histories.set(akName, [entry, ...before].slice(0, historyLength))
  }

  #versionOf(akName: string): number | null {
    return this.#records.get(akName)?.version ?? null
  }

  #where(holds: (stored: StoredRecord) => boolean): StoredRecord[] {
    return [...this.#records.values()].filter(holds)
  }
}

function isUnique(record: EnrolmentRecord, all: readonly EnrolmentRecord[]): boolean {
  const sameEk = all.filter((other) => isLive(other) && other.ekName === record.ekName)
  if (isLive(record) && sameEk.length > 1) return false
  if (!holdsIdentity(record)) return true
  return all.every(
    (other) => !holdsIdentity(other) || other.identity !== record.identity || other.ekName === record.ekName,
  )
}
