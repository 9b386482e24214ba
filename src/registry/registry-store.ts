import type { HistoryEntry } from './appraisal-history.ts'
import type { EnrolmentRecord } from './enrolment-record.ts'

/** A record as it lies in the store; the version grows with every change of it. */
export interface StoredRecord {
  readonly record: EnrolmentRecord
  readonly version: number
}

export interface RecordChange {
  readonly record: EnrolmentRecord
  /** The version that the record has now; null: there must be none. */
  readonly expected: number | null
}

/** How many records a store lists at once: as many as may be in memory together. */
export const pageLength = 256

export interface KeptOutcome {
  readonly akName: string
  readonly entry: HistoryEntry
}

/**
 * Where enrolments are kept. `commit` applies all changes or none, and they are durable when it resolves (ENR-06,
 * ENR-12). It gives false, and changes nothing, where a record does not have the expected version, or where
 * afterwards two live records would have one EK (ENR-08), or two EKs would hold one identity (ENR-09), or where an
 * outcome is of a key without a record.
 */
export interface RegistryStore {
  findByAk(akName: string): Promise<StoredRecord | null>
  findByEk(ekName: string): Promise<readonly StoredRecord[]>
  /** By the SHA-256 of the key of the EK: the rest of its public area, and so its name, is what its sender says. */
  findByEkKey(ekSpkiSha256: string): Promise<readonly StoredRecord[]>
  findByIdentity(identity: string): Promise<readonly StoredRecord[]>
  /** The first `pageLength` records whose AK name comes after this one, in the order of their AK names. */
  list(after?: string): Promise<readonly StoredRecord[]>
  /**
   * Each key has at most one change. What is right only when several EKs change at once may be refused.
   * `outcomes` are put behind the history of their keys.
   */
  commit(changes: readonly RecordChange[], outcomes?: readonly KeptOutcome[]): Promise<boolean>
  /** The last outcomes of a key, newest first, at most `historyLength`. */
  history(akName: string): Promise<readonly HistoryEntry[]>
}

/** All records, page after page: what is committed meanwhile may be among them or not. */
export async function* recordsIn(store: RegistryStore): AsyncGenerator<EnrolmentRecord> {
  for (let after = ''; ; ) {
    const page = await store.list(after)
    for (const { record } of page) yield record
    const last = page.at(-1)
    if (last === undefined || page.length < pageLength) return
    after = last.record.akName
  }
}
