import type { Clock } from '../base/clock.ts'
import { AttestdError } from '../base/errors.ts'
import type { RandomSource } from '../base/random.ts'
import { abandonable } from '../base/tasks.ts'
import { platformErrors } from './errors.ts'
import { ReopenBackoff } from './reopen-backoff.ts'
import { messageBounds, statedLength, type TpmChannel } from './tpm-channel.ts'
import type { TpmPlan } from './tpm-plan.ts'

export interface TpmConnectionOptions {
  readonly plan: TpmPlan
  readonly clock: Clock
  readonly random: RandomSource
  /** For each command, from the moment it is its turn; opening included. */
  readonly timeoutMs: number
}

/** For status and doctor. */
export interface TpmConnectionState {
  readonly transport: TpmPlan['kind']
  readonly place: string
  readonly simulated: boolean
  readonly generation: number
  readonly open: boolean
  /** Code of the last failure since the last response; null if there is none. */
  readonly lastError: string | null
}

/** Commands that may wait behind the one in flight (NAT-23). */
const longestQueue = 64
/** Calls that were given up and have not returned: with one a new channel is opened, with two none (NAT-32). */
const mostStuck = 2

/** NAT-24; a command that is not well formed is a bug of its sender. */
function requireCommand(command: Uint8Array): void {
  const { min, max } = messageBounds
  if (command.length < min || command.length > max) throw new TypeError(`a TPM command of ${command.length} bytes`)
  if (statedLength(command) !== command.length) throw new TypeError('a TPM command whose header states another length')
}

const tags = { noSessions: 0x8001, sessions: 0x8002, unknownTag: 0x00c4 } as const

/** NAT-24; tag 00C4 answers a command whose tag the TPM does not know, and always with an error. */
function problemOfResponse(response: Uint8Array): string | undefined {
  const { min, max } = messageBounds
  if (response.length < min || response.length > max) return `a response of ${response.length} bytes`
  const stated = statedLength(response)
  if (stated !== response.length) return `a response of ${response.length} bytes whose header states ${stated}`
  const view = new DataView(response.buffer, response.byteOffset, response.length)
  const tag = view.getUint16(0)
  if (tag === tags.noSessions || tag === tags.sessions) return undefined
  if (tag === tags.unknownTag && view.getUint32(6) !== 0 && response.length === min) return undefined
  return `a response with tag 0x${tag.toString(16).padStart(4, '0')}`
}

/**
 * The connection to the TPM: one command at a time, first come first served (NAT-23), each with a deadline. After
 * a deadline or a failure the channel is closed and never used again; the next command opens another one, and
 * `generation` tells that transient objects and sessions of the old one are gone (NAT-26).
 *
 * `send` checks form and length of commands (`TypeError`) and responses (`TPM_RESPONSE_MALFORMED`), nothing else.
 * It throws `TPM_BUSY`, `TPM_TIMEOUT`, `TPM_IO`, `TPM_STUCK`, or what opening throws.
 */
export class TpmConnection implements AsyncDisposable {
  readonly kind: TpmPlan['kind']
  readonly simulated: boolean
  #options: TpmConnectionOptions
  #backoff: ReopenBackoff
  #turn: Promise<unknown> = Promise.resolve()
  #queued = 0
  #channel: TpmChannel | undefined
  #answered = false
  #generation = 1
  #stuck = 0
  #lastError: AttestdError | undefined
  #closed = false

  constructor(options: TpmConnectionOptions) {
    this.kind = options.plan.kind
    this.simulated = options.plan.simulated
    this.#options = options
    this.#backoff = new ReopenBackoff(options.clock, options.random)
  }

  /** Goes up when the channel is lost, so that a flow that began before sees that its handles are gone. */
  get generation(): number {
    return this.#channel?.usable() === false ? this.#generation + 1 : this.#generation
  }

  state(): TpmConnectionState {
    const { kind: transport, place, simulated } = this.#options.plan
    const open = this.#channel?.usable() ?? false
    return { transport, place, simulated, generation: this.generation, open, lastError: this.#lastError?.code ?? null }
  }

  /**
   * Sends one command and gives its response. When `signal` aborts while the command waits it is never sent; when
   * it is in flight its answer is awaited and dropped, because a TPM command cannot be taken back (NAT-12).
   */
  readonly send = async (command: Uint8Array, signal?: AbortSignal): Promise<Uint8Array> => {
    requireCommand(command)
    signal?.throwIfAborted()
    if (this.#queued > longestQueue) {
      throw platformErrors.error('TPM_BUSY', `${longestQueue} commands wait for the TPM`, { facts: this.#facts() })
    }
    const own = new Uint8Array(command)
    this.#queued++
    const answer = this.#turn.then(() => this.#take(own, signal)).finally(() => this.#queued--)
    this.#turn = answer.catch(() => undefined)
    return signal === undefined ? answer : abandonable(answer, signal)
  }

  /** Closes behind the command in flight; commands that wait are refused. Calls that were given up are not awaited. */
  async close(): Promise<void> {
    this.#closed = true
    await this.#turn
    const channel = this.#channel
    this.#channel = undefined
    await channel?.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #facts(): Record<string, string | number> {
    return { transport: this.kind, generation: this.#generation }
  }

  async #take(command: Uint8Array, signal: AbortSignal | undefined): Promise<Uint8Array> {
    signal?.throwIfAborted()
    if (this.#closed) throw platformErrors.error('TPM_UNAVAILABLE', 'the connection to the TPM has been closed')
    if (this.#channel?.usable() === false) this.#discard()
    if (this.#channel === undefined) this.#requireOpenable()
    const deadline = new AbortController()
    const answered = new AbortController()
    const { clock, timeoutMs } = this.#options
    clock.sleep(timeoutMs, answered.signal).then(
      () => deadline.abort(this.#timeout()),
      () => undefined,
    )
    try {
      return await this.#exchange(command, deadline.signal)
    } catch (error) {
      this.#lose(error)
      throw error
    } finally {
      answered.abort()
    }
  }

  #timeout(): AttestdError {
    const { plan, timeoutMs } = this.#options
    return platformErrors.error('TPM_TIMEOUT', `${plan.place}: no response in ${timeoutMs} ms`, {
      facts: this.#facts(),
    })
  }

  async #exchange(command: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const channel = await this.#opened(signal)
    const response = await this.#overseen(channel.exchange(command, signal), signal)
    const problem = problemOfResponse(response)
    if (problem !== undefined) {
      const detail = `${this.#options.plan.place}: ${problem}`
      throw platformErrors.error('TPM_RESPONSE_MALFORMED', detail, { facts: this.#facts() })
    }
    this.#answered = true
    this.#lastError = undefined
    this.#backoff.succeeded()
    return response
  }

  /** Gives up at the deadline, but goes on counting the call until it returns. */
  #overseen<T>(call: Promise<T>, signal: AbortSignal): Promise<T> {
    let givenUp = false
    const settled = () => {
      if (givenUp) this.#stuck--
    }
    call.then(settled, settled)
    const giveUp = () => {
      givenUp = true
      this.#stuck++
    }
    signal.addEventListener('abort', giveUp, { once: true })
    return abandonable(call, signal).finally(() => signal.removeEventListener('abort', giveUp))
  }

  async #opened(signal: AbortSignal): Promise<TpmChannel> {
    if (this.#channel) return this.#channel
    const opening = this.#options.plan.open(signal)
    try {
      this.#channel = await this.#overseen(opening, signal)
    } catch (error) {
      // A channel that comes after the deadline is closed again: nobody waits for it.
      opening.then((late) => late.close()).catch(() => undefined)
      throw error
    }
    this.#answered = false
    return this.#channel
  }

  #requireOpenable(): void {
    const { place } = this.#options.plan
    if (this.#stuck >= mostStuck) {
      throw platformErrors.error('TPM_STUCK', `${place}: ${this.#stuck} calls have not returned`, {
        facts: this.#facts(),
      })
    }
    const waitMs = this.#backoff.remaining()
    if (waitMs === 0) return
    const seconds = Math.ceil(waitMs / 1000)
    const detail = `${place}: not opened again for ${seconds} s, since ${this.#lastError?.message ?? 'it failed'}`
    throw platformErrors.error('TPM_UNAVAILABLE', detail, {
      cause: this.#lastError,
      facts: { ...this.#facts(), retry_after_s: seconds, cause_code: this.#lastError?.code ?? 'none' },
    })
  }

  /** A channel that failed before its first response counts like one that could not be opened (NAT-27). */
  #lose(error: unknown): void {
    if (error instanceof AttestdError) this.#lastError = error
    if (this.#channel === undefined || !this.#answered) this.#backoff.failed()
    this.#discard()
  }

  #discard(): void {
    if (this.#channel === undefined) return
    this.#generation++
    this.#channel.close().catch(() => undefined)
    this.#channel = undefined
  }
}
