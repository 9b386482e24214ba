import { access, constants } from 'node:fs/promises'
import { type TctiContext, type Tctildr, tctiCodes } from '../../native/tctildr.ts'
import type { AttestdError } from '../base/errors.ts'
import { platformErrors } from './errors.ts'
import { type TpmChannel, tpmSystemError } from './tpm-channel.ts'

/** Never for ever: a receive without limit blocks for good after an error (NAT-30). */
const sliceMs = 250

function hex(code: number): string {
  return `0x${code.toString(16).padStart(8, '0')}`
}

function ioError(doing: string, code: number, configuration: string): AttestdError {
  return platformErrors.error('TPM_IO', `${configuration}: ${doing} failed with ${hex(code)}`, {
    facts: { rc: hex(code), transport: 'tcti' },
  })
}

/** A TCTI context. After any code but TRY_AGAIN it is of no use any more (NAT-31): its owner closes it. */
class TctiChannel implements TpmChannel {
  #context: TctiContext
  #configuration: string
  #inFlight: Promise<unknown> = Promise.resolve()
  #closing: Promise<void> | undefined

  constructor(context: TctiContext, configuration: string) {
    this.#context = context
    this.#configuration = configuration
  }

  exchange(command: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const answer = this.#exchange(command, signal)
    this.#inFlight = answer.catch(() => undefined)
    return answer
  }

  usable(): boolean {
    return true
  }

  /** NAT-32: the context is freed behind the last call; a call that never returns leaks it, on purpose. */
  close(): Promise<void> {
    this.#closing ??= this.#inFlight.then(() => this.#context.finalize())
    return this.#closing
  }

  async #exchange(command: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const sent = await this.#context.transmit(command)
    if (sent !== tctiCodes.success) throw ioError('transmit', sent, this.#configuration)
    for (;;) {
      signal.throwIfAborted()
      const { code, response } = await this.#context.receive(sliceMs)
      if (code === tctiCodes.success) return response
      if (code !== tctiCodes.tryAgain) throw ioError('receive', code, this.#configuration)
    }
  }
}

/** The library says IO_ERROR for an absent device and for a forbidden one; the device itself tells which. */
async function openingError(configuration: string, code: number): Promise<unknown> {
  const device = /^device:(.+)$/.exec(configuration)?.[1]
  const options = { facts: { rc: hex(code), transport: 'tcti' } }
  if (code === tctiCodes.notSupported) {
    return platformErrors.error('TPM_TCTI_UNAVAILABLE', `${configuration}: there is no such TCTI library`, options)
  }
  if (device !== undefined) {
    const refused = await access(device, constants.R_OK | constants.W_OK).catch((cause: unknown) => cause)
    if (refused !== undefined) return tpmSystemError(refused, 'open', device)
  }
  return platformErrors.error('TPM_UNAVAILABLE', `${configuration}: initialize failed with ${hex(code)}`, options)
}

/** Opens a context by the configuration string; blocks a thread of the pool, not this one. */
export async function openTctiChannel(library: Tctildr, configuration: string): Promise<TpmChannel> {
  const { code, context } = await library.initialize(configuration)
  if (context === null) throw await openingError(configuration, code)
  return new TctiChannel(context, configuration)
}
