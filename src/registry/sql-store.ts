import type { HistoryEntry } from './appraisal-history.ts'
import { historyLength } from './appraisal-history.ts'
import { type EnrolmentRecord, holdsIdentity, isLive } from './enrolment-record.ts'
import { migrate } from './migrations.ts'
import { SqlPolicyStore } from './policies/sql-policy-store.ts'
import {
  type KeptOutcome,
  pageLength,
  type RecordChange,
  type RegistryStore,
  type StoredRecord,
} from './registry-store.ts'
import type { Columns } from './sql-columns.ts'
import { asStoreError, commitWithin, insert, Outdated } from './sql-commit.ts'
import type { SqlEngine, SqlQueries, SqlValue } from './sql-engine.ts'
import {
  columnsOfEntry,
  columnsOfRecord,
  entryColumns,
  entryOf,
  identityKey,
  recordColumns,
  storedRecordOf,
} from './sql-rows.ts'

const byAk = `SELECT ${recordColumns} FROM attestd.enrolments WHERE ak_name = $1`
const byEk = `SELECT ${recordColumns} FROM attestd.enrolments WHERE ek_name = $1 ORDER BY created, ak_name`
const byEkKey = `SELECT ${recordColumns} FROM attestd.enrolments WHERE ek_spki_sha256 = $1 ORDER BY created, ak_name`
const byIdentity = `SELECT ${recordColumns} FROM attestd.enrolments WHERE identity_key = $1 ORDER BY created, ak_name`
const page = `SELECT ${recordColumns} FROM attestd.enrolments WHERE ak_name > $1
  ORDER BY ak_name LIMIT ${pageLength}`
const lastEntries = `SELECT ${entryColumns} FROM attestd.appraisals WHERE ak_name = $1
  ORDER BY id DESC LIMIT ${historyLength}`
const forgetOldest = `DELETE FROM attestd.appraisals WHERE ak_name = $1 AND id <=
  (SELECT id FROM attestd.appraisals WHERE ak_name = $1 ORDER BY id DESC OFFSET ${historyLength - 1} LIMIT 1)`
const held = 'SELECT version::text, held_key FROM attestd.enrolments WHERE ak_name = $1 FOR NO KEY UPDATE'
const holdIdentity = `INSERT INTO attestd.identity_holders (identity_key, ek_name) VALUES ($1, $2)
  ON CONFLICT (identity_key) DO NOTHING`
const freeIdentity = `DELETE FROM attestd.identity_holders WHERE identity_key = $1
  AND NOT EXISTS (SELECT FROM attestd.enrolments WHERE held_key = $1)`

/** What a change finds. */
interface Place {
  readonly change: RecordChange
  readonly heldBefore: Uint8Array | null
}

/**
 * Enrolments in a database that speaks PostgreSQL. Changes are compare-and-set on the versions of the rows; ENR-08 and
 * ENR-09 are constraints of the database besides, so that any number of verifiers may share it.
 */
export class SqlStore implements RegistryStore, AsyncDisposable {
  /** Policies in the same database. */
  readonly policies: SqlPolicyStore
  #engine: SqlEngine
  #release: () => Promise<void>

  private constructor(engine: SqlEngine, release: () => Promise<void>) {
    this.#engine = engine
    this.#release = release
    this.policies = new SqlPolicyStore(engine)
  }

  /**
   * Takes the engine over, and brings its schema up to date. `release` runs after the engine was closed, for what was
   * held to open it; if this rejects the engine is closed and nothing is released. Throws what `migrate` throws.
   */
  static async open(engine: SqlEngine, release = async () => {}): Promise<SqlStore> {
    try {
      await asStoreError(() => migrate(engine))
      return new SqlStore(engine, release)
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  async findByAk(akName: string): Promise<StoredRecord | null> {
    const [found] = await this.#records(byAk, akName)
    return found ?? null
  }

  findByEk(ekName: string): Promise<readonly StoredRecord[]> {
    return this.#records(byEk, ekName)
  }

  findByEkKey(ekSpkiSha256: string): Promise<readonly StoredRecord[]> {
    return this.#records(byEkKey, ekSpkiSha256)
  }

  async findByIdentity(identity: string): Promise<readonly StoredRecord[]> {
    return this.#records(byIdentity, identityKey(identity))
  }

  list(after = ''): Promise<readonly StoredRecord[]> {
    return this.#records(page, after)
  }

  async history(akName: string): Promise<readonly HistoryEntry[]> {
    return (await asStoreError(() => this.#engine.query(lastEntries, [akName]))).map(entryOf)
  }

  /** Throws what the engine throws; `registry_unavailable` where the outcome is not known, or others stood in the way for long. */
  async commit(changes: readonly RecordChange[], outcomes: readonly KeptOutcome[] = []): Promise<boolean> {
    return commitWithin(this.#engine, (database) => apply(database, changes, outcomes))
  }

  async close(): Promise<void> {
    await this.#engine.close()
    await this.#release()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #records(sql: string, parameter: SqlValue): Promise<readonly StoredRecord[]> {
    return (await asStoreError(() => this.#engine.query(sql, [parameter]))).map(storedRecordOf)
  }
}

async function apply(
  database: SqlQueries,
  changes: readonly RecordChange[],
  outcomes: readonly KeptOutcome[],
): Promise<void> {
  const places: Place[] = []
  // In one order, so that verifiers that change the same enrolments wait for each other in turn.
  for (const change of [...changes].sort(byName)) places.push(await lock(database, change))
  // What ends first: the database refuses the second live AK of an EK at once, not at the end.
  for (const place of places.sort(endsFirst)) await write(database, place)
  for (const place of places) await freeLeft(database, place)
  for (const { akName, entry } of outcomes) await append(database, akName, entry)
}

function byName(left: RecordChange, right: RecordChange): number {
  return left.record.akName < right.record.akName ? -1 : 1
}

function endsFirst(left: Place, right: Place): number {
  return Number(isLive(left.change.record)) - Number(isLive(right.change.record))
}

async function lock(database: SqlQueries, change: RecordChange): Promise<Place> {
  const [row] = await database.query(held, [change.record.akName])
  const version = row === undefined ? null : String(row['version'])
  if (version !== (change.expected === null ? null : String(change.expected))) throw new Outdated()
  const heldKey = row?.['held_key']
  return { change, heldBefore: heldKey instanceof Uint8Array ? heldKey : null }
}

async function write(database: SqlQueries, place: Place): Promise<void> {
  const { record, expected } = place.change
  const holds = heldBy(record)
  if (holds !== null && !isSame(holds, place.heldBefore)) await database.query(holdIdentity, [holds, record.ekName])
  const columns = { ...columnsOfRecord(record), version: String((expected ?? 0) + 1) }
  if (expected === null) await insert(database, 'attestd.enrolments', columns)
  else await update(database, record.akName, columns)
}

/** An identity that nobody holds any more may be taken by another EK (ENR-09). */
async function freeLeft(database: SqlQueries, { change, heldBefore }: Place): Promise<void> {
  if (heldBefore !== null && !isSame(heldBefore, heldBy(change.record))) {
    await database.query(freeIdentity, [heldBefore])
  }
}

function heldBy(record: EnrolmentRecord): Uint8Array | null {
  return record.identity !== null && holdsIdentity(record) ? identityKey(record.identity) : null
}

function isSame(left: Uint8Array, right: Uint8Array | null): boolean {
  return right !== null && Buffer.compare(left, right) === 0
}

async function append(database: SqlQueries, akName: string, entry: HistoryEntry): Promise<void> {
  await database.query(forgetOldest, [akName])
  await insert(database, 'attestd.appraisals', columnsOfEntry(akName, entry))
}

async function update(database: SqlQueries, akName: string, columns: Columns): Promise<void> {
  const names = Object.keys(columns)
  const places = names.map((name, index) => `${name} = $${index + 1}`)
  const sql = `UPDATE attestd.enrolments SET ${places.join(', ')} WHERE ak_name = $${names.length + 1}`
  await database.query(sql, [...Object.values(columns), akName])
}
