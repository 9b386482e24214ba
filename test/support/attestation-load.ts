import { spawn } from 'node:child_process'
import { once } from 'node:events'

export interface AttestationLoad {
  /** Of loopback. */
  readonly port: number
  readonly path: string
  /** JSON file with a list of bodies, which are sent in turns. */
  readonly bodies: string
  /** Connections at a time. */
  readonly clients: number
  /** Requests a second of all clients together; null: each asks again as soon as it has its answer. */
  readonly perS: number | null
  readonly ms: number
}

export interface Answered {
  /** Milliseconds from the first byte of a request to the last of its answer; ascending. By status. */
  readonly times: Readonly<Record<number, readonly number[]>>
  /** Codes of refusals. */
  readonly codes: Readonly<Record<string, number>>
}

/**
 * In a process of its own, so that what asks does not slow down what answers more than another process does. Each request
 * is of another client behind the one proxy: the rate of a client is limited.
 */
const program = `
const net = require('node:net')
const { port, path, bodies, clients, perS, ms } = JSON.parse(process.argv[1])
const texts = JSON.parse(require('node:fs').readFileSync(bodies, 'utf8'))
const [times, codes] = [{}, {}]
const end = performance.now() + ms
let asked = 0
const fail = (why) => { console.error('a client of the load: ' + why); process.exit(1) }
function request() {
  const at = asked++
  const body = texts[at % texts.length]
  const client = [10, (at >> 8) & 15, at & 255, 1].join('.')
  return 'POST ' + path + ' HTTP/1.1\\r\\nHost: verifier\\r\\nContent-Type: application/json\\r\\nX-Forwarded-For: ' + client +
    '\\r\\nContent-Length: ' + body.length + '\\r\\n\\r\\n' + body
}
function note(head, body, ms) {
  const status = head.slice(9, 12)
  ;(times[status] ??= []).push(ms)
  if (status === '200') return
  const { code } = JSON.parse(body)
  codes[code] = (codes[code] ?? 0) + 1
}
function ask(socket, done) {
  let text = '', wanted = -1, head = ''
  socket.on('data', (data) => {
    text += data.toString('latin1')
    const at = wanted < 0 ? text.indexOf('\\r\\n\\r\\n') : -1
    if (at > 0) {
      head = text.slice(0, at + 2)
      wanted = at + 4 + Number(/\\r\\ncontent-length: (\\d+)/i.exec(head)?.[1] ?? fail(head))
    }
    if (wanted < 0 || text.length < wanted) return
    const body = text.slice(head.length + 2)
    text = ''; wanted = -1
    done(head, body)
  })
}
function client(index) {
  const pause = perS === null ? 0 : (1000 * clients) / perS
  let start = 0, next = performance.now() + (pause * index) / clients, socket = null
  const finished = (head, body) => {
    note(head, body, performance.now() - start)
    next = Math.max(next + pause, start)
    const now = performance.now()
    if (/\\r\\nconnection: close/i.test(head)) socket = socket.destroy() && null
    if (now >= end) return socket?.destroy()
    if (next - now < 1) send()
    else setTimeout(send, next - now)
  }
  const send = () => {
    if (socket === null) { socket = net.connect(port, '127.0.0.1').on('error', (error) => fail(error.message)); ask(socket, finished) }
    start = performance.now()
    socket.write(request())
  }
  setTimeout(send, next - performance.now())
}
for (let index = 0; index < clients; index++) client(index)
process.once('beforeExit', () => process.stdout.write(JSON.stringify({ times, codes })))
`

/** Runs a load to its end. */
export async function runAttestationLoad(load: AttestationLoad): Promise<Answered> {
  const child = spawn(process.execPath, ['-e', program, JSON.stringify(load)], { stdio: ['ignore', 'pipe', 'inherit'] })
  let out = ''
  child.stdout.on('data', (text: Buffer) => {
    out += text
  })
  const [code] = await once(child, 'close')
  if (code !== 0) throw new Error(`a client of the load ended with ${code}`)
  const { times, codes } = JSON.parse(out)
  for (const each of Object.values(times as Record<string, number[]>)) each.sort((left, right) => left - right)
  return { times, codes }
}
