import { startToldProcess, type ToldProcess } from './told-process.ts'

export interface CallerOptions {
  readonly uid?: number
  readonly gid?: number
  readonly groups?: readonly number[]
  /** Command name of the process, for hostile names; at most 15 bytes count. */
  readonly name?: string
}

/**
 * A process of its own that connects to a Unix socket: real credentials for identity tests. It is told `write`, `uid N`
 * (changes its effective uid), `exit`, or `hand-over`: a child keeps the socket and writes to it, and the process that
 * connected ends.
 */
export type UnixCaller = ToldProcess

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

export function startCaller(path: string, options: CallerOptions = {}): Promise<UnixCaller> {
  return startToldProcess({ script, values: [path, JSON.stringify(options)], lastWord: 'done' })
}
