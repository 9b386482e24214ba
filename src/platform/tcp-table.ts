import { type FileHandle, open } from 'node:fs/promises'
import { isIPv4, isIPv6, type Socket } from 'node:net'
import { platformErrors } from './errors.ts'
import { fileError, isAbsent } from './file-errors.ts'

/** The two ends of a TCP connection on this machine, as the accepted socket sees them. */
export interface LoopbackConnection {
  readonly client: TcpEnd
  readonly server: TcpEnd
}

interface TcpEnd {
  readonly address: string
  readonly port: number
}

/** The tables of our own network namespace: `/proc/net` is a link to them. */
const tablePaths = ['/proc/self/net/tcp', '/proc/self/net/tcp6']
/** Some 400 000 connections. */
const mostBytes = 64 << 20
const stepBytes = 65_536
/** The longest line that a kernel writes has some 200 characters. */
const longestLine = 512
const established = '01'

/** Null for a Unix socket, a peer that is not on this machine, and a connection that is closed already. */
export function loopbackConnection(socket: Socket): LoopbackConnection | null {
  const { remoteAddress, remotePort, localAddress, localPort } = socket
  if (remoteAddress === undefined || remotePort === undefined) return null
  if (localAddress === undefined || localPort === undefined) return null
  const [client, server] = [unmapped(remoteAddress), unmapped(localAddress)]
  if (!isLoopback(client) || !isLoopback(server)) return null
  return { client: { address: client, port: remotePort }, server: { address: server, port: localPort } }
}

const isLoopback = (address: string) => address === '::1' || (isIPv4(address) && address.startsWith('127.'))

function unmapped(address: string): string {
  const tail = address.startsWith('::ffff:') ? address.slice(7) : address
  return isIPv4(tail) ? tail : address
}

/** Each 32-bit word of an address is written as the machine stores it: little endian. */
function word(bytes: readonly number[]): string {
  return Buffer.from(bytes.toReversed()).toString('hex').toUpperCase()
}

const sixWords = `${'0'.repeat(24)}${word([0, 0, 0, 1])}`
const mappedWords = `${'0'.repeat(16)}${word([0, 0, 0xff, 0xff])}`

/** How the tables write an end: the address as itself, and of IPv4 also as mapped into IPv6. */
function written({ address, port }: TcpEnd): readonly string[] {
  const end = `:${port.toString(16).toUpperCase().padStart(4, '0')}`
  if (isIPv6(address)) return [sixWords + end]
  const own = word(address.split('.').map(Number)) + end
  return [own, mappedWords + own]
}

/** The line of the client's end begins with its own address: the server's line has the two in the other order. */
function keysOf({ client, server }: LoopbackConnection): readonly string[] {
  const remotes = written(server)
  return written(client).map((local, at) => `${local} ${remotes[at]}`)
}

/** What is asked of one reading of the tables. */
class Question {
  readonly keys: readonly string[]
  readonly answer: Promise<number | null>
  open = true
  #settle: { give(uid: number | null): void; fail(error: unknown): void } | null = null

  constructor(connection: LoopbackConnection) {
    this.keys = keysOf(connection)
    this.answer = new Promise((give, fail) => {
      this.#settle = { give, fail }
    })
  }

  give(uid: number | null): void {
    this.open = false
    this.#settle?.give(uid)
  }

  fail(error: unknown): void {
    this.open = false
    this.#settle?.fail(error)
  }
}

/**
 * Takes one line. Only an entry in state ESTABLISHED is an answer: in other states the kernel may print uid 0, and a
 * client that has closed one side is not root (API-54). An older connection of the same ends may wait to end beside it.
 */
function takeLine(line: string, questions: ReadonlyMap<string, readonly Question[]>): void {
  const [, local = '', remote = '', state, , , , uid = ''] = line.trimStart().split(/ +/, 8)
  const asked = questions.get(`${local} ${remote}`)
  if (asked === undefined || state !== established) return
  const number = /^[0-9]{1,10}$/.test(uid) ? Number(uid) : null
  for (const question of asked) question.give(number)
}

function unreadable(says: string) {
  return platformErrors.error('identity_unavailable', `the table of TCP connections ${says}`)
}

/** Reads on to the end, or until nobody waits for more; never holds more than one step and one line. */
async function scan(file: FileHandle, take: (line: string) => void, wanted: () => boolean): Promise<void> {
  const room = Buffer.alloc(stepBytes)
  let rest = ''
  for (let total = 0; wanted(); ) {
    const { bytesRead } = await file.read(room, 0, room.length, null)
    if (bytesRead === 0) return
    total += bytesRead
    if (total > mostBytes) throw unreadable(`has more than ${mostBytes} bytes`)
    const lines = (rest + room.toString('latin1', 0, bytesRead)).split('\n')
    rest = lines.pop() ?? ''
    if (rest.length > longestLine) throw unreadable('has a line without an end')
    for (const line of lines) take(line)
  }
}

/**
 * Looks up connections in the tables of the kernel. At most one reading is under way, and it answers all who asked
 * before it began: a flood of connections costs two readings at a time, not one each, however large the tables are.
 * Nobody is answered by a reading that had begun before: what it passed by may have changed since.
 */
export class TcpTables {
  #paths: readonly string[]
  #waiting: Question[] = []
  #reading = false

  constructor(paths: readonly string[] = tablePaths) {
    this.#paths = paths
  }

  /**
   * The uid of the client's end as the kernel has it now; null unless there is such an entry in state ESTABLISHED
   * (API-54). Rejects with `identity_unavailable` where the tables cannot be read.
   */
  async uidOfClient(connection: LoopbackConnection): Promise<number | null> {
    const first = await this.#ask(connection)
    // A table is read in steps, and an entry that moves from one to the next between them may be passed by.
    return first ?? this.#ask(connection)
  }

  #ask(connection: LoopbackConnection): Promise<number | null> {
    const question = new Question(connection)
    this.#waiting.push(question)
    if (!this.#reading) void this.#readAll()
    return question.answer
  }

  async #readAll(): Promise<void> {
    this.#reading = true
    while (this.#waiting.length > 0) {
      const asked = this.#waiting
      this.#waiting = []
      await this.#readFor(asked)
    }
    this.#reading = false
  }

  async #readFor(asked: readonly Question[]): Promise<void> {
    const questions = new Map<string, Question[]>()
    for (const question of asked) {
      for (const key of question.keys) questions.set(key, [...(questions.get(key) ?? []), question])
    }
    try {
      for (const path of this.#paths) await readTable(path, asked, questions)
      for (const question of asked) question.give(null)
    } catch (error) {
      for (const question of asked) question.fail(error)
    }
  }
}

async function readTable(
  path: string,
  asked: readonly Question[],
  questions: ReadonlyMap<string, readonly Question[]>,
): Promise<void> {
  const wanted = () => asked.some(({ open: unanswered }) => unanswered)
  if (!wanted()) return
  let file: FileHandle | undefined
  try {
    file = await open(path, 'r')
    await scan(file, (line) => takeLine(line, questions), wanted)
  } catch (error) {
    // A kernel without IPv6 has no table for it.
    if (!isAbsent(error)) throw fileError(error, path)
  } finally {
    await file?.close()
  }
}
