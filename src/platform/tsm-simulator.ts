import { parseText, toBase64 } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import { SystemError } from './system-error.ts'
import { TurnwiseLines } from './turnwise-lines.ts'

/**
 * The way to a simulated TDX guest: the file operations of configfs-tsm, of the measurement registers and of the event
 * logs, over a Unix stream socket instead of the kernel (TDX-014). It is chosen explicitly; nothing falls back to it,
 * and all evidence that comes from it is marked as simulated.
 *
 * Protocol. Both sides write lines: one JSON object without a newline in it, then a newline, at most `longestLine`
 * bytes. The client sends one request and waits for its one answer before it sends the next; several clients may be
 * connected. The first request of a connection is `hello`. Bytes travel as standard base64 with padding.
 *
 * - Request: an object with the member `op`, one of `SimulatorRequest`, and the members listed there.
 * - Answer: `{"ok": VALUE}`, VALUE as in `SimulatorAnswers`; or `{"error": {"code": "EBUSY", "syscall": "read"}}` with
 *   the name of the errno that the kernel would have given, and of the call.
 *
 * What is between two requests is the kernel's: an entry lives until it is removed, also when its client goes away; a
 * `readAll` of `outblob` is answered when the quote is there. The runtime log lives with the registers, so that both
 * begin anew together.
 */
export const simulatorProtocol = 'attestd-tsm-simulator/1'

/** In bytes, the newline counted: room for a log of 4 MiB in base64. */
export const longestLine = 6 << 20

export type SimulatorRequest =
  | { readonly op: 'hello'; readonly protocol: string }
  | { readonly op: 'mkdir' | 'rmdir'; readonly name: string }
  | { readonly op: 'writeOnce'; readonly name: string; readonly attribute: string; readonly data: string }
  | { readonly op: 'readAll'; readonly name: string; readonly attribute: string; readonly limit: number }
  | { readonly op: 'list' }
  | { readonly op: 'readRegister'; readonly index: number }
  | { readonly op: 'extendRegister'; readonly index: number; readonly digest: string }
  | { readonly op: 'readBootLogTable' }
  | { readonly op: 'readBootLog' | 'readRuntimeLog'; readonly limit: number }
  | { readonly op: 'writeRuntimeLog'; readonly offset: number; readonly data: string }
  | { readonly op: 'readRecord' | 'removeRecord' }
  | { readonly op: 'writeRecord'; readonly data: string }

/** What `ok` holds; operations that are not listed answer null. */
export interface SimulatorAnswers {
  readonly hello: { readonly protocol: string }
  readonly list: readonly string[]
  /** Base64. */
  readonly readAll: string
  readonly readRegister: string
  /** Base64, or null where there is no such file. */
  readonly readBootLogTable: string | null
  readonly readBootLog: string | null
  readonly readRuntimeLog: string | null
  readonly readRecord: string | null
}

const errnoForm = /^E[A-Z0-9]{1,15}$/
const syscallForm = /^[a-z0-9_]{1,16}$/

function refusal(error: JsonValue | undefined): unknown {
  if (!isJsonObject(error)) return new MalformedError({ path: 'simulator.error' }, 'is not an object')
  const { code, syscall } = error
  if (typeof code !== 'string' || !errnoForm.test(code) || typeof syscall !== 'string' || !syscallForm.test(syscall)) {
    return new MalformedError({ path: 'simulator.error' }, 'has no code and syscall')
  }
  return new SystemError(code, syscall, 'the simulator')
}

function bytesIn(value: JsonValue, op: string): Uint8Array {
  if (typeof value !== 'string') throw new MalformedError({ path: `simulator.${op}` }, 'is not base64')
  return parseText(value, 'base64', `simulator.${op}`)
}

function namesIn(value: JsonValue): string[] {
  if (!Array.isArray(value)) throw new MalformedError({ path: 'simulator.list' }, 'is not a list')
  return value.map((name) => {
    if (typeof name === 'string') return name
    throw new MalformedError({ path: 'simulator.list' }, 'holds something else than names')
  })
}

/**
 * A simulated guest, as the attester's ports want it. Operations reject with errors that carry the errno the simulator
 * gave, with `ECONNREFUSED` and the like where it is not there, and with `MalformedError` for what is not its protocol.
 */
export class TsmSimulator implements AsyncDisposable {
  readonly simulated = true
  #lines: TurnwiseLines

  /** Nothing is opened before the first operation; a connection that was lost is opened anew by the next one. */
  constructor(socketPath: string) {
    this.#lines = new TurnwiseLines({
      path: socketPath,
      longestLine,
      greet: async (exchange) => {
        const told = answered(await exchange(line({ op: 'hello', protocol: simulatorProtocol })))
        if (isJsonObject(told) && told['protocol'] === simulatorProtocol) return
        throw new MalformedError({ path: 'simulator.hello' }, `does not speak ${simulatorProtocol}`)
      },
    })
  }

  readonly files = {
    mkdir: (name: string) => this.#tell({ op: 'mkdir', name }),
    writeOnce: (name: string, attribute: string, bytes: Uint8Array) =>
      this.#tell({ op: 'writeOnce', name, attribute, data: toBase64(bytes) }),
    readAll: async (name: string, attribute: string, limit: number) =>
      within(limit, bytesIn(await this.#ask({ op: 'readAll', name, attribute, limit }), 'readAll')),
    rmdir: (name: string) => this.#tell({ op: 'rmdir', name }),
    list: async () => namesIn(await this.#ask({ op: 'list' })),
  }

  readonly registers = {
    read: async (index: number) => bytesIn(await this.#ask({ op: 'readRegister', index }), 'readRegister'),
    extend: (index: number, digest: Uint8Array) =>
      this.#tell({ op: 'extendRegister', index, digest: toBase64(digest) }),
  }

  readonly bootLog = {
    readTable: () => this.#file({ op: 'readBootLogTable' }, 4096),
    readLog: (limit: number) => this.#file({ op: 'readBootLog', limit }, limit),
  }

  readonly runtimeLog = {
    read: (limit: number) => this.#file({ op: 'readRuntimeLog', limit }, limit),
    writeAt: (offset: number, bytes: Uint8Array) =>
      this.#tell({ op: 'writeRuntimeLog', offset, data: toBase64(bytes) }),
    readRecord: () => this.#file({ op: 'readRecord' }, longestLine),
    writeRecord: (record: Uint8Array) => this.#tell({ op: 'writeRecord', data: toBase64(record) }),
    removeRecord: () => this.#tell({ op: 'removeRecord' }),
  }

  /** Ends the connection at once; an operation under way is rejected. */
  async close(): Promise<void> {
    await this.#lines.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #ask(request: SimulatorRequest): Promise<JsonValue> {
    return answered(await this.#lines.exchange(line(request)))
  }

  async #tell(request: SimulatorRequest): Promise<void> {
    await this.#ask(request)
  }

  async #file(request: SimulatorRequest, limit: number): Promise<Uint8Array | null> {
    const found = await this.#ask(request)
    return found === null ? null : within(limit, bytesIn(found, request.op))
  }
}

const line = (request: SimulatorRequest): string => JSON.stringify(request)

function answered(received: Uint8Array): JsonValue {
  const answer = parseJsonObject(received, 'simulator')
  if (answer['error'] !== undefined) throw refusal(answer['error'])
  if (answer['ok'] === undefined) throw new MalformedError({ path: 'simulator' }, 'answers neither ok nor error')
  return answer['ok']
}

function within(limit: number, bytes: Uint8Array): Uint8Array {
  if (bytes.length > limit) throw new SystemError('EFBIG', 'read', 'the simulator')
  return bytes
}
