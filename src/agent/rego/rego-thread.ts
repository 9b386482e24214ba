import { Worker } from 'node:worker_threads'
import { Turns } from '../../base/turns.ts'
import type { RegoAnswer, RegoSetup, RegoTask } from './rego-worker.ts'

/**
 * In milliseconds. An evaluation that takes longer is an error (POL-961). Nobody waits for an inspection, and a start or a
 * reload on a busy machine should not fail for it.
 */
export const regoDeadlines = { start: 10_000, inspect: 3000, evaluate: 1000, idle: 20_000 } as const

/** Evaluations that wait, the running one included: with more of them the last would be answered after a minute. */
export const longestRegoQueue = 64

/** For what the library makes of results in JavaScript; the memory of the policy is beside it, and has its own limit. */
const resourceLimits = { maxOldGenerationSizeMb: 256, maxYoungGenerationSizeMb: 32, stackSizeMb: 4 }

type Failure = Extract<RegoAnswer, { failure: string }>

type Heard = { readonly message: unknown } | { readonly ended: string }

/** What the system refused to a thread, or what a policy used up, is no bug. */
function endOf(error: unknown): string {
  const { code } = (error ?? {}) as NodeJS.ErrnoException
  if (code === 'ERR_WORKER_OUT_OF_MEMORY') return 'the policy used up the memory of its thread'
  return `the thread of the policy ended (${code ?? 'without a reason'})`
}

/** The next message of a thread, or that there will be none. */
function hear(worker: Worker, withinMs: number): Promise<Heard> {
  return new Promise((resolve) => {
    const finish = (heard: Heard) => {
      clearTimeout(timer)
      worker.off('message', onMessage).off('error', onError).off('exit', onExit)
      resolve(heard)
    }
    const onMessage = (message: unknown) => finish({ message })
    const onError = (error: unknown) => finish({ ended: endOf(error) })
    const onExit = () => finish({ ended: endOf(null) })
    const tooLate = () => finish({ ended: `the policy took longer than ${withinMs} ms` })
    // A message that came while this thread was busy is still taken: messages are read before the next turn's immediates.
    const timer = setTimeout(() => setImmediate(tooLate), withinMs)
    worker.on('message', onMessage).on('error', onError).on('exit', onExit)
  })
}

/**
 * Runs one compiled policy in a thread of its own, one task after another, each with a fresh instance and a deadline. A thread
 * that does not answer is ended, whatever it does, and the next task gets a new one. It starts with the first task, ends
 * when there is none for long, and does not keep the process alive.
 */
export class RegoThread implements AsyncDisposable {
  #entry: URL
  #setup: RegoSetup
  #turns = new Turns()
  #waiting = 0
  #worker: Worker | undefined
  #ending = new Set<Promise<unknown>>()
  #idle: NodeJS.Timeout | undefined
  #closed = false

  /** `entry` is the compiled `rego-worker`. */
  constructor(setup: RegoSetup, entry = new URL('./rego-worker.js', import.meta.url)) {
    this.#setup = setup
    this.#entry = entry
  }

  /** Never rejects for what the policy does: that is a `failure`. */
  async perform(task: RegoTask): Promise<RegoAnswer> {
    if (this.#waiting >= longestRegoQueue) return { failure: `${longestRegoQueue} evaluations are waiting` }
    this.#waiting++
    clearTimeout(this.#idle)
    try {
      return await this.#turns.take(() => this.#ask(task))
    } finally {
      this.#waiting--
      if (this.#waiting === 0 && !this.#closed) this.#endWhenIdle()
    }
  }

  /** Ends the thread until there is a task again; without effect while there is one. */
  rest(): void {
    if (this.#waiting > 0) return
    clearTimeout(this.#idle)
    this.#end()
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.#closed = true
    clearTimeout(this.#idle)
    this.#end()
    await Promise.all(this.#ending)
  }

  async #ask(task: RegoTask): Promise<RegoAnswer> {
    if (this.#closed) return { failure: 'the policy is closed' }
    const worker = this.#worker ?? (await this.#started())
    if ('failure' in worker) return worker
    worker.postMessage(task)
    const heard = await hear(worker, regoDeadlines[task.do])
    if ('message' in heard) return heard.message as RegoAnswer
    this.#end()
    return { failure: heard.ended }
  }

  async #started(): Promise<Worker | Failure> {
    const worker = this.#spawn()
    if ('failure' in worker) return worker
    const heard = await hear(worker, regoDeadlines.start)
    if ('message' in heard && !this.#closed) return worker
    this.#end()
    if ('message' in heard) return { failure: 'the policy is closed' }
    return { failure: `the engine does not start: ${heard.ended}`, isOfEngine: true }
  }

  #spawn(): Worker | Failure {
    try {
      // Nothing of our environment, and no output: what a policy prints may be evidence.
      const quiet = { env: {}, stdin: false, stdout: true, stderr: true }
      const worker = new Worker(this.#entry, { name: 'rego', workerData: this.#setup, resourceLimits, ...quiet })
      worker.unref()
      worker.on('error', () => undefined)
      worker.on('exit', () => {
        if (this.#worker === worker) this.#worker = undefined
      })
      this.#worker = worker
      return worker
    } catch (error) {
      return { failure: endOf(error), isOfEngine: true }
    }
  }

  #end(): void {
    const worker = this.#worker
    this.#worker = undefined
    if (worker === undefined) return
    const ending = worker.terminate().finally(() => this.#ending.delete(ending))
    this.#ending.add(ending)
  }

  #endWhenIdle(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => this.#end(), regoDeadlines.idle).unref()
  }
}
