const leastRoom = 16_384

/**
 * The bytes of one body, behind each other. A list of the pieces in which they came would have one object for each of the four
 * million that a client can cut 4 MiB into, and the heap would end before the body.
 */
export class BodyBytes {
  #room = Buffer.allocUnsafeSlow(leastRoom)
  #length = 0

  get length(): number {
    return this.#length
  }

  add(piece: Uint8Array): void {
    const length = this.#length + piece.length
    if (length > this.#room.length) this.#grow(length)
    this.#room.set(piece, this.#length)
    this.#length = length
  }

  /** What was added so far. */
  bytes(): Uint8Array {
    return this.#room.subarray(0, this.#length)
  }

  #grow(length: number): void {
    const room = Buffer.allocUnsafeSlow(Math.max(length, 2 * this.#room.length))
    room.set(this.bytes())
    this.#room = room
  }
}
