import { type ChildProcess, spawn } from 'node:child_process'
import { once } from 'node:events'

export interface CallerOptions {
  readonly uid?: number
  readonly gid?: number
  readonly groups?: readonly number[]
  /** Command name of the process, for hostile names; at most 15 bytes count. */
  readonly name?: string
}

/** A process of its own that connects to a Unix socket and does as it is told: real credentials for identity tests. */
export interface UnixCaller {
  readonly pid: number
  /**
   * `write`, `uid N` (changes its effective uid), `exit`, or `hand-over`: a child keeps the socket and writes to it,
   * and the process that connected ends. Resolves when it is done.
   */
  tell(word: string): Promise<void>
  kill(): Promise<void>
}

/** Changing another process's user needs root. */
export const canChangeUser = process.getuid?.() === 0

const script = `
import { createConnection } from 'node:net'
import { spawn } from 'node:child_process'
import { createInterface } from 'node:readline'
const [path, json] = process.argv.slice(1)
const { uid, gid, groups, name } = JSON.parse(json)
if (name !== undefined) process.title = name
if (uid !== undefined || groups !== undefined) process.setgroups(groups ?? [])
if (gid !== undefined) process.setgid(gid)
if (uid !== undefined) process.setuid(uid)
const socket = createConnection(path)
const say = (text) => process.stdout.write(text + '\\n')
const words = {
  write: () => socket.write('x', () => say('done')),
  uid: (id) => { process.seteuid(Number(id)); say('done') },
  exit: () => process.exit(0),
  'hand-over': () => {
    const keeper = 'process.stdin.resume(); require("fs").writeSync(3, "child"); setTimeout(() => {}, 30000)'
    spawn(process.execPath, ['-e', keeper], { stdio: ['ignore', 'ignore', 'ignore', socket], detached: true })
    say('done')
  },
}
socket.on('connect', () => say('done'))
socket.on('error', (error) => say(error.code))
createInterface({ input: process.stdin }).on('line', (line) => {
  const [word, ...values] = line.split(' ')
  words[word](...values)
})
`

export async function startCaller(path: string, options: CallerOptions = {}): Promise<UnixCaller> {
  const child: ChildProcess = spawn(
    process.execPath,
    ['--input-type=module', '-e', script, path, JSON.stringify(options)],
    { stdio: ['pipe', 'pipe', 'inherit'] },
  )
  const lines: string[] = []
  child.stdout?.on('data', (chunk: Buffer) => {
    lines.push(...String(chunk).trim().split('\n'))
    child.emit('line')
  })
  child.once('exit', () => child.emit('line'))
  const answer = async () => {
    while (lines.length === 0 && child.exitCode === null) await once(child, 'line')
    const line = lines.shift() ?? 'done'
    if (line !== 'done') throw new Error(`the caller says ${line}`)
  }
  await answer()
  return {
    pid: child.pid ?? 0,
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
