import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import {
  type CommandSession,
  encodeCommand,
  parseResponse,
  passwordSession,
  type TpmCommand,
} from '../../evidence/tpm/command-codec.ts'
import { capabilities, tpmProperties } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { decodeResponseCode, type TpmResponseCode } from '../../evidence/tpm/response-codes.ts'
import { attesterErrors } from '../errors.ts'
import { type CommandFacts, refusalError, understood } from './refusals.ts'
import type { TpmConnection } from './tpm-connection.ts'

export type TpmAnswer<Response> =
  | { readonly outcome: 'done'; readonly response: Response }
  | { readonly outcome: 'refused'; readonly code: TpmResponseCode }

/** Milliseconds before each further try (NAT 3.5). */
const delays = { repeat: [0, 20, 100, 500, 2000], 'repeat-later': [1000, 1000, 1000, 1000, 1000] } as const

type DialogueConnection = Omit<TpmConnection, typeof Symbol.asyncDispose>

/** Handles of objects and sessions that live until they are flushed: `02…`, `03…`, `80…`. */
function isTransient(handle: number): boolean {
  return [0x02, 0x03, 0x80].includes(handle >>> 24)
}

/**
 * The commands of one flow: sends them one after the other, does about refusals what NAT 3.5 says, and
 * remembers every object and session that came into being, so that `end` leaves none behind (NAT-28).
 * Aborting `signal` keeps the next command from being sent; a command under way cannot be stopped (NAT-12).
 */
export class TpmDialogue {
  #connection: DialogueConnection
  #clock: Clock
  #signal: AbortSignal
  #owned = new Set<number>()
  /** Of the connection, when the last response came: handles belong to it. */
  #generation: number | null = null
  #state: 'open' | 'broken' | 'untrusted' = 'open'

  constructor(connection: DialogueConnection, clock: Clock, signal: AbortSignal) {
    this.#connection = connection
    this.#clock = clock
    this.#signal = signal
  }

  /**
   * `broken`: the way to the TPM failed. `untrusted`: the TPM failed, does not speak sense or keeps what it should
   * flush; what it has loaded is unknown. Either way nothing more is sent.
   */
  get state(): 'open' | 'broken' | 'untrusted' {
    return this.#state
  }

  /** What errors about `command` carry. */
  factsFor(command: { readonly name: string }): CommandFacts {
    return { command: command.name, transport: this.#connection.kind }
  }

  /**
   * Carries out a command; sessions default to the empty password for each handle that needs one. Throws for
   * every refusal, by the table of NAT 3.5.
   */
  async execute<Request extends object, Response>(
    command: TpmCommand<Request, Response>,
    request: Request,
    sessions?: readonly CommandSession[],
  ): Promise<Response> {
    const answer = await this.attempt(command, request, sessions)
    if (answer.outcome === 'done') return answer.response
    throw refusalError(answer.code, this.factsFor(command))
  }

  /**
   * Like `execute`, but a refusal that says something about the request comes back as a value: "no such index",
   * "not for this TPM". Refusals about the TPM as a whole (no slots, locked out, not started) are thrown here too.
   */
  async attempt<Request extends object, Response>(
    command: TpmCommand<Request, Response>,
    request: Request,
    sessions: readonly CommandSession[] = Array.from({ length: command.authorised }, () => passwordSession),
  ): Promise<TpmAnswer<Response>> {
    const answer = await this.#persist(command, encodeCommand(command, request, sessions), this.#signal)
    if (answer.outcome === 'done') this.#remember(command, answer.response, sessions)
    else if (answer.code.reaction !== 'give-up') throw await this.#refusal(command, answer.code)
    return answer
  }

  /** Flushes an object or session before the end of the flow, to free its slot; what is not ours stays. */
  async release(handle: number): Promise<void> {
    if (!this.#owned.has(handle)) return
    await this.execute(tpm2.flushContext, { flushed: handle })
    this.#owned.delete(handle)
  }

  /** Flushes all that is left, whatever happened before; an aborted signal does not keep it from that. */
  async end(): Promise<void> {
    for (const handle of [...this.#owned].reverse()) {
      if (this.#state !== 'open') return
      await this.#flushAtEnd(handle)
    }
  }

  async #flushAtEnd(handle: number): Promise<void> {
    try {
      const command = encodeCommand(tpm2.flushContext, { flushed: handle })
      const answer = await this.#persist(tpm2.flushContext, command, new AbortController().signal)
      this.#owned.delete(handle)
      // What is not there any more needs no flushing; for any other reason it stays, until the connection is closed.
      if (answer.outcome === 'refused' && answer.code.name !== 'HANDLE') this.#state = 'untrusted'
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
    }
  }

  /** Sends the same bytes again as long as the TPM asks for it (NAT-58). */
  async #persist<Response>(
    command: TpmCommand<unknown, Response>,
    bytes: Uint8Array,
    signal: AbortSignal,
  ): Promise<TpmAnswer<Response>> {
    const tries = { repeat: 0, 'repeat-later': 0, start: 0 }
    for (;;) {
      signal.throwIfAborted()
      const answer = await this.#exchange(command, bytes)
      if (answer.outcome === 'done') return answer
      const { reaction } = answer.code
      if (reaction === 'failed') return this.#afterFailure(answer.code)
      if (reaction === 'repeat' || reaction === 'repeat-later') {
        const delay = delays[reaction][tries[reaction]++]
        if (delay === undefined) return answer
        if (delay > 0) await this.#clock.sleep(delay, signal)
      } else if (reaction === 'start' && this.#connection.simulated && tries.start++ === 0) {
        await this.#start()
      } else {
        return answer
      }
    }
  }

  /**
   * FAILURE says that the TPM is in failure mode, but some say it also of one command, such as OAEP decryption of
   * damaged bytes. In failure mode no random bytes come; then nothing more is sent until the TPM is opened anew.
   */
  async #afterFailure(code: TpmResponseCode): Promise<{ outcome: 'refused'; code: TpmResponseCode }> {
    const probe = await this.#exchange(tpm2.getRandom, encodeCommand(tpm2.getRandom, { bytes: 1 }))
    if (probe.outcome === 'done') return { outcome: 'refused', code: { ...code, reaction: 'give-up' } }
    this.#state = 'untrusted'
    return { outcome: 'refused', code }
  }

  /** A simulator has lost its power: there is no firmware that starts it, and whatever was loaded is gone. */
  async #start(): Promise<void> {
    await this.#exchange(tpm2.startup, encodeCommand(tpm2.startup, { startupType: 0 }))
    if (this.#owned.size === 0) return
    this.#owned.clear()
    throw attesterErrors.error('TPM_STATE_LOST', 'the TPM was restarted while keys or sessions were in use')
  }

  async #exchange<Response>(command: TpmCommand<unknown, Response>, bytes: Uint8Array): Promise<TpmAnswer<Response>> {
    const response = await this.#send(bytes)
    try {
      const outcome = understood(this.factsFor(command), () => parseResponse(command, response))
      return outcome.outcome === 'done' ? outcome : { outcome: 'refused', code: decodeResponseCode(outcome.rc) }
    } catch (error) {
      this.#state = 'untrusted'
      throw error
    }
  }

  async #send(command: Uint8Array): Promise<Uint8Array> {
    if (this.#generation !== null && this.#generation !== this.#connection.generation) {
      this.#state = 'broken'
      throw attesterErrors.error('TPM_STATE_LOST', 'the connection to the TPM was lost between two commands')
    }
    try {
      const response = await this.#connection.send(command)
      this.#generation = this.#connection.generation
      return response
    } catch (error) {
      // A command that found no place in the queue was not sent: the connection, and what it holds, are as before.
      if (!(error instanceof AttestdError && error.code === 'TPM_BUSY')) this.#state = 'broken'
      throw error
    }
  }

  /** A new handle is ours to flush; a policy session that did not ask to go on has ended with the command. */
  #remember(command: TpmCommand<unknown, unknown>, response: unknown, sessions: readonly CommandSession[]): void {
    for (const { handle, attributes } of sessions) if ((attributes & 1) === 0) this.#owned.delete(handle)
    if (command.returns === null) return
    const handle = (response as Readonly<Record<string, number>>)[command.returns]
    if (handle !== undefined && isTransient(handle)) this.#owned.add(handle)
  }

  async #refusal(command: TpmCommand<unknown, unknown>, code: TpmResponseCode): Promise<AttestdError> {
    const facts = this.factsFor(command)
    if (code.reaction !== 'locked-out') return refusalError(code, facts)
    return refusalError(code, { ...facts, ...(await this.#lockout()) })
  }

  /** When passwords will be taken again: in seconds, as far as the TPM tells. */
  async #lockout(): Promise<Record<string, number>> {
    const names: Readonly<Record<number, string>> = {
      [tpmProperties.lockoutCounter]: 'failed_tries',
      [tpmProperties.lockoutInterval]: 'lockout_interval_s',
      [tpmProperties.lockoutRecovery]: 'lockout_recovery_s',
    }
    const request = { capability: capabilities.properties, property: tpmProperties.lockoutCounter, count: 4 }
    const answer = await this.#exchange(tpm2.getCapability, encodeCommand(tpm2.getCapability, request))
    if (answer.outcome === 'refused' || answer.response.data.capability !== 'properties') return {}
    const known = answer.response.data.properties.filter(({ property }) => property in names)
    return Object.fromEntries(known.map(({ property, value }) => [names[property] ?? '', value]))
  }
}
