import net from 'node:net'

export interface RawAnswer {
  readonly status: number
  readonly headers: Readonly<Record<string, string>>
  readonly body: string
}

const headEnd = '\r\n\r\n'

/** Splits what a server sent, one character a byte, into answers; anything but whole ones with a length throws. */
export function parseAnswers(text: string, heads = false): RawAnswer[] {
  const answers: RawAnswer[] = []
  let rest = text
  while (rest !== '') {
    const end = rest.indexOf(headEnd)
    if (end < 0) throw new Error(`not a whole head: ${JSON.stringify(rest.slice(0, 200))}`)
    const [line = '', ...fields] = rest.slice(0, end).split('\r\n')
    const status = /^HTTP\/1\.1 (\d{3}) /.exec(line)?.[1]
    if (!status) throw new Error(`not a status line: ${JSON.stringify(line)}`)
    const headers = Object.fromEntries(
      fields.map((field) => {
        const colon = field.indexOf(':')
        return [field.slice(0, colon).toLowerCase(), field.slice(colon + 1).trim()]
      }),
    )
    const interim = status === '100'
    const length = interim || heads ? 0 : Number(headers['content-length'] ?? Number.NaN)
    const body = rest.slice(end + 4, end + 4 + length)
    if (Number.isNaN(length) || body.length < length) throw new Error(`not a whole body after ${line}`)
    if (!interim) answers.push({ status: Number(status), headers, body: Buffer.from(body, 'latin1').toString() })
    rest = rest.slice(end + 4 + length)
  }
  return answers
}

/** How long a server may take to close a connection that it says it closes: far more than any needs, and less than a test has. */
const closeMs = 20_000

/** Path of a Unix socket, or a TCP address. */
export type RawAddress = string | { readonly host: string; readonly port: number }

/** One connection, spoken to in bytes. */
export class RawClient {
  readonly socket: net.Socket
  /** One character a byte. */
  received = ''
  /** Resolves when the connection is closed on both sides, or was reset. */
  readonly closed: Promise<void>
  #waiting: (() => void)[] = []
  #heads: boolean

  /** `heads`: every answer is one to HEAD. */
  constructor(to: RawAddress, heads = false) {
    this.#heads = heads
    this.socket = net.connect({ ...(typeof to === 'string' ? { path: to } : to), allowHalfOpen: true })
    this.socket.on('error', () => undefined)
    this.socket.on('data', (chunk) => {
      this.received += chunk.toString('latin1')
      this.#wake()
    })
    this.socket.on('end', () => {
      this.#wake()
      this.socket.end()
    })
    this.closed = new Promise((resolve) => this.socket.once('close', () => resolve()))
    this.closed.then(() => this.#wake())
  }

  write(text: string): this {
    this.socket.write(Buffer.from(text, 'latin1'))
    return this
  }

  /** Closes the sending side only. */
  half(): this {
    this.socket.end()
    return this
  }

  /** Waits until `count` answers are there. */
  async answers(count: number): Promise<RawAnswer[]> {
    for (;;) {
      const found = this.#complete()
      if (found.length >= count) return found
      if (this.socket.readableEnded || this.socket.destroyed) {
        throw new Error(`${found.length} of ${count} answers: ${JSON.stringify(this.received)}`)
      }
      await new Promise<void>((resolve) => this.#waiting.push(resolve))
    }
  }

  /** Everything that was received until the server closed; throws where it does not close. */
  async rest(): Promise<RawAnswer[]> {
    await this.#closedInTime()
    return parseAnswers(this.received, this.#heads)
  }

  /**
   * Like `rest`, where the answer with this number, from 1, is the last: throws at once where that one does not say so,
   * for a server that goes on closes in a minute or never.
   */
  async restAfter(count: number): Promise<RawAnswer[]> {
    const last = (await this.answers(count))[count - 1]
    if (last?.headers['connection'] !== 'close') {
      throw new Error(`answer ${count} does not close the connection: ${JSON.stringify(this.received)}`)
    }
    return this.rest()
  }

  destroy(): void {
    this.socket.destroy()
  }

  async #closedInTime(): Promise<void> {
    let timer: NodeJS.Timeout | undefined
    const late = new Promise<never>((_, reject) => {
      const fail = () => reject(new Error(`still open after ${closeMs} ms: ${JSON.stringify(this.received)}`))
      timer = setTimeout(fail, closeMs)
    })
    await Promise.race([this.closed, late]).finally(() => clearTimeout(timer))
  }

  #complete(): RawAnswer[] {
    try {
      return parseAnswers(this.received, this.#heads)
    } catch {
      return completePrefix(this.received, this.#heads)
    }
  }

  #wake(): void {
    for (const wake of this.#waiting.splice(0)) wake()
  }
}

function completePrefix(text: string, heads: boolean): RawAnswer[] {
  const starts = [...text.matchAll(/HTTP\/1\.1 \d{3} /g)].map(({ index }) => index).reverse()
  for (const start of starts) {
    try {
      return parseAnswers(text.slice(0, start), heads)
    } catch {}
  }
  return []
}

/** One request on a connection of its own; gives the first answer. */
export async function rawRequest(to: RawAddress, text: string): Promise<RawAnswer> {
  const client = new RawClient(to, text.startsWith('HEAD '))
  const [answer] = await client.write(text).answers(1)
  client.destroy()
  if (!answer) throw new Error('no answer')
  return answer
}
