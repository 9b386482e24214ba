import { functionAt, openLibrary } from './ffi.ts'
import { loadLibc } from './libc.ts'

/** The same name in tpm2-tss 2.x to 4.x (NAT 2.1). */
export const tctildrSoname = 'libtss2-tctildr.so.0'

/** Room for one response: a smaller destination loses the answer and the context. */
export const responseRoom = 4096

/** Head of TSS2_TCTI_CONTEXT_COMMON_V1 on LP64: offsets in bytes, checked against the headers by a test (NAT-204). */
export const contextLayout = { size: 64, version: 8, transmit: 16, receive: 24 } as const

/** Result codes of the TCTI layer (10 << 16 | base). */
export const tctiCodes = {
  success: 0,
  badSequence: 0xa0007,
  tryAgain: 0xa0009,
  ioError: 0xa000a,
  notSupported: 0xa0015,
} as const

/** An open TCTI context. Calls never overlap: the caller sees to it (NAT-23, NAT-32). */
export interface TctiContext {
  /** Gives the result code. Blocks a thread of the pool until the command is sent. */
  transmit(command: Uint8Array): Promise<number>
  /** Gives a result code and, for `success`, the response. Waits `timeoutMs` where the TCTI honours it. */
  receive(timeoutMs: number): Promise<{ readonly code: number; readonly response: Uint8Array }>
  /** Frees the context; closing a device flushes its objects, which takes time. Only when no call is in flight. */
  finalize(): Promise<void>
}

export interface Tctildr {
  /** Opens a context for a TCTI configuration string. May block a thread for seconds: the device TCTI probes its TPM. */
  initialize(configuration: string): Promise<{ readonly code: number; readonly context: TctiContext | null }>
}

/**
 * Loads libtss2-tctildr. Throws `NATIVE_UNAVAILABLE` or `NATIVE_LIBRARY_MISSING`. The C libraries print to standard
 * error unless `TSS2_LOG` says otherwise before their first call: an operator's value is kept.
 */
export function loadTctildr(environment: NodeJS.ProcessEnv = process.env): Tctildr {
  const library = openLibrary(tctildrSoname)
  const initialize = library.bind('Tss2_TctiLdr_Initialize', 'u32', ['text', 'buffer'])
  const finalize = library.bind('Tss2_TctiLdr_Finalize', 'void', ['buffer'])
  const { peek } = loadLibc()
  return {
    async initialize(configuration) {
      environment['TSS2_LOG'] ??= 'all+NONE'
      const cell = Buffer.alloc(8)
      const { value: code } = await initialize.later(configuration, cell)
      if (code !== tctiCodes.success) return { code, context: null }
      const head = peek(cell.readBigUInt64LE(0), contextLayout.size)
      const context = openContext(cell, head, async () => {
        await finalize.later(cell)
      })
      return { code, context }
    },
  }
}

/** transmit and receive are macros in C: called through the pointers in the head of the context. */
function openContext(cell: Buffer, head: Buffer, finalize: () => Promise<void>): TctiContext {
  const address = cell.readBigUInt64LE(0)
  const version = head.readUInt32LE(contextLayout.version)
  if (version < 1) throw new TypeError(`a TCTI context of version ${version}`)
  const transmitAt = head.readBigUInt64LE(contextLayout.transmit)
  const receiveAt = head.readBigUInt64LE(contextLayout.receive)
  const transmit = functionAt(transmitAt, 'transmit', 'u32', ['address', 'size', 'buffer'])
  const receive = functionAt(receiveAt, 'receive', 'u32', ['address', 'buffer', 'buffer', 'i32'])
  return {
    async transmit(command) {
      return (await transmit.later(address, command.length, command)).value
    },
    async receive(timeoutMs) {
      const size = Buffer.alloc(8)
      size.writeBigUInt64LE(BigInt(responseRoom))
      const response = Buffer.alloc(responseRoom)
      const { value: code } = await receive.later(address, size, response, timeoutMs)
      const length = size.readBigUInt64LE(0)
      if (code === tctiCodes.success && length > BigInt(responseRoom)) {
        throw new TypeError(`a TCTI wrote ${length} bytes into ${responseRoom}`)
      }
      return { code, response: new Uint8Array(response.buffer, 0, code === tctiCodes.success ? Number(length) : 0) }
    },
    finalize,
  }
}
