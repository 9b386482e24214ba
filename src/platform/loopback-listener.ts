import { once } from 'node:events'
import type { Server } from 'node:net'
import { platformErrors } from './errors.ts'

const backlog = 256
const addressForm = /^(?:(127\.0\.0\.1)|\[(::1)\]):(0|[1-9][0-9]{0,4})$/

/** Address and port of `127.0.0.1:PORT` or `[::1]:PORT`; null for everything else, other loopback addresses included. */
export function parseLoopbackAddress(text: string): { readonly host: string; readonly port: number } | null {
  const [, four, six, digits] = addressForm.exec(text) ?? []
  const host = four ?? six
  const port = Number(digits)
  return host === undefined || port > 65_535 ? null : { host, port }
}

/**
 * Binds `server` to `127.0.0.1:PORT` or `[::1]:PORT` and listens; any other address is refused, and there is no way
 * around that (API-09). Throws `LISTEN_ADDRESS` or `SOCKET_IN_USE`.
 */
export async function listenLoopback(server: Server, address: string): Promise<void> {
  const refuse = (problem: string) =>
    platformErrors.error('LISTEN_ADDRESS', `${address}: ${problem}`, { facts: { address } })
  const found = parseLoopbackAddress(address)
  if (found === null) throw refuse('is not 127.0.0.1:PORT or [::1]:PORT')
  server.listen({ ...found, backlog, exclusive: true, ipv6Only: true })
  try {
    await once(server, 'listening')
  } catch (error) {
    const { code } = error as NodeJS.ErrnoException
    if (code === undefined) throw error
    if (code === 'EADDRINUSE') {
      throw platformErrors.error('SOCKET_IN_USE', `${address}: is taken`, { cause: error, facts: { address } })
    }
    throw refuse(`cannot be bound (${code})`)
  }
}
