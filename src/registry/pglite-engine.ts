import { Turns } from '../base/turns.ts'
import { PgliteThread, type StartWorker, startWorker } from './pglite-thread.ts'
import type { SqlEngine, SqlQueries, SqlRow, SqlValue } from './sql-engine.ts'
import { storeErrors } from './store-errors.ts'

/**
 * PGlite has neither of the helpers of a PostgreSQL server that remove old versions of rows and shorten the log; after
 * so many transactions it is done here, in tens of milliseconds.
 */
const transactionsBetweenCare = 1_000

export interface PgliteOptions {
  /** The compiled `pglite-worker`. */
  readonly entry?: URL
  /** Between two times of care. Default 1000. */
  readonly careEvery?: number
  readonly start?: StartWorker
}

const compiledWorker = () => new URL('./pglite-worker.js', import.meta.url)

/**
 * Makes a new database in a directory that is empty or not there, and ends. All of it has reached the disk when this
 * resolves. Takes some seconds, and some hundreds of megabytes meanwhile.
 */
export async function createPgliteDatabase(
  directory: string,
  { entry = compiledWorker(), start = startWorker }: PgliteOptions = {},
): Promise<void> {
  const thread = new PgliteThread(entry, { act: 'create', directory }, start)
  try {
    await thread.ready()
  } finally {
    await thread.close()
  }
}

/**
 * PostgreSQL as WebAssembly on a directory that this process alone uses: who opens it holds a lock, for nothing here
 * would notice a second user, and both would destroy it. Statements and transactions run one after another. If the
 * database ends, for want of room or by a bug, the next call opens it again, and its recovery finds every commit.
 */
export class PgliteEngine implements SqlEngine {
  readonly #directory: string
  readonly #entry: URL
  readonly #careEvery: number
  readonly #start: StartWorker
  #turns = new Turns()
  #thread: PgliteThread | null = null
  #transactions = 0
  #closed = false

  private constructor(
    directory: string,
    { entry = compiledWorker(), careEvery = transactionsBetweenCare, start = startWorker }: PgliteOptions,
  ) {
    this.#directory = directory
    this.#entry = entry
    this.#careEvery = careEvery
    this.#start = start
  }

  /** Opens the database in `directory`; it is never made here. Throws errors of `storeErrors`. */
  static async open(directory: string, options: PgliteOptions = {}): Promise<PgliteEngine> {
    const engine = new PgliteEngine(directory, options)
    try {
      await engine.#turns.take(() => engine.#care())
      return engine
    } catch (error) {
      await engine.close()
      throw error
    }
  }

  query(sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    return this.#turns.take(async () => (await this.#opened()).ask(sql, parameters))
  }

  async transaction<T>(run: (within: SqlQueries) => Promise<T>): Promise<T> {
    const result = await this.#turns.take(async () => transactionOn(await this.#opened(), run))
    this.#transactions += 1
    if (this.#transactions % this.#careEvery === 0) this.#turns.take(() => this.#care()).catch(() => undefined)
    return result
  }

  async close(): Promise<void> {
    this.#closed = true
    await this.#turns.take(async () => this.#thread?.close())
  }

  /** Where it fails the database has ended or refuses; whoever comes next hears of it. */
  async #care(): Promise<void> {
    const thread = await this.#opened()
    await thread.ask('VACUUM')
    await thread.ask('CHECKPOINT')
  }

  async #opened(): Promise<PgliteThread> {
    if (this.#closed) throw storeErrors.error('registry_unavailable', `${this.#directory}: the registry is closed`)
    if (this.#thread === null || this.#thread.hasEnded) {
      await this.#thread?.close()
      this.#thread = new PgliteThread(this.#entry, { act: 'open', directory: this.#directory }, this.#start)
    }
    await this.#thread.ready()
    return this.#thread
  }
}

async function transactionOn<T>(thread: PgliteThread, run: (within: SqlQueries) => Promise<T>): Promise<T> {
  await thread.ask('BEGIN')
  try {
    const result = await run({ query: (sql, parameters) => thread.ask(sql, parameters) })
    await thread.ask('COMMIT')
    return result
  } catch (error) {
    if (!thread.hasEnded) await thread.ask('ROLLBACK')
    throw error
  }
}
