import { startToldProcess, type ToldProcess } from './told-process.ts'

export interface TcpCallerOptions {
  readonly host: string
  readonly port: number
  /** Port of its own end; default: any. */
  readonly from?: number
  readonly uid?: number
}

/**
 * A process of its own, of the user that is asked for, with one TCP connection. It is told `write TEXT`, `half` (closes its
 * sending side), `end` (closes), `reset`.
 */
export type TcpCaller = ToldProcess

const script = `
import { createConnection } from 'node:net'
import { createInterface } from 'node:readline'
const { host, port, from, uid } = JSON.parse(process.argv[1])
if (uid !== undefined) { process.setgroups([]); process.setgid(uid); process.setuid(uid) }
const say = (text) => process.stdout.write(text + '\\n')
const socket = createConnection({ host, port, allowHalfOpen: true, ...(from ? { localPort: from, localAddress: host } : {}) })
const words = {
  write: (text) => socket.write(text, () => say('done')),
  half: () => socket.end(() => say('done')),
  end: () => { socket.destroy(); say('done') },
  reset: () => { socket.resetAndDestroy(); say('done') },
}
socket.on('connect', () => say('done'))
socket.on('error', (error) => say(error.code))
createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, ...values] = line.split(' ')
  words[word](values.join(' '))
})
`

/** Resolves when it is connected. */
export function startTcpCaller(options: TcpCallerOptions): Promise<TcpCaller> {
  return startToldProcess({ script, values: [JSON.stringify(options)], lastWord: 'gone' })
}
