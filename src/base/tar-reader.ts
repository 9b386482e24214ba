import { concatBytes, isFilledWith, toLatin1 } from './bytes.ts'
import { MalformedError } from './errors.ts'
import { shownName } from './escaped-name.ts'

/** A member of an archive that is a regular file; its content follows in pieces. */
export interface TarFile {
  /** As the archive has it, one character a byte. */
  readonly name: string
  /** Bytes of content. */
  readonly size: number
  readonly mode: number
}

/** What becomes of the members, in their order. */
export interface TarSink {
  /** A regular file begins; its `size` bytes come next. */
  begin(file: TarFile): void
  content(bytes: Uint8Array): void
  end(): void
  /** A hard link: the name of a file that was there before stands for this one, too. */
  link(name: string, target: string): void
}

const block = 512
const limits = { name: 4096, members: 4_000_000, fileSize: 2 ** 40 }

type Step =
  | { readonly kind: 'header' }
  | { readonly kind: 'content' | 'skip'; readonly left: number; readonly padding: number }
  | { readonly kind: 'long'; readonly of: 'name' | 'target' | 'pax'; readonly left: number; readonly padding: number }
  | { readonly kind: 'end' }

interface TarHeader extends TarFile {
  readonly type: string
  readonly target: string
}

/** A text field: up to its first NUL. */
function textField(bytes: Uint8Array): string {
  const end = bytes.indexOf(0)
  return toLatin1(end < 0 ? bytes : bytes.subarray(0, end))
}

/**
 * A strict reader of the tar archives in packages: the ustar and GNU forms, with long names (`L`, `K`, and `path`, `linkpath` of pax headers). It
 * takes pieces of any length, keeps no content, and stops at a bad checksum, a name without an end, sparse files and
 * everything else that packages do not have.
 */
export class TarReader {
  #sink: TarSink
  #path: string
  #step: Step = { kind: 'header' }
  #held: Uint8Array[] = []
  #heldLength = 0
  #members = 0
  #longName: string | null = null
  #longTarget: string | null = null

  /** `path` names the archive in errors. */
  constructor(sink: TarSink, path: string) {
    this.#sink = sink
    this.#path = path
  }

  add(chunk: Uint8Array): void {
    let rest = chunk
    while (rest.length > 0) rest = this.#take(rest)
  }

  /** Throws unless the archive ended where it may. */
  close(): void {
    if (this.#step.kind === 'end' || (this.#step.kind === 'header' && this.#heldLength === 0)) return
    throw this.#malformed('ends inside of a member')
  }

  #malformed(problem: string): MalformedError {
    return new MalformedError({ path: `${this.#path}.members.${this.#members}` }, problem)
  }

  /** Gives back what the step did not need. */
  #take(chunk: Uint8Array): Uint8Array {
    const step = this.#step
    if (step.kind === 'end') {
      if (isFilledWith(chunk, 0)) return new Uint8Array()
      throw this.#malformed('has content behind its end')
    }
    if (step.kind === 'header') return this.#gather(chunk, block, (whole) => this.#header(whole))
    if (step.kind === 'long') {
      return this.#gather(chunk, step.left + step.padding, (whole) => this.#long(step.of, whole.subarray(0, step.left)))
    }
    const here = chunk.subarray(0, step.left)
    if (step.kind === 'content' && here.length > 0) this.#sink.content(here)
    const left = step.left - here.length
    const padding = left === 0 ? Math.min(step.padding, chunk.length - here.length) : 0
    this.#advance({ ...step, left, padding: step.padding - padding })
    return chunk.subarray(here.length + padding)
  }

  #advance(step: Extract<Step, { kind: 'content' | 'skip' }>): void {
    this.#step = step
    if (step.left > 0 || step.padding > 0) return
    if (step.kind === 'content') this.#sink.end()
    this.#step = { kind: 'header' }
  }

  #gather(chunk: Uint8Array, size: number, use: (whole: Uint8Array) => void): Uint8Array {
    const here = chunk.slice(0, size - this.#heldLength)
    this.#held.push(here)
    this.#heldLength += here.length
    if (this.#heldLength === size) {
      const whole = concatBytes(...this.#held)
      this.#held = []
      this.#heldLength = 0
      use(whole)
    }
    return chunk.subarray(here.length)
  }

  #octal(bytes: Uint8Array, name: string): number {
    const text = textField(bytes).trim()
    if (!/^[0-7]{1,11}$/.test(text)) throw this.#malformed(`${name} is no octal number`)
    return Number.parseInt(text, 8)
  }

  #requireChecksum(bytes: Uint8Array): void {
    const sum = bytes.reduce((total, byte, at) => total + (at >= 148 && at < 156 ? 0x20 : byte), 0)
    if (sum !== this.#octal(bytes.subarray(148, 156), 'the checksum')) throw this.#malformed('has a wrong checksum')
  }

  #parse(bytes: Uint8Array): TarHeader {
    this.#requireChecksum(bytes)
    const magic = toLatin1(bytes.subarray(257, 263))
    if (!magic.startsWith('ustar')) throw this.#malformed('is of a form before ustar')
    const prefix = magic === 'ustar\0' ? textField(bytes.subarray(345, 500)) : ''
    const short = textField(bytes.subarray(0, 100))
    return {
      name: this.#longName ?? (prefix === '' ? short : `${prefix}/${short}`),
      target: this.#longTarget ?? textField(bytes.subarray(157, 257)),
      size: this.#octal(bytes.subarray(124, 136), 'the size'),
      mode: this.#octal(bytes.subarray(100, 108), 'the mode'),
      type: String.fromCharCode(bytes[156] ?? 0),
    }
  }

  #header(bytes: Uint8Array): void {
    if (isFilledWith(bytes, 0)) {
      this.#step = { kind: 'end' }
      return
    }
    if (++this.#members > limits.members) throw this.#malformed(`is one too many: ${limits.members} are taken`)
    const header = this.#parse(bytes)
    const { type, size } = header
    if (size > limits.fileSize) throw this.#malformed(`has ${size} bytes`)
    const extent = { left: size, padding: (block - (size % block)) % block }
    const of = type === 'L' ? 'name' : type === 'K' ? 'target' : type === 'x' ? 'pax' : null
    if (of !== null) this.#beginLong(of, extent)
    else this.#member(header, extent)
  }

  #beginLong(of: 'name' | 'target' | 'pax', extent: { readonly left: number; readonly padding: number }): void {
    if (extent.left === 0 || extent.left > 4 * limits.name)
      throw this.#malformed(`has a header of ${extent.left} bytes`)
    this.#step = { kind: 'long', of, ...extent }
  }

  #member(header: TarHeader, extent: { readonly left: number; readonly padding: number }): void {
    const { type, name, target, size, mode } = header
    this.#longName = null
    this.#longTarget = null
    if (!/^[\0-7]$/.test(type)) throw this.#malformed(`is of type ${JSON.stringify(type)}, which packages do not have`)
    const isFile = type === '0' || type === '\0'
    if (!isFile && size > 0) throw this.#malformed('has content, and is no file')
    if (type === '1') this.#sink.link(name, target)
    if (isFile) this.#sink.begin({ name, size, mode })
    this.#advance({ kind: isFile ? 'content' : 'skip', ...extent })
  }

  #long(of: 'name' | 'target' | 'pax', bytes: Uint8Array): void {
    this.#step = { kind: 'header' }
    if (of === 'pax') {
      this.#pax(toLatin1(bytes))
      return
    }
    const text = this.#requireName(toLatin1(bytes).replace(/\0$/, ''))
    if (of === 'name') this.#longName = text
    else this.#longTarget = text
  }

  #requireName(text: string): string {
    if (text !== '' && text.length <= limits.name && !text.includes('\0')) return text
    throw this.#malformed('has a long name of no use')
  }

  /** Records of a pax header: length in decimal, blank, key=value, line feed; the length counts all of it. */
  #pax(text: string): void {
    for (let at = 0; at < text.length; ) {
      const length = Number(/^([0-9]{1,5}) /.exec(text.slice(at, at + 6))?.[1] ?? Number.NaN)
      const record = text.slice(at, at + length)
      const [, key = '', value = ''] = /^[0-9]+ ([^=]+)=(.*)\n$/s.exec(record) ?? []
      if (record.length !== length || key === '') throw this.#malformed('has a pax header that is none')
      if (key === 'size' || key.startsWith('GNU.sparse'))
        throw this.#malformed(`has the pax header ${shownName(Buffer.from(key, 'latin1'), 64)}`)
      if (key === 'path') this.#longName = this.#requireName(value)
      if (key === 'linkpath') this.#longTarget = this.#requireName(value)
      at += length
    }
  }
}
