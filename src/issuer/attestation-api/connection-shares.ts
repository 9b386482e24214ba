import type { Server, Socket } from 'node:net'
import { addressKey, type ProxyTrust, unknownAddress } from './client-address.ts'

export interface ConnectionShares {
  /** Connections that one address may have at the same time. */
  readonly most: number
  /** Peers behind which there are many clients. */
  readonly isProxy: ProxyTrust
}

/**
 * Cuts connections of an address that has its share already: who keeps a thousand of them open, and asks for nothing that is
 * counted, would take all that the server has. Who comes through a Unix socket has no address and is not counted.
 */
export function shareConnections(server: Server, { most, isProxy }: ConnectionShares): void {
  const open = new Map<string, number>()
  server.on('connection', (socket: Socket) => {
    const { remoteAddress } = socket
    const key = addressKey(remoteAddress)
    if (key === unknownAddress || isProxy(remoteAddress)) return
    const count = (open.get(key) ?? 0) + 1
    if (count > most) {
      socket.destroy()
      return
    }
    open.set(key, count)
    socket.once('close', () => {
      const left = (open.get(key) ?? 1) - 1
      if (left > 0) open.set(key, left)
      else open.delete(key)
    })
  })
}
