import { Worker } from 'node:worker_threads'
import { declareErrors } from '../../base/errors.ts'
import type { GuestEvidence } from '../../evidence/composite.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import type { ImaLogPart, TpmEvidence } from '../../evidence/tpm/evidence.ts'
import type { MaaQuestion, MaaVerdict } from '../../issuer/azure/maa-judge.ts'
import type { GuestInputs, ImaStageInputs } from '../../verifier/index.ts'
import { agentErrors } from '../errors.ts'
import {
  buffersOfTask,
  type EncodedDocument,
  type EncodingTask,
  type EvidenceTask,
  type FixedTpm,
  type JudgedGuest,
  type JudgedTd,
  type MaaAnswer,
  type TaskResult,
  type TdAppraisalTask,
} from './evidence-tasks.ts'
import type { ImaStart } from './ima-parts.ts'
import type { PolicyQuestion } from './policy-judge.ts'

export interface EvidenceJob {
  readonly id: number
  readonly task: EvidenceTask
}

export interface EvidenceOutcome {
  readonly id: number
  readonly value: TaskResult
}

/**
 * What takes time in proportion to evidence, away from the event loop. IMA log and container go to the thread without a
 * copy: after a call the bytes that were given with it are gone, and those of its result stand in their place.
 */
export interface Appraiser extends AsyncDisposable {
  /** `question`: policies that are asked about what is affirmed; without one nobody is. */
  appraise(evidence: GuestEvidence, inputs: GuestInputs, question?: PolicyQuestion): Promise<JudgedGuest>
  /** The same for the evidence of a TD that came over the wire. */
  appraiseTd(evidence: TdxEvidence, inputs: TdAppraisalTask['inputs'], question?: PolicyQuestion): Promise<JudgedTd>
  /** Asks a policy in the style of Azure; null for one that does not load any more. */
  judgeMaa(question: MaaQuestion): Promise<MaaVerdict | null>
  /** Fixes the bytes of a container, and digests them for the report data of the TD beside it (BRK-92). */
  fixContainer(evidence: TpmEvidence): Promise<FixedTpm>
  /** Judges a part of an IMA log that goes before the last one; null for one that cannot be gone on from (IMA-24). */
  stageImaPart(part: ImaLogPart, inputs: ImaStageInputs): Promise<ImaStart | null>
  /** Writes a document of evidence. Throws `EVIDENCE_TOO_LARGE` for what no verifier would read. */
  encodeDocument(parts: Omit<EncodingTask, 'do'>): Promise<string>
}

export const appraiserErrors = declareErrors({
  APPRAISER_BUSY: {
    kind: 'unavailable',
    title: 'more appraisals wait than the verifier takes at once',
    remedy: 'try again in a few seconds; if it lasts, look for a caller that asks for fresh tokens in a loop',
  },
  APPRAISER_STARVED: {
    kind: 'unavailable',
    title: 'the system has no memory or no descriptors left for an appraisal',
    remedy: 'look at the size of the IMA log and at the limits of the service (MemoryMax=, LimitNOFILE=)',
  },
  APPRAISAL_TIMEOUT: {
    kind: 'unavailable',
    title: 'an appraisal took longer than 30 seconds',
    remedy: 'look at the size of the IMA log; a log that grows without bound needs a narrower IMA policy',
  },
})

/** What the system refused to the thread, memory or descriptors, is no bug: the next appraisal may have more luck. */
function threadError(error: unknown): unknown {
  const { code } = error as NodeJS.ErrnoException
  if (code === undefined || !code.startsWith('ERR_WORKER_')) return error
  return appraiserErrors.error('APPRAISER_STARVED', `the appraisal thread ended (${code})`, { cause: error })
}

const longestQueue = 64
const longestAppraisalMs = 30_000

/** A thread holds more than 10 MB, and is started in less time than a TPM takes for a quote (BRK-163). */
const longestIdleMs = 20_000

interface Waiting {
  readonly resolve: (value: never) => void
  readonly reject: (error: unknown) => void
  readonly timer: NodeJS.Timeout
}

export interface WorkerAppraiserOptions {
  /** The compiled `appraisal-worker`. */
  readonly entry?: URL
  /** Called when the thread has ended because there was nothing to do. */
  readonly rested?: () => void
}

class WorkerAppraiser implements Appraiser {
  #entry: URL
  #rested: () => void
  #worker: Worker | undefined
  #waiting = new Map<number, Waiting>()
  #next = 1
  #idle: NodeJS.Timeout | undefined

  constructor({ entry, rested }: Required<WorkerAppraiserOptions>) {
    this.#entry = entry
    this.#rested = rested
  }

  appraise(evidence: GuestEvidence, inputs: GuestInputs, question?: PolicyQuestion): Promise<JudgedGuest> {
    return this.#perform({ do: 'appraise', evidence, inputs, ...(question === undefined ? {} : { question }) })
  }

  appraiseTd(evidence: TdxEvidence, inputs: TdAppraisalTask['inputs'], question?: PolicyQuestion): Promise<JudgedTd> {
    return this.#perform({ do: 'appraiseTd', evidence, inputs, ...(question === undefined ? {} : { question }) })
  }

  async judgeMaa(question: MaaQuestion): Promise<MaaVerdict | null> {
    return (await this.#perform<MaaAnswer>({ do: 'judgeMaa', question })).verdict
  }

  fixContainer(evidence: TpmEvidence): Promise<FixedTpm> {
    return this.#perform({ do: 'fixContainer', evidence })
  }

  stageImaPart(part: ImaLogPart, inputs: ImaStageInputs): Promise<ImaStart | null> {
    return this.#perform({ do: 'stageImaPart', part, inputs })
  }

  async encodeDocument(parts: Omit<EncodingTask, 'do'>): Promise<string> {
    const encoded = await this.#perform<EncodedDocument>({ do: 'encodeDocument', ...parts })
    if ('document' in encoded) return encoded.document
    throw agentErrors.error('EVIDENCE_TOO_LARGE', encoded.tooLarge)
  }

  #perform<T extends TaskResult>(task: EvidenceTask): Promise<T> {
    if (this.#waiting.size >= longestQueue) {
      return Promise.reject(appraiserErrors.error('APPRAISER_BUSY', `${longestQueue} appraisals are waiting`))
    }
    clearTimeout(this.#idle)
    const worker = this.#started()
    const id = this.#next++
    return new Promise((resolve, reject) => {
      const timer = setTimeout(() => this.#giveUp(), longestAppraisalMs)
      this.#waiting.set(id, { resolve, reject, timer })
      const job: EvidenceJob = { id, task }
      this.#send(worker, job)
    })
  }

  /** What cannot be sent is a bug of who asked; nobody may wait for it, least of all the jobs beside it. */
  #send(worker: Worker, job: EvidenceJob): void {
    try {
      worker.postMessage(job, buffersOfTask(job.task))
    } catch (error) {
      this.#settle(job.id)?.reject(error)
    }
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const worker = this.#worker
    this.#worker = undefined
    this.#failAll(appraiserErrors.error('APPRAISER_BUSY', 'the verifier is stopping'))
    clearTimeout(this.#idle)
    await worker?.terminate()
  }

  #started(): Worker {
    if (this.#worker) return this.#worker
    const worker = new Worker(this.#entry, { name: 'appraisal' })
    worker.unref()
    worker.on('message', ({ id, value }: EvidenceOutcome) => this.#settle(id)?.resolve(value as never))
    const ended = (error: unknown) => {
      if (this.#worker !== worker) return
      this.#worker = undefined
      this.#failAll(error)
    }
    worker.on('error', (error) => ended(threadError(error)))
    worker.on('exit', () => ended(appraiserErrors.error('APPRAISAL_TIMEOUT', 'the appraisal thread ended')))
    this.#worker = worker
    return worker
  }

  #settle(id: number): Waiting | undefined {
    const waiting = this.#waiting.get(id)
    this.#waiting.delete(id)
    clearTimeout(waiting?.timer)
    if (this.#waiting.size === 0) this.#endWhenIdle()
    return waiting
  }

  /** Nobody waits; the next appraisal stops the timer. */
  #endWhenIdle(): void {
    clearTimeout(this.#idle)
    this.#idle = setTimeout(() => {
      const worker = this.#worker
      this.#worker = undefined
      void worker?.terminate().then(this.#rested)
    }, longestIdleMs).unref()
  }

  /** A thread that does not answer is ended; the next appraisal gets a new one. */
  #giveUp(): void {
    const worker = this.#worker
    this.#worker = undefined
    this.#failAll(appraiserErrors.error('APPRAISAL_TIMEOUT', `no answer within ${longestAppraisalMs / 1000} s`))
    void worker?.terminate()
  }

  #failAll(error: unknown): void {
    for (const id of [...this.#waiting.keys()]) this.#settle(id)?.reject(error)
  }
}

/** Appraises in a worker thread, which starts with the first job and ends when there is none for long. */
export function createWorkerAppraiser({
  entry = new URL('./appraisal-worker.js', import.meta.url),
  rested = () => undefined,
}: WorkerAppraiserOptions = {}): Appraiser {
  return new WorkerAppraiser({ entry, rested })
}
