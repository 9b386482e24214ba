const pageBytes = 65_536

/** What is used of a `WebAssembly.Memory`. */
export interface Growing {
  readonly buffer: ArrayBuffer
  readonly grow: (pages: number) => number
}

/**
 * The memory of a Go program on a machine of 64-bit words, seen from its host. What the host puts there is at the far end,
 * which the program must not reach: it has to run without collecting garbage.
 */
export class GoMemory {
  readonly #view: DataView
  #free: number

  /** Makes the memory `pages` long, once and for all. */
  constructor(memory: Growing, pages: number) {
    memory.grow(pages - memory.buffer.byteLength / pageBytes)
    this.#view = new DataView(memory.buffer)
    this.#free = memory.buffer.byteLength
  }

  word(address: number): number {
    return Number(this.#view.getBigUint64(address, true))
  }

  setWords(address: number, ...words: readonly number[]): void {
    for (const [at, word] of words.entries()) this.#view.setBigUint64(address + 8 * at, BigInt(word), true)
  }

  /** The address of so many bytes, all zero. */
  place(bytes: number): number {
    this.#free -= Math.ceil(bytes / 8) * 8
    return this.#free
  }

  bytes(address: number, size: number): Uint8Array {
    return new Uint8Array(this.#view.buffer, address, size)
  }

  /** A string is two words: where it is, and its length in bytes. */
  text(address: number): string {
    return new TextDecoder().decode(this.bytes(this.word(address), this.word(address + 8)))
  }

  setText(address: number, text: string): void {
    const bytes = new TextEncoder().encode(text)
    const place = this.place(bytes.length)
    this.bytes(place, bytes.length).set(bytes)
    this.setWords(address, place, bytes.length)
  }

  /** Gives every constant string `from` within the first `below` bytes another text. */
  renameConstant(from: string, to: string, below: number): void {
    const places = new Set(occurrences(Buffer.from(this.#view.buffer, 0, below), from))
    for (let at = 0; at < below; at += 8) {
      if (this.word(at + 8) === from.length && places.has(this.word(at))) this.setText(at, to)
    }
  }
}

function* occurrences(bytes: Buffer, text: string): Generator<number> {
  for (let at = bytes.indexOf(text); at >= 0; at = bytes.indexOf(text, at + 1)) yield at
}
