import type { TpmConnection } from '../../src/attester/tpm/tpm-connection.ts'
import {
  type AnyTpmCommand,
  encodeRefusal,
  encodeResponse,
  parseCommand,
  parseHeader,
  type RequestOf,
  type ResponseOf,
} from '../../src/evidence/tpm/command-codec.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'

/** A response, a response code that refuses, raw bytes, or an error of the transport. */
export type ScriptedAnswer<Response> = Response | number | Uint8Array | Error

type Behaviour = (request: never, turn: number) => ScriptedAnswer<object>

const commandsByCode = new Map<number, AnyTpmCommand>(Object.values(tpm2).map((command) => [command.code, command]))

/**
 * A TPM that does what the test says: `on` gives a command its behaviour (with the number of its calls, from 0).
 * Flushing works unless the test says otherwise; any other command is an error of the test.
 */
export class ScriptedTpm implements TpmConnection {
  readonly kind: TpmConnection['kind']
  readonly simulated: boolean
  generation = 1
  closed = 0
  /** Names of the commands received, without `TPM2_`. */
  readonly received: string[] = []
  readonly sent: Uint8Array[] = []
  #behaviours = new Map<number, Behaviour>()
  #turns = new Map<number, number>()

  constructor({ kind = 'device' as TpmConnection['kind'], simulated = false } = {}) {
    this.kind = kind
    this.simulated = simulated
    this.on(tpm2.flushContext, () => ({}))
  }

  on<C extends AnyTpmCommand>(
    command: C,
    behaviour: (request: RequestOf<C>, turn: number) => ScriptedAnswer<ResponseOf<C>>,
  ): this {
    this.#behaviours.set(command.code, behaviour as Behaviour)
    return this
  }

  readonly send = async (bytes: Uint8Array): Promise<Uint8Array> => {
    const { code } = parseHeader(bytes)
    const command = commandsByCode.get(code)
    const behaviour = this.#behaviours.get(code)
    if (command === undefined || behaviour === undefined) throw new Error(`unexpected command 0x${code.toString(16)}`)
    this.received.push(command.name.replace('TPM2_', ''))
    this.sent.push(bytes)
    const turn = this.#turns.get(code) ?? 0
    this.#turns.set(code, turn + 1)
    const answer = behaviour(parseCommand(command, bytes).request as never, turn)
    if (answer instanceof Error) {
      this.generation++
      throw answer
    }
    if (answer instanceof Uint8Array) return answer
    return typeof answer === 'number' ? encodeRefusal(answer) : encodeResponse(command, answer)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    this.closed++
  }
}
