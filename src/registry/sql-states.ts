import { SqlRefusal } from './sql-engine.ts'
import { storeErrors } from './store-errors.ts'

type StoreErrorCode = keyof typeof storeErrors.declared

/** SQLSTATEs that say something of the database, not of the statement; the longest beginning that fits counts. */
const meanings: Readonly<Record<string, StoreErrorCode>> = {
  '08': 'registry_unavailable',
  '25006': 'registry_unavailable', // read_only_sql_transaction: a standby
  '25P03': 'registry_unavailable', // idle_in_transaction_session_timeout
  '28': 'registry_access',
  '3D000': 'registry_access',
  '3F000': 'registry_access',
  '42501': 'registry_access', // insufficient_privilege
  '53': 'registry_unavailable',
  '53100': 'registry_storage_full',
  '57014': 'registry_unavailable', // query_canceled: statement_timeout
  '57P': 'registry_unavailable',
  '58030': 'registry_unavailable', // io_error
  XX001: 'registry_corrupt',
  XX002: 'registry_corrupt',
}

/** The error for a SQLSTATE that a database at `place` gave; a `SqlRefusal` where the statement is at fault. */
export function errorOfState(state: string, constraint: string | null, place: string): Error {
  const code = meanings[state] ?? meanings[state.slice(0, 3)] ?? meanings[state.slice(0, 2)]
  if (code === undefined) return new SqlRefusal(state, constraint)
  return storeErrors.error(code, `${place}: SQLSTATE ${state}`, { facts: { place, sqlstate: state } })
}
