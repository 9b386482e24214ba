import { createHash } from 'node:crypto'
import { concatBytes } from '../../src/base/bytes.ts'
import { encodeAaelHeader } from '../../src/evidence/tdx/aael.ts'

const evIpl = 0x0d

function u32(value: number): Uint8Array {
  const bytes = new Uint8Array(4)
  new DataView(bytes.buffer).setUint32(0, value, true)
  return bytes
}

/** One entry with a SHA-384 digest that covers its data; `register` 1 to 4 are RTMR0 to RTMR3. */
export function encodeCcEvent(register: number, data: Uint8Array): Uint8Array {
  const digest = createHash('sha384').update(data).digest()
  return concatBytes(u32(register), u32(evIpl), u32(1), Uint8Array.of(0x0c, 0), digest, u32(data.length), data)
}

/** A log of `count` events with `size` bytes of data each, in turn about RTMR0 to RTMR2. */
export function encodeCcEventLog(count: number, size: number): Uint8Array {
  const entry = (at: number) => encodeCcEvent(1 + (at % 3), new Uint8Array(size).fill(at))
  return concatBytes(
    encodeAaelHeader(),
    ...Array.from({ length: count }, (_, at) => entry(at)),
    new Uint8Array(8).fill(0xff),
  )
}
