import type { Socket } from 'node:net'
import type { Clock } from '../base/clock.ts'
import { AttestdError } from '../base/errors.ts'
import type { CallerIdentity } from '../policies/caller-identity.ts'
import type { CallerHandle, CallerIdentifier, CallerLoss, CallerState } from './caller-identifier.ts'
import { settlesAtOnce, withDeadline } from './deadline.ts'
import { workloadApiErrors } from './errors.ts'

const lost = {
  caller_gone: 'the process that opened this connection has ended',
  caller_changed: 'the process that opened this connection is not the same any more',
  caller_unidentified: 'the kernel does not say any more who holds the other end of this connection',
} as const satisfies Readonly<Record<CallerLoss, string>>

const callerLost = (code: CallerLoss) => workloadApiErrors.error(code, lost[code])

/** Errors of a look-up and of its admission that the caller is told as they are. */
const passedOn: readonly string[] = ['identity_unavailable', 'rate_limited', 'caller_unidentified']

function identityError(error: unknown): AttestdError {
  if (error instanceof AttestdError) {
    if (error.code === 'caller_gone' || error.code === 'caller_changed') return callerLost(error.code)
    if (passedOn.includes(error.code)) return error
  }
  return workloadApiErrors.error('identity_unavailable', 'the kernel did not say in time who is calling', {
    cause: error,
  })
}

function rethrowIdentityError(error: unknown): never {
  throw identityError(error)
}

function requireSame({ caller }: CallerHandle, state: CallerState): CallerIdentity {
  if (state !== 'there') throw callerLost(state)
  return caller
}

export interface CallerWatchOptions {
  readonly identifier: CallerIdentifier
  readonly listener: string
  readonly clock: Pick<Clock, 'sleep'>
  readonly identityMs: number
  /** Gives a signal that aborts when the connection is gone; called only where something must be waited for. */
  readonly gone: () => AbortSignal
  /** Called once, when the caller is known; throws to refuse it. */
  readonly admit: (caller: CallerIdentity) => void
  /** Called at most once, when the look-up or the admission failed and the connection is still there. */
  readonly refused?: (error: AttestdError) => void
  /** Told once how the look-up ended: `ok`, or the code of the refusal. */
  readonly judged?: (identity: CallerIdentity['identity'] | null, result: string) => void
}

/**
 * The caller of one connection. It is looked up once, at accept, and stays the process that connected: a descriptor that
 * was handed on keeps its identity while that process lives, and dies with it (API-40, API-47, API-57).
 */
export class CallerWatch {
  #options: CallerWatchOptions
  /** Once the look-up has ended well. */
  #known: CallerHandle | null = null
  #lookUp: Promise<CallerHandle>
  #isOver = false

  constructor(socket: Socket, options: CallerWatchOptions) {
    this.#options = options
    this.#lookUp = this.#identify(socket)
    this.#lookUp.catch((error: unknown) => this.#refuse(error))
  }

  /** The connection is gone, and with it whoever connected. To be called once. */
  close(): void {
    this.#isOver = true
    this.#known?.close()
  }

  /**
   * Who connected, provided that it is still there: `caller_gone`, `caller_changed`, `identity_unavailable`. Without a
   * promise where nothing has to be waited for, as with every request on a Unix socket but the first.
   */
  requireThere(): CallerIdentity | Promise<CallerIdentity> {
    return this.#known === null ? this.#lookUp.then((handle) => this.#confirm(handle)) : this.#confirm(this.#known)
  }

  /** Most callers are known at once: nothing is made for a wait then. */
  #identify(socket: Socket): Promise<CallerHandle> {
    try {
      const found = this.#options.identifier.identify(socket, this.#options.listener)
      if (found instanceof Promise) return this.#limited(async (signal) => this.#admit(await found, signal))
      return Promise.resolve(this.#admit(found))
    } catch (error) {
      return Promise.reject(identityError(error))
    }
  }

  /** A look-up that ended too late is nobody's any more. */
  #admit(handle: CallerHandle, signal?: AbortSignal): CallerHandle {
    try {
      signal?.throwIfAborted()
      if (this.#isOver) throw callerLost('caller_gone')
      this.#options.admit(handle.caller)
    } catch (error) {
      handle.close()
      throw error
    }
    this.#known = handle
    this.#options.judged?.(handle.caller.identity, 'ok')
    return handle
  }

  #refuse(error: unknown): void {
    const { judged, refused } = this.#options
    const known = error instanceof AttestdError
    judged?.(null, known ? error.code : 'caller_gone')
    if (known && !this.#isOver) refused?.(error)
  }

  #confirm(handle: CallerHandle): CallerIdentity | Promise<CallerIdentity> {
    const state = this.#ask(handle)
    return typeof state === 'string' ? requireSame(handle, state) : this.#awaitState(handle, state)
  }

  #ask(handle: CallerHandle): CallerState | Promise<CallerState> {
    try {
      return handle.check()
    } catch (error) {
      throw identityError(error)
    }
  }

  async #awaitState(handle: CallerHandle, asked: Promise<CallerState>): Promise<CallerIdentity> {
    const atOnce = await settlesAtOnce(asked)
    return requireSame(handle, await (atOnce ? asked.catch(rethrowIdentityError) : this.#limited(() => asked)))
  }

  async #limited<T>(work: (signal: AbortSignal) => Promise<T>): Promise<T> {
    const { clock, identityMs: ms, gone } = this.#options
    const late = () => workloadApiErrors.error('identity_unavailable', `no answer from the kernel within ${ms} ms`)
    const outer = gone()
    try {
      return await withDeadline({ clock, ms, outer, late }, work)
    } catch (error) {
      throw outer.aborted ? error : identityError(error)
    }
  }
}
