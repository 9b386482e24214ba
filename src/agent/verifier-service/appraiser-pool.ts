import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import type { Appraiser } from '../embedded/appraiser.ts'

type Thread = Pick<Appraiser, 'appraiseTd' | 'judgeMaa'> & AsyncDisposable

export interface AppraiserPoolOptions {
  /** Threads, at least 1. */
  readonly size: number
  /** Makes one of them. */
  readonly create: () => Thread
}

/** Jobs that wait, for each thread (SVC-43). */
const waitingEach = 4

/** Unless the configuration says so: each has tens of megabytes, and whoever sends requests makes them start. */
const mostThreads = 8

/** Threads of a service whose configuration names no number, on a machine with so many processors. */
export function usualThreads(processors: number): number {
  return Math.min(processors, mostThreads)
}

interface Member {
  readonly thread: Thread
  jobs: number
}

/** Threads for appraisals. A job goes to the one that has the least to do; when all have enough, it is refused at once. */
export class AppraiserPool implements Thread {
  readonly #members: readonly Member[]

  constructor({ size, create }: AppraiserPoolOptions) {
    this.#members = Array.from({ length: size }, () => ({ thread: create(), jobs: 0 }))
  }

  /** As the appraiser's. Rejects with `AS.SERVICE.OVERLOADED` where too many wait. */
  readonly appraiseTd: Thread['appraiseTd'] = (...job) => this.#with((thread) => thread.appraiseTd(...job))

  /** Likewise. */
  readonly judgeMaa: Thread['judgeMaa'] = (question) => this.#with((thread) => thread.judgeMaa(question))

  /** Jobs at work and waiting. */
  get jobs(): number {
    return this.#members.reduce((sum, { jobs }) => sum + jobs, 0)
  }

  async #with<T>(work: (thread: Thread) => Promise<T>): Promise<T> {
    const [first, ...others] = this.#members
    if (first === undefined) throw new TypeError('a pool without threads')
    const idlest = others.reduce((least, member) => (member.jobs < least.jobs ? member : least), first)
    if (idlest.jobs > waitingEach) {
      throw attestationErrors.error('AS.SERVICE.OVERLOADED', `${waitingEach} jobs wait for each thread already`)
    }
    idlest.jobs += 1
    try {
      return await work(idlest.thread)
    } finally {
      idlest.jobs -= 1
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await Promise.all(this.#members.map(({ thread }) => thread[Symbol.asyncDispose]()))
  }
}
