import type { Columns } from './sql-columns.ts'
import { type SqlEngine, type SqlQueries, SqlRefusal } from './sql-engine.ts'
import { storeErrors } from './store-errors.ts'

/** A change does not fit to what the database holds by now; ends its transaction. */
export class Outdated extends Error {}

/** unique_violation and foreign_key_violation: another verifier put something there meanwhile. */
const conflicts = new Set(['23505', '23503'])
/** serialization_failure, deadlock_detected, lock_not_available: nothing happened, and the next try may succeed. */
const passing = new Set(['40001', '40P01', '55P03'])
const attempts = 5

function refused(cause: SqlRefusal): Error {
  return storeErrors.error('registry_statement', cause.message, { cause, facts: { sqlstate: cause.state } })
}

/** Runs `act`; a statement that the database refused is an error of `storeErrors`. */
export async function asStoreError<T>(act: () => Promise<T>): Promise<T> {
  try {
    return await act()
  } catch (error) {
    throw error instanceof SqlRefusal ? refused(error) : error
  }
}

/** Null: try again. */
async function tryCommit(engine: SqlEngine, run: (database: SqlQueries) => Promise<void>): Promise<boolean | null> {
  try {
    await engine.transaction(run)
    return true
  } catch (error) {
    if (error instanceof Outdated) return false
    if (!(error instanceof SqlRefusal)) throw error
    if (conflicts.has(error.state)) return false
    if (passing.has(error.state)) return null
    throw refused(error)
  }
}

/**
 * Commits what `run` does, all of it or nothing. False, with nothing changed, where it throws `Outdated` or where what
 * others wrote meanwhile stands against it. Throws what the engine throws; `registry_unavailable` where the outcome is
 * not known, or others stood in the way for long.
 */
export async function commitWithin(engine: SqlEngine, run: (database: SqlQueries) => Promise<void>): Promise<boolean> {
  for (let attempt = 0; attempt < attempts; attempt++) {
    const done = await tryCommit(engine, run)
    if (done !== null) return done
  }
  throw storeErrors.error('registry_unavailable', `other changes stood in the way ${attempts} times`)
}

/** Names of tables and columns are this program's own words; values are parameters. */
export async function insert(database: SqlQueries, table: string, columns: Columns): Promise<void> {
  const names = Object.keys(columns)
  const places = names.map((_, index) => `$${index + 1}`)
  await database.query(
    `INSERT INTO ${table} (${names.join(', ')}) VALUES (${places.join(', ')})`,
    Object.values(columns),
  )
}
