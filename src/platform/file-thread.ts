import { Worker } from 'node:worker_threads'
import { SystemError } from './system-error.ts'
import type { FileJob, FileOperation, FileOutcome } from './tsm-worker.ts'

interface Waiting {
  readonly path: string
  readonly resolve: (value: Uint8Array | string[] | null) => void
  readonly reject: (error: unknown) => void
}

/** What keeps a thread from starting, memory or descriptors, is a refusal of the system; a bug in the thread is none. */
function threadError(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  return code?.startsWith('ERR_WORKER_') ? new SystemError('ENOMEM', 'clone', 'the thread for files') : error
}

/**
 * File operations on a thread of their own, one after another, so that a read that blocks in the kernel holds up
 * neither the event loop nor the pool that Node's own file and name operations share (TDX-013). Operations reject with
 * `code` (name of the errno) and `syscall`. The thread starts with the first operation, and does not keep the process
 * alive. Nothing can take back an operation that blocks: those behind it wait, until the kernel lets go or `close`.
 */
export class FileThread implements AsyncDisposable {
  #entry: URL
  #worker: Worker | undefined
  #waiting = new Map<number, Waiting>()
  #next = 1
  #closed = false

  /** `entry` is the compiled `tsm-worker`. */
  constructor(entry = new URL('./tsm-worker.js', import.meta.url)) {
    this.#entry = entry
  }

  /** Operations that have not been answered: the one in the kernel, and those behind it. */
  get pending(): number {
    return this.#waiting.size
  }

  run(operation: FileOperation): Promise<Uint8Array | string[] | null> {
    const { path } = operation
    if (this.#closed) return Promise.reject(new SystemError('ECANCELED', operation.op, path))
    const worker = this.#started()
    const id = this.#next++
    return new Promise((resolve, reject) => {
      this.#waiting.set(id, { path, resolve, reject })
      worker.ref()
      const job: FileJob = { id, operation }
      worker.postMessage(job)
    })
  }

  /**
   * Rejects what is not answered, and ends the thread. A thread that is blocked in the kernel is abandoned: it ends when
   * the kernel lets go of it, and is not waited for.
   */
  async close(): Promise<void> {
    this.#closed = true
    const worker = this.#worker
    const blocked = this.#waiting.size > 0
    this.#lose(new SystemError('ECANCELED', 'read', 'the thread for files'))
    const ended = worker?.terminate().catch(() => undefined)
    if (!blocked) await ended
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #started(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(this.#entry, { name: 'files' })
    worker.on('message', (outcome: FileOutcome) => this.#settle(worker, outcome))
    const ended = (error: unknown) => {
      if (this.#worker === worker) this.#lose(error)
    }
    worker.on('error', (error) => ended(threadError(error)))
    worker.on('exit', () => ended(new SystemError('ECANCELED', 'exit', 'the thread for files')))
    this.#worker = worker
    return worker
  }

  #settle(worker: Worker, outcome: FileOutcome): void {
    const waiting = this.#waiting.get(outcome.id)
    this.#waiting.delete(outcome.id)
    if (this.#waiting.size === 0) worker.unref()
    if ('value' in outcome) waiting?.resolve(outcome.value)
    else waiting?.reject(new SystemError(outcome.code, outcome.syscall, waiting.path))
  }

  #lose(error: unknown): void {
    this.#worker = undefined
    const lost = [...this.#waiting.values()]
    this.#waiting.clear()
    for (const { reject } of lost) reject(error)
  }
}
