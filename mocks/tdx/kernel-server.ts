import { once } from 'node:events'
import { chmodSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { parseText, toBase64 } from '../../src/base/bytes.ts'
import { MalformedError } from '../../src/base/errors.ts'
import { type JsonObject, parseJsonObject } from '../../src/base/json.ts'
import { longestLine, type SimulatorAnswers, simulatorProtocol } from '../../src/platform/tsm-simulator.ts'
import type { SimulatedKernel } from './kernel.ts'

/** A simulated kernel behind a Unix socket, as `src/platform/tsm-simulator.ts` speaks to it. */
export interface ServedKernel extends AsyncDisposable {
  readonly path: string
  /** Ends all connections and removes the socket. */
  close(): Promise<void>
}

const newline = 0x0a

function textIn(request: JsonObject, member: string): string {
  const value = request[member]
  if (typeof value !== 'string') throw new MalformedError({ path: `request.${member}` }, 'is not text')
  return value
}

function numberIn(request: JsonObject, member: string): number {
  const value = request[member]
  if (typeof value === 'number' && Number.isInteger(value) && value >= 0) return value
  throw new MalformedError({ path: `request.${member}` }, 'is not a number from 0 on')
}

const bytesIn = (request: JsonObject, member: string) =>
  parseText(textIn(request, member), 'base64', `request.${member}`)
const base64OrNull = (bytes: Uint8Array | null) => (bytes === null ? null : toBase64(bytes))

type Operation = (kernel: SimulatedKernel, request: JsonObject) => Promise<SimulatorAnswers[keyof SimulatorAnswers]>

/** An operation that has nothing to tell but that it was done. */
function done(run: (kernel: SimulatedKernel, request: JsonObject) => Promise<void>): Operation {
  return async (kernel, request) => {
    await run(kernel, request)
    return null
  }
}

const operations: Readonly<Record<string, Operation>> = {
  mkdir: done(({ files }, request) => files.mkdir(textIn(request, 'name'))),
  rmdir: done(({ files }, request) => files.rmdir(textIn(request, 'name'))),
  list: ({ files }) => files.list(),
  writeOnce: done(({ files }, request) =>
    files.writeOnce(textIn(request, 'name'), textIn(request, 'attribute'), bytesIn(request, 'data')),
  ),
  readAll: async ({ files }, request) =>
    toBase64(await files.readAll(textIn(request, 'name'), textIn(request, 'attribute'), numberIn(request, 'limit'))),
  readRegister: async ({ registers }, request) => toBase64(await registers.read(numberIn(request, 'index'))),
  extendRegister: done(({ registers }, request) =>
    registers.extend(numberIn(request, 'index'), bytesIn(request, 'digest')),
  ),
  readBootLogTable: async ({ bootLog }) => base64OrNull(await bootLog.readTable()),
  readBootLog: async ({ bootLog }, request) => base64OrNull(await bootLog.readLog(numberIn(request, 'limit'))),
  readRuntimeLog: async ({ runtimeLog }, request) => base64OrNull(await runtimeLog.read(numberIn(request, 'limit'))),
  writeRuntimeLog: done(({ runtimeLog }, request) =>
    runtimeLog.writeAt(numberIn(request, 'offset'), bytesIn(request, 'data')),
  ),
  readRecord: async ({ runtimeLog }) => base64OrNull(await runtimeLog.readRecord()),
  writeRecord: done(({ runtimeLog }, request) => runtimeLog.writeRecord(bytesIn(request, 'data'))),
  removeRecord: done(({ runtimeLog }) => runtimeLog.removeRecord()),
}

function refusalOf(error: unknown): { code: string; syscall: string } {
  if (error instanceof Error && 'code' in error && 'syscall' in error) {
    return { code: String(error.code), syscall: String(error.syscall) }
  }
  if (error instanceof MalformedError) return { code: 'EPROTO', syscall: 'read' }
  throw error
}

/** One client: its requests one after another, `hello` first. What is no request of the protocol is answered `EPROTO`. */
class KernelConnection {
  readonly #kernel: SimulatedKernel
  readonly #socket: Socket
  #buffered: Buffer = Buffer.alloc(0)
  #greeted = false
  #last: Promise<void> = Promise.resolve()

  constructor(kernel: SimulatedKernel, socket: Socket) {
    this.#kernel = kernel
    this.#socket = socket
    socket.on('data', (chunk: Buffer) => this.#take(chunk))
    socket.on('error', () => socket.destroy())
  }

  #take(chunk: Buffer): void {
    this.#buffered = Buffer.concat([this.#buffered, chunk])
    for (let at = this.#buffered.indexOf(newline); at !== -1; at = this.#buffered.indexOf(newline)) {
      const line = new Uint8Array(this.#buffered.subarray(0, at))
      this.#buffered = this.#buffered.subarray(at + 1)
      this.#last = this.#last.then(() => this.#answer(line))
    }
    if (this.#buffered.length > longestLine) this.#socket.destroy()
  }

  async #answer(line: Uint8Array): Promise<void> {
    let answer: object
    try {
      answer = { ok: await this.#perform(parseJsonObject(line, 'request')) }
    } catch (error) {
      answer = { error: refusalOf(error) }
    }
    if (!this.#socket.destroyed) this.#socket.write(`${JSON.stringify(answer)}\n`)
  }

  async #perform(request: JsonObject): Promise<SimulatorAnswers[keyof SimulatorAnswers]> {
    const op = textIn(request, 'op')
    if (op === 'hello') {
      if (request['protocol'] !== simulatorProtocol) throw new MalformedError({ path: 'protocol' }, 'is another one')
      this.#greeted = true
      return { protocol: simulatorProtocol }
    }
    const operation = Object.hasOwn(operations, op) ? operations[op] : undefined
    if (!this.#greeted || !operation) throw new MalformedError({ path: 'request.op' }, 'is not expected')
    return operation(this.#kernel, request)
  }
}

async function closed(server: Server, sockets: ReadonlySet<Socket>): Promise<void> {
  const ended = once(server, 'close')
  server.close()
  for (const socket of sockets) socket.destroy()
  await ended
}

/** Serves `kernel` at a socket that only its owner may open; the path must be free. */
export async function serveKernel(kernel: SimulatedKernel, path: string): Promise<ServedKernel> {
  const sockets = new Set<Socket>()
  const server = createServer((socket) => {
    sockets.add(socket)
    socket.on('close', () => sockets.delete(socket))
    new KernelConnection(kernel, socket)
  })
  server.listen(path)
  await once(server, 'listening')
  chmodSync(path, 0o600)
  const close = () => closed(server, sockets)
  return { path, close, [Symbol.asyncDispose]: close }
}
