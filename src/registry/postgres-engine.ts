import type { ConnectionOptions } from 'node:tls'
import type { Pool, PoolClient, PoolConfig, QueryResult } from 'pg'
import type { PostgresAddress } from './postgres-address.ts'
import { type SqlEngine, type SqlQueries, SqlRefusal, type SqlRow, type SqlValue } from './sql-engine.ts'
import { errorOfState } from './sql-states.ts'
import { storeErrors } from './store-errors.ts'

/** The files that an address names, in PEM. */
export interface PostgresPem {
  readonly root: string | null
  readonly own: { readonly certificate: string; readonly key: string } | null
}

/**
 * A handful of connections: commits of one verifier wait for one disk anyway. Every wait ends: for a connection, for a
 * lock, for a statement, and for a server that does not say anything more.
 */
const limits = {
  max: 4,
  connectionTimeoutMillis: 5_000,
  idleTimeoutMillis: 60_000,
  lock_timeout: 2_000,
  statement_timeout: 10_000,
  idle_in_transaction_session_timeout: 15_000,
  query_timeout: 20_000,
  keepAlive: true,
} as const

/** A database may be set not to wait for its disk; for a transaction of ours it does (ENR-06, ENR-12). */
const begin = `BEGIN ISOLATION LEVEL READ COMMITTED;
  SELECT set_config('synchronous_commit', 'on', true) WHERE current_setting('synchronous_commit') = 'off'`

function tlsOf({ host, tls }: PostgresAddress, pem: PostgresPem): false | ConnectionOptions {
  if (tls === null) return false
  const own = pem.own === null ? {} : { cert: pem.own.certificate, key: pem.own.key }
  const root = pem.root === null ? {} : { ca: pem.root }
  if (tls.mode === 'require') return { ...own, rejectUnauthorized: false }
  if (tls.mode === 'verify-ca') return { ...own, ...root, checkServerIdentity: () => undefined }
  // Node compares the certificate with this name; for an address of a network it would take `localhost` otherwise.
  return { ...own, ...root, host } as ConnectionOptions
}

function poolConfig(address: PostgresAddress, pem: PostgresPem): PoolConfig {
  const { host, port, user, database, password } = address
  const ssl = tlsOf(address, pem)
  const credentials = password === null ? {} : { password }
  return { ...limits, host, port, user, database, ...credentials, ssl, application_name: 'attestd' }
}

/** One connection, and what is known of it. */
class Session {
  readonly #client: PoolClient
  readonly #place: string
  /** What failed may have left it in any state. */
  #isSound = true
  /** The server ended it, or the network did: perhaps long ago, while nobody used it. */
  #isLost = false

  constructor(client: PoolClient, place: string) {
    this.#client = client
    this.#place = place
  }

  get isLost(): boolean {
    return this.#isLost
  }

  async run(sql: string, parameters: readonly SqlValue[] = []): Promise<QueryResult<SqlRow>> {
    try {
      return await this.#client.query<SqlRow>(sql, [...parameters])
    } catch (error) {
      const state = stateOf(error)
      this.#isLost = state === null ? !isTimeout(error) : state.startsWith('57P')
      this.#isSound &&= state !== null && !this.#isLost
      throw databaseError(error, this.#place)
    }
  }

  /** A COMMIT that does not commit says so, but does not fail. */
  async commit(): Promise<void> {
    const { command } = await this.run('COMMIT')
    if (command !== 'COMMIT') throw new SqlRefusal('25P02')
  }

  /** A connection that takes no ROLLBACK is thrown away, and the server rolls back. */
  async rollBack(): Promise<void> {
    if (!this.#isSound) return
    await this.run('ROLLBACK').catch(() => {
      this.#isSound = false
    })
  }

  release(): void {
    this.#client.release(!this.#isSound)
  }
}

/** SQLSTATE of what the server said; null where it said nothing. */
function stateOf(error: unknown): string | null {
  const { code, severity } = error as { code?: unknown; severity?: unknown }
  return typeof code === 'string' && /^[0-9A-Z]{5}$/.test(code) && severity !== undefined ? code : null
}

function isTimeout(error: unknown): boolean {
  return /timeout/i.test(String((error as Error).message))
}

/** Bugs pass through; words of the server stay behind, for they may repeat values. */
function databaseError(error: unknown, place: string): unknown {
  const state = stateOf(error)
  const { constraint } = error as { constraint?: string }
  if (state !== null) return errorOfState(state, constraint ?? null, place)
  if (error instanceof TypeError || !(error instanceof Error)) return error
  const { code } = error as NodeJS.ErrnoException
  const says = (code ?? error.message).slice(0, 200)
  return storeErrors.error('registry_unavailable', `${place}: ${says}`, { facts: { place } })
}

/** A PostgreSQL server. Connections that break are replaced; what was begun on them is reported, and never repeated. */
export class PostgresEngine implements SqlEngine {
  readonly #pool: Pool
  readonly #place: string

  private constructor(pool: Pool, place: string) {
    this.#pool = pool
    this.#place = place
    // Connections break while nobody uses them, too; whoever needs one next hears of it.
    pool.on('error', () => undefined)
    pool.on('connect', (client) => client.on('error', () => undefined))
  }

  /** Connects once, and asks whether the server waits for its disk. Throws errors of `storeErrors`. */
  static async open(address: PostgresAddress, pem: PostgresPem = { root: null, own: null }): Promise<PostgresEngine> {
    const { Pool: PoolOfDriver } = await import('pg')
    const engine = new PostgresEngine(new PoolOfDriver(poolConfig(address, pem)), address.place)
    try {
      await engine.#requireDurable()
      return engine
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  async query(sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    const { session, result } = await this.#begun((fresh) => fresh.run(sql, parameters))
    session.release()
    return result.rows
  }

  async transaction<T>(run: (within: SqlQueries) => Promise<T>): Promise<T> {
    const { session } = await this.#begun((fresh) => fresh.run(begin))
    try {
      const result = await run({ query: async (sql, parameters) => (await session.run(sql, parameters)).rows })
      await session.commit()
      return result
    } catch (error) {
      await session.rollBack()
      throw error
    } finally {
      session.release()
    }
  }

  async close(): Promise<void> {
    if (!this.#pool.ending) await this.#pool.end()
  }

  /**
   * A session after its first statement, which reads or begins. Where that finds the connection lost, as all are after
   * the server was started again, it is tried on another one: nothing has happened yet.
   */
  async #begun<T>(first: (session: Session) => Promise<T>): Promise<{ session: Session; result: T }> {
    for (let left: number = limits.max; ; left--) {
      const session = await this.#connected()
      try {
        return { session, result: await first(session) }
      } catch (error) {
        session.release()
        if (!session.isLost || left === 0) throw error
      }
    }
  }

  async #connected(): Promise<Session> {
    try {
      return new Session(await this.#pool.connect(), this.#place)
    } catch (error) {
      throw databaseError(error, this.#place)
    }
  }

  async #requireDurable(): Promise<void> {
    const asked = "SELECT current_setting('fsync') = 'on' AND current_setting('full_page_writes') = 'on' AS durable"
    const [row] = await this.query(asked)
    if (row?.['durable'] !== true) throw storeErrors.error('registry_not_durable', `${this.#place}: fsync is off`)
  }
}
