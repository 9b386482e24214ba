import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface TcpCallerOptions {
  readonly host: string
  readonly port: number
  /** Port of its own end; default: any. */
  readonly from?: number
  readonly uid?: number
}

/** A process of its own, of the user that is asked for, with one TCP connection. */
export interface TcpCaller {
  /** `write TEXT`, `half` (closes its sending side), `end` (closes), `reset`. Resolves when it is done. */
  tell(word: string): Promise<void>
  kill(): Promise<void>
}

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
export async function startTcpCaller(options: TcpCallerOptions): Promise<TcpCaller> {
  const child: ChildProcess = spawn(process.execPath, ['--input-type=module', '-e', script, JSON.stringify(options)], {
    stdio: ['pipe', 'pipe', 'inherit'],
  })
  const lines: string[] = []
  child.stdout?.on('data', (chunk: Buffer) => {
    lines.push(...String(chunk).trim().split('\n'))
    child.emit('line')
  })
  child.once('exit', () => child.emit('line'))
  const answer = async () => {
    while (lines.length === 0 && child.exitCode === null) await once(child, 'line')
    const line = lines.shift() ?? 'gone'
    if (line !== 'done') throw new Error(`the caller says ${line}`)
  }
  await answer()
  return {
    async tell(word) {
      child.stdin?.write(`${word}\n`)
      await answer()
    },
    async kill() {
      if (child.exitCode !== null || child.signalCode !== null) return
      child.kill('SIGKILL')
      await once(child, 'exit')
    },
  }
}
