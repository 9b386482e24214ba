import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import { TpmDialogue } from './dialogue.ts'
import { flushAllBut, listLoaded } from './loaded-handles.ts'
import type { TpmConnection } from './tpm-connection.ts'

/** Some commands that belong together; what it loads is flushed when it ends, however it ends. */
export type TpmFlow<T> = (tpm: TpmDialogue) => Promise<T>

/** After these a flow may succeed from its first command on: handles and sessions are made anew (NAT-26, NAT 3.5). */
const restartable = new Set(['TPM_IO', 'TPM_TIMEOUT', 'TPM_STATE_LOST', 'TPM_NO_SLOTS'])

function mayRestart(error: unknown): boolean {
  return error instanceof AttestdError && restartable.has(error.code)
}

/**
 * Runs flows on one connection, which it opens when first needed. The caller sees to it that flows do not
 * overlap. A flow restarts at most once, on a connection that has opened itself anew.
 */
export class TpmFlowRunner {
  #connect: () => Promise<TpmConnection>
  #clock: Clock
  #connection: TpmConnection | null = null
  /** What others had loaded before our first flow that has not been cleaned up yet; simulators only. */
  #before: ReadonlySet<number> | null = null

  constructor(connect: () => Promise<TpmConnection>, clock: Clock) {
    this.#connect = connect
    this.#clock = clock
  }

  /**
   * Gives what `flow` gives, and whether a test double gave it. Rejects with the signal's reason once it aborts. `once`:
   * for what must not be done twice, and may have been done although the connection failed (NAT-58).
   */
  async run<T>(
    flow: TpmFlow<T>,
    signal: AbortSignal,
    { once = false }: { readonly once?: boolean } = {},
  ): Promise<{ readonly value: T; readonly simulated: boolean }> {
    for (let restarts = once ? 1 : 0; ; restarts++) {
      try {
        return await this.#once(flow, signal)
      } catch (error) {
        if (restarts > 0 || signal.aborted || !mayRestart(error)) throw error
      }
    }
  }

  /** Closes the connection. Only between flows. */
  async close(): Promise<void> {
    const connection = this.#connection
    this.#connection = null
    await connection?.[Symbol.asyncDispose]()
  }

  async #once<T>(flow: TpmFlow<T>, signal: AbortSignal): Promise<{ value: T; simulated: boolean }> {
    signal.throwIfAborted()
    const connection = await this.#opened()
    const tpm = new TpmDialogue(connection, this.#clock, signal)
    try {
      await this.#takeStock(connection, tpm)
      return { value: await flow(tpm), simulated: connection.simulated }
    } finally {
      await tpm.end()
      if (tpm.state === 'open') this.#before = null
      else await this.#recover(tpm.state)
    }
  }

  async #opened(): Promise<TpmConnection> {
    this.#connection ??= await this.#connect()
    return this.#connection
  }

  /** A simulator keeps what a lost connection had loaded; a resource manager does not, and is not asked. */
  async #takeStock(connection: TpmConnection, tpm: TpmDialogue): Promise<void> {
    if (!connection.simulated) return
    if (this.#before === null) this.#before = await listLoaded(tpm)
    else await flushAllBut(tpm, this.#before)
  }

  /**
   * A resource manager flushes what a closed connection had loaded, and a connection that failed is closed; one
   * whose TPM speaks no sense is closed here. On a simulator what is left is flushed now, or before the next flow.
   */
  async #recover(state: 'broken' | 'untrusted'): Promise<void> {
    if (state === 'untrusted') await this.close()
    if (this.#before === null) return
    try {
      const tpm = new TpmDialogue(await this.#opened(), this.#clock, new AbortController().signal)
      await flushAllBut(tpm, this.#before)
      this.#before = null
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
    }
  }
}
