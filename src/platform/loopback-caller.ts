import { open } from 'node:fs/promises'
import { isIPv4, isIPv6, type Socket } from 'node:net'
import { platformErrors } from './errors.ts'
import { readToEnd } from './protected-file.ts'

/** The two ends of a TCP connection on this machine, as the accepted socket sees them. */
export interface LoopbackConnection {
  readonly client: { readonly address: string; readonly port: number }
  readonly server: { readonly address: string; readonly port: number }
}

const tables = ['/proc/net/tcp', '/proc/net/tcp6']
const tableLimit = 64 << 20
const established = '01'

/** Null for a Unix socket, a peer that is not on this machine, and a connection that is closed already. */
export function loopbackConnection(socket: Socket): LoopbackConnection | null {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return null
  if (localAddress === undefined || localPort === undefined) return null
  const client = unmapped(remoteAddress)
  if (!client.startsWith('127.') && client !== '::1') return null
  return { client: { address: client, port: remotePort }, server: { address: unmapped(localAddress), port: localPort } }
}

function unmapped(address: string): string {
  const tail = address.startsWith('::ffff:') ? address.slice(7) : address
  return isIPv4(tail) ? tail : address
}

/** Each 32-bit word of an address is written as the machine stores it: little endian. */
function word(bytes: readonly number[]): string {
  return Buffer.from(bytes.toReversed()).toString('hex').toUpperCase()
}

/** How `/proc/net/tcp` and `tcp6` write an end: the address as itself, and of IPv4 also as mapped into IPv6. */
function written({ address, port }: LoopbackConnection['client']): string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  if (isIPv6(address)) return address === '::1' ? [`${'0'.repeat(24)}${word([0, 0, 0, 1])}${end}`] : []
  const own = word(address.split('.').map(Number))
  return [own + end, `${'0'.repeat(16)}${word([0, 0, 0xff, 0xff])}${own}${end}`]
}

/**
 * The uid of the client's end in the text of a table; null unless there is exactly such an entry in state
 * ESTABLISHED. In other states the kernel may print uid 0: a client that has closed one side is not root (API-54).
 */
export function uidInTable(table: string, connection: LoopbackConnection): number | null {
  const [locals, remotes] = [written(connection.client), written(connection.server)]
  for (const line of table.split('\n')) {
    const [, local = '', remote = '', state, , , , uid = ''] = line.trim().split(/ +/)
    if (state !== established || !locals.includes(local) || !remotes.includes(remote)) continue
    return /^[0-9]{1,10}$/.test(uid) ? Number(uid) : null
  }
  return null
}

async function readTable(path: string): Promise<string> {
  const file = await open(path, 'r').catch(() => null)
  if (file === null) return ''
  try {
    const bytes = await readToEnd(file, tableLimit)
    if (bytes === null) throw platformErrors.error('identity_unavailable', `${path} has more than ${tableLimit} bytes`)
    return new TextDecoder('latin1').decode(bytes)
  } finally {
    await file.close()
  }
}

/** Who owns the client's end of a connection now; null where that cannot be told, or not any more. */
export async function lookUpLoopbackUid(connection: LoopbackConnection): Promise<number | null> {
  for (const path of tables) {
    const uid = uidInTable(await readTable(path), connection)
    if (uid !== null) return uid
  }
  return null
}
