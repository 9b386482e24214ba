import { spawnSync } from 'node:child_process'
import { once } from 'node:events'
import { connect, createServer, type Server, type Socket } from 'node:net'
import { join } from 'node:path'

/** What a program without a network reaches all the same: `address:port` there is port `to` of loopback here. */
export interface Reached {
  readonly address: string
  readonly port: number
  readonly to: number
}

const inside = new URL('empty-network.mjs', import.meta.url).pathname
const inNamespaces = ['unshare', '--user', '--map-root-user', '--net']

function commandLine(reached: readonly object[], command: readonly string[]): readonly string[] {
  return [...inNamespaces, process.execPath, inside, JSON.stringify({ reached, command })]
}

function tryOnce(): boolean {
  const [program = '', ...args] = commandLine([], ['true'])
  return spawnSync(program, args, { stdio: 'ignore' }).status === 0
}

/** True where a process can be given a network of its own; needs no privileges where user namespaces are allowed (RC-05). */
export const haveEmptyNetworks = tryOnce()

/**
 * A network with nothing in it but what it is told to reach. Unix sockets with a path lead out of a network namespace; by
 * them its connections come here, and go on to loopback.
 */
export class EmptyNetwork implements AsyncDisposable {
  #ways: (Reached & { readonly socket: string })[] = []
  #servers: Server[] = []
  #sockets = new Set<Socket>()

  /** `folder`: for the sockets; nobody else may write there. */
  static async open(folder: string, reached: readonly Reached[]): Promise<EmptyNetwork> {
    const network = new EmptyNetwork()
    for (const way of reached) await network.#lead(way, join(folder, `${way.port}.sock`))
    return network
  }

  /** The command line that runs `command` in it. */
  commandLine(command: readonly string[]): readonly string[] {
    return commandLine(this.#ways, command)
  }

  async [Symbol.asyncDispose](): Promise<void> {
    for (const socket of this.#sockets) socket.destroy()
    await Promise.all(this.#servers.map((server) => once(server.close(), 'close')))
  }

  async #lead(way: Reached, socket: string): Promise<void> {
    const server = createServer({ allowHalfOpen: true }, (from) => this.#join(from, way.to))
    server.listen(socket)
    await once(server, 'listening')
    this.#servers.push(server)
    this.#ways.push({ ...way, socket })
  }

  #join(from: Socket, port: number): void {
    const to = connect({ host: '127.0.0.1', port, allowHalfOpen: true })
    for (const [one, other] of [[from, to] as const, [to, from] as const]) {
      this.#sockets.add(one)
      one.on('error', () => other.destroy())
      one.on('close', () => {
        this.#sockets.delete(one)
        other.destroy()
      })
      one.pipe(other)
    }
  }
}
