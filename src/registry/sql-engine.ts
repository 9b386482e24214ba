/** What goes to a database as a parameter; numbers and bigints as decimal text, so that no engine rounds them. */
export type SqlValue = string | boolean | null | Uint8Array

/** One row. Statements ask for `text`, `boolean` and `bytea` columns only: engines disagree about all others. */
export type SqlRow = Readonly<Record<string, unknown>>

export interface SqlQueries {
  /** One statement with its parameters `$1`, `$2`, …; never with values in its text. Rejects with `SqlRefusal`. */
  query(sql: string, parameters?: readonly SqlValue[]): Promise<readonly SqlRow[]>
}

/**
 * A database that speaks the dialect of PostgreSQL. Besides a `SqlRefusal`, whatever it rejects with is an error of
 * `storeErrors`: the database is away, full, damaged or not ours to use.
 */
export interface SqlEngine extends SqlQueries {
  /**
   * Runs `run` between BEGIN and COMMIT (read committed), and rolls back if it throws. When this resolves the changes
   * are on the disk. When it rejects because the database went away, it may have committed: nothing is tried twice.
   */
  transaction<T>(run: (within: SqlQueries) => Promise<T>): Promise<T>
  close(): Promise<void>
}

/**
 * The database refused a statement. What it said in words stays behind: messages of constraints and of types repeat
 * the values.
 */
export class SqlRefusal extends Error {
  /** SQLSTATE: five characters. */
  readonly state: string
  readonly constraint: string | null

  constructor(state: string, constraint: string | null = null) {
    super(`SQLSTATE ${state}${constraint === null ? '' : ` (${constraint})`}`)
    this.name = 'SqlRefusal'
    this.state = state
    this.constraint = constraint
  }
}
