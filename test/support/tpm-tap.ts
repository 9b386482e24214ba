import { once } from 'node:events'
import { rmSync } from 'node:fs'
import { createConnection, createServer, type Server, type Socket } from 'node:net'
import { execute } from '../../mocks/swtpm/execute.ts'
import type { RunningSwtpm, SwtpmClient } from '../../mocks/swtpm/swtpm.ts'
import { parseHeader } from '../../src/evidence/tpm/command-codec.ts'
import { capabilities, handleRanges } from '../../src/evidence/tpm/command-structures.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { statedLength } from '../../src/platform/tpm-channel.ts'

export const commandCodes = { quote: 0x158, activateCredential: 0x147, create: 0x153, load: 0x157 } as const

/** The wires between a machine and its TPM: commands pass one by one, are counted, and a test may send its own. */
export class TpmTap {
  #tpm: RunningSwtpm
  #client: SwtpmClient
  #counts = new Map<number, number>()
  #turn: Promise<unknown> = Promise.resolve()
  #sockets = new Set<Socket>()
  #servers: Server[] = []

  private constructor(tpm: RunningSwtpm, client: SwtpmClient) {
    this.#tpm = tpm
    this.#client = client
  }

  /** Takes the one connection that swtpm serves. */
  static async onto(tpm: RunningSwtpm): Promise<TpmTap> {
    return new TpmTap(tpm, await tpm.connect())
  }

  /** A command of the test itself; not counted. */
  readonly send = (command: Uint8Array): Promise<Uint8Array> => this.#inTurn(() => this.#client.send(command))

  /** How many commands of this code the machine has sent. */
  count(code: number): number {
    return this.#counts.get(code) ?? 0
  }

  /** Takes the power of the TPM away and gives it back; connections stay open, as those to a kernel driver do. */
  powerCycle(): Promise<void> {
    return this.#inTurn(() => this.#tpm.powerCycle(this.#client))
  }

  /**
   * Flushes what is loaded, as the resource manager of a kernel does when a process ends. To be called after a process
   * was killed; when a connection ends says nothing, because libtss2-tcti-swtpm makes one for each command.
   */
  async flush(): Promise<void> {
    for (const property of [handleRanges.transient, handleRanges.loadedSession, handleRanges.savedSession]) {
      const request = { capability: capabilities.handles, property, count: 254 }
      const { data } = await execute(this.send, tpm2.getCapability, request)
      if (data.capability !== 'handles') throw new Error('the TPM answered another capability than asked for')
      for (const flushed of data.handles) await execute(this.send, tpm2.flushContext, { flushed })
    }
  }

  /** Lets the machine at the TPM: at `path`, as swtpm would be. */
  async open(path: string): Promise<void> {
    await this.#serve(path, (socket) => this.#carry(socket))
    await this.#serve(`${path}.ctrl`, (socket) => {
      const behind = createConnection(`${this.#tpm.path}.ctrl`)
      behind.on('error', () => socket.destroy())
      behind.on('close', () => socket.destroy())
      socket.on('close', () => behind.destroy())
      socket.pipe(behind).pipe(socket)
    })
  }

  async close(): Promise<void> {
    const closed = this.#servers.map((server) => new Promise((resolve) => server.close(resolve)))
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all([...closed, this.#client.close()])
  }

  async #serve(path: string, take: (socket: Socket) => void): Promise<void> {
    rmSync(path, { force: true })
    const server = createServer((socket) => {
      this.#sockets.add(socket)
      socket.on('close', () => this.#sockets.delete(socket))
      socket.on('error', () => undefined)
      take(socket)
    })
    this.#servers.push(server)
    server.listen(path)
    await once(server, 'listening')
  }

  #carry(socket: Socket): void {
    let received = Buffer.alloc(0)
    socket.on('data', (chunk: Buffer) => {
      received = Buffer.concat([received, chunk])
      while (received.length >= 10 && received.length >= statedLength(received)) {
        const command = new Uint8Array(received.subarray(0, statedLength(received)))
        received = received.subarray(command.length)
        this.#pass(command, socket)
      }
    })
  }

  #pass(command: Uint8Array, socket: Socket): void {
    const { code } = parseHeader(command)
    this.#counts.set(code, this.count(code) + 1)
    this.send(command).then(
      (answer) => socket.write(answer),
      () => socket.destroy(),
    )
  }

  #inTurn<T>(work: () => Promise<T>): Promise<T> {
    const done = this.#turn.then(work)
    this.#turn = done.catch(() => undefined)
    return done
  }
}
