import { Worker, type WorkerOptions } from 'node:worker_threads'
import type { PgliteJob, PgliteReport, PgliteTask } from './pglite-worker.ts'
import type { SqlRow, SqlValue } from './sql-engine.ts'
import { errorOfState } from './sql-states.ts'
import { storeErrors } from './store-errors.ts'

/** Recovery after a crash reads what was written since the last checkpoint: some megabytes. */
const longestStartMs = 120_000
const longestStatementMs = 30_000
const startId = 0

/** Starts the compiled `pglite-worker` at `entry`. */
export type StartWorker = (entry: URL, options: WorkerOptions) => Worker

export const startWorker: StartWorker = (entry, options) => new Worker(entry, options)

interface Waiting {
  readonly resolve: (rows: readonly SqlRow[]) => void
  readonly reject: (error: unknown) => void
  readonly timer: NodeJS.Timeout
}

/** What the last words of PostgreSQL mean; `otherwise` is for words that are not among the known ones. */
function meaningOf(says: string, otherwise: 'registry_corrupt' | 'registry_unavailable') {
  if (/No space left|ENOSPC|Disk quota/.test(says)) return 'registry_storage_full'
  if (/incompatible with server|initialized by PostgreSQL version/.test(says)) return 'registry_schema'
  if (/Permission denied|Read-only file|EACCES|EPERM|EROFS|ERR_WORKER_|no answer/.test(says))
    return 'registry_unavailable'
  return /invalid page|checksum|corrupt/.test(says) ? 'registry_corrupt' : otherwise
}

/**
 * One PGlite in a thread of its own: there PostgreSQL computes and waits for the disk, not in the event loop. Jobs are
 * answered in their order. Once it has ended it stays so, and every job rejects with the reason.
 */
export class PgliteThread {
  readonly #worker: Worker
  readonly #directory: string
  readonly #ready: Promise<unknown>
  #waiting = new Map<number, Waiting>()
  #next = startId + 1
  #serves = false
  #ended: Error | null = null

  /** `entry` is the compiled `pglite-worker`. */
  constructor(entry: URL, task: PgliteTask, start: StartWorker) {
    this.#directory = task.directory
    this.#worker = start(entry, { name: 'registry', workerData: task })
    this.#worker.on('message', (report: PgliteReport) => this.#hear(report))
    this.#worker.on('error', (error) => this.#end((error as NodeJS.ErrnoException).code ?? String(error)))
    this.#worker.on('exit', () => this.#end('the database ended'))
    this.#ready = this.#expect(startId, longestStartMs)
  }

  get hasEnded(): boolean {
    return this.#ended !== null
  }

  /** Resolves when the database serves, or was created; rejects with an error of `storeErrors`. */
  async ready(): Promise<void> {
    await this.#ready
  }

  async ask(sql: string, parameters: readonly SqlValue[] = []): Promise<readonly SqlRow[]> {
    if (this.#ended !== null) throw this.#ended
    const id = this.#next++
    const job: PgliteJob = { id, sql, parameters }
    const answer = this.#expect(id, longestStatementMs)
    this.#worker.postMessage(job)
    return await answer
  }

  /** Shuts the database down after the jobs that it has, or ends it if that takes long. Waits for the end of the thread. */
  async close(): Promise<void> {
    if (this.#ended === null) await this.#shutDown()
    this.#end('the registry is closed')
    await this.#worker.terminate()
  }

  #shutDown(): Promise<void> {
    return new Promise((resolve) => {
      const timer = setTimeout(resolve, longestStatementMs)
      this.#worker.ref()
      this.#worker.once('exit', () => {
        clearTimeout(timer)
        resolve()
      })
      this.#worker.postMessage('close')
    })
  }

  #expect(id: number, limitMs: number): Promise<readonly SqlRow[]> {
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(limitMs), limitMs)
      this.#waiting.set(id, { resolve, reject, timer })
      this.#worker.ref()
    })
  }

  #hear(report: PgliteReport): void {
    switch (report.is) {
      case 'ended':
        this.#end(report.says)
        break
      case 'ready':
        this.#serves = true
        this.#settle(startId)?.resolve([])
        break
      case 'done':
        this.#settle(report.id)?.resolve(report.rows)
        break
      case 'refused':
        this.#settle(report.id)?.reject(errorOfState(report.state, report.constraint, this.#directory))
        break
    }
  }

  /** What nobody waits for does not keep the process alive. */
  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(waiting?.timer)
    if (this.#waiting.size === 0) this.#worker.unref()
    return waiting
  }

  #giveUp(limitMs: number): void {
    this.#end(`no answer within ${limitMs / 1000} s`)
    void this.#worker.terminate()
  }

  #end(says: string): void {
    if (this.#ended !== null) return
    const code = meaningOf(says, this.#serves ? 'registry_unavailable' : 'registry_corrupt')
    const facts = { directory: this.#directory }
    this.#ended = storeErrors.error(code, `${this.#directory}: ${says}`, { facts })
    for (const id of [...this.#waiting.keys()]) this.#settle(id)?.reject(this.#ended)
  }
}
