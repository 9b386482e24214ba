import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { type ControlGroup, canMakeControlGroups, makeControlGroup, removeEmptied } from './control-group.ts'

export interface Load {
  readonly path: string
  /** Connections at a time; dealt out to processes of users of their own, at most 32 to each. */
  readonly clients: number
  /** Requests a second of all clients together; null: each asks again as soon as it has its answer. */
  readonly perS: number | null
  /** False: a connection for each request. */
  readonly keepAlive: boolean
  readonly ms: number
  /** Request target. */
  readonly target: string
}

export interface Loaded {
  /** Milliseconds from the first byte of the request, or from connect(2), to the last of the answer; ascending. */
  readonly times: readonly number[]
  readonly perS: number
}

/** In a process of its own, so that what asks does not slow down what answers more than another process does. */
const program = `
const net = require('node:net')
const { path, clients, perS, keepAlive, ms, target } = JSON.parse(process.argv[1])
const line = 'GET ' + target + ' HTTP/1.1\\r\\n' + (keepAlive ? '' : 'Connection: close\\r\\n') + '\\r\\n'
const times = []
let end = 0
const fail = (why) => { console.error('a client of the load: ' + why); process.exit(1) }
const length = (head) => Number(/\\r\\ncontent-length: (\\d+)/i.exec(head)?.[1] ?? fail(head))
function ask(socket, done) {
  let text = '', wanted = -1, last = false
  socket.on('data', (data) => {
    text += data.toString('latin1')
    const at = wanted < 0 ? text.indexOf('\\r\\n\\r\\n') : -1
    if (at > 0) {
      if (!text.startsWith('HTTP/1.1 200 ')) fail(text)
      wanted = at + 4 + length(text.slice(0, at + 2))
      last = /\\r\\nconnection: close/i.test(text.slice(0, at + 2))
    }
    if (wanted < 0 || text.length < wanted) return
    text = ''; wanted = -1
    done(last)
  })
}
const open = () => net.connect(path).on('error', (error) => fail(error.message))
function client(index) {
  const pause = perS === null ? 0 : (1000 * clients) / perS
  let start = 0, next = performance.now() + (pause * index) / clients, socket = null
  const finished = (last) => {
    times.push(performance.now() - start)
    next = Math.max(next + pause, start)
    const now = performance.now()
    if (now >= end) return socket.destroy()
    if (last || !keepAlive) socket = socket.destroy() && null
    if (next - now < 1) send()
    else setTimeout(send, next - now)
  }
  const send = () => {
    start = performance.now()
    if (socket === null) { socket = open(); ask(socket, finished) }
    socket.write(line)
  }
  setTimeout(send, next - performance.now())
}
end = performance.now() + ms
for (let index = 0; index < clients; index++) client(index)
process.once('beforeExit', () => process.stdout.write(JSON.stringify(times)))
`

const mostOfUser = 32
const firstUser = 31_000

async function runUser(load: Load, uid: number, group: number, unit: ControlGroup | null): Promise<number[]> {
  const command = `process.setgroups([${group}]); process.setgid(${uid}); process.setuid(${uid})\n${program}`
  const child = spawn(process.execPath, ['-e', command, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit'] })
  if (child.pid !== undefined) unit?.take(child.pid)
  let out = ''
  child.stdout.on('data', (text: Buffer) => {
    out += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`a client of the load ended with ${code}`)
  return JSON.parse(out)
}

/** Users of a load with so many clients: one for every 32, and never fewer than `least`. */
export const usersOf = (clients: number, least = 1) =>
  Array.from({ length: Math.max(least, Math.ceil(clients / mostOfUser)) }, (_, at) => firstUser + at)

/** Runs a load to its end. `group` opens the socket; `users` are as many processes, of one unit where such can be made. */
export async function runLoad(load: Load, group: number, users = usersOf(load.clients)): Promise<Loaded> {
  const share = { ...load, clients: load.clients / users.length, perS: load.perS && load.perS / users.length }
  const unit = canMakeControlGroups() ? makeControlGroup(`attestd-load.slice/load-${process.pid}.service`) : null
  const all = await Promise.all(users.map((uid) => runUser(share, uid, group, unit)))
  if (unit) await removeEmptied(unit)
  const times = Float64Array.from(all.flat()).sort()
  return { times: Array.from(times), perS: (times.length * 1000) / load.ms }
}
