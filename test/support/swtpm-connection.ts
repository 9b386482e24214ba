import type { RunningSwtpm, SwtpmClient } from '../../mocks/swtpm/swtpm.ts'
import type { TpmConnection } from '../../src/attester/tpm/tpm-connection.ts'
import { parseHeader } from '../../src/evidence/tpm/command-codec.ts'

/** Stands in the way of commands: may change, drop, delay or answer them. `send` carries a command to the TPM. */
export type Interference = (
  command: Uint8Array,
  send: (command: Uint8Array) => Promise<Uint8Array>,
) => Promise<Uint8Array>

/**
 * A connection to a simulated TPM that opens itself anew after every error, as the agent's own does. It records
 * command codes, and lets a test interfere.
 */
export class SwtpmConnection implements TpmConnection {
  readonly kind = 'swtpm'
  readonly simulated: boolean
  generation = 1
  /** Codes of the commands so far. */
  readonly codes: number[] = []
  interfere: Interference = (command, send) => send(command)
  #tpm: () => RunningSwtpm
  #client: SwtpmClient | null = null

  constructor(tpm: () => RunningSwtpm, { simulated = true } = {}) {
    this.#tpm = tpm
    this.simulated = simulated
  }

  readonly send = async (command: Uint8Array): Promise<Uint8Array> => {
    this.codes.push(parseHeader(command).code)
    try {
      return await this.interfere(command, async (bytes) => (await this.client()).send(bytes))
    } catch (error) {
      await this[Symbol.asyncDispose]()
      this.generation++
      throw error
    }
  }

  /** The client in use, for the test's own commands: swtpm serves one at a time. */
  async client(): Promise<SwtpmClient> {
    this.#client ??= await this.#tpm().connect()
    return this.#client
  }

  async [Symbol.asyncDispose](): Promise<void> {
    const client = this.#client
    this.#client = null
    await client?.close()
  }
}
