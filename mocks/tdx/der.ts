import { concatBytes } from '../../src/base/bytes.ts'

/** Writes one DER element: identifier octet, minimal definite length, content (X.690 sections 8.1 and 10.1). */
export function element(identifier: number, ...content: readonly Uint8Array[]): Uint8Array {
  const body = concatBytes(...content)
  return concatBytes(Uint8Array.of(identifier), lengthOctets(body.length), body)
}

function lengthOctets(length: number): Uint8Array {
  if (length < 0x80) return Uint8Array.of(length)
  const octets = unsignedOctets(BigInt(length))
  return Uint8Array.of(0x80 | octets.length, ...octets)
}

function unsignedOctets(value: bigint): Uint8Array {
  const hex = value.toString(16)
  return new Uint8Array(Buffer.from(hex.length % 2 === 0 ? hex : `0${hex}`, 'hex'))
}

/** Content of a non-negative INTEGER: a zero octet stands before a set sign bit. */
function integerOctets(value: bigint): Uint8Array {
  const octets = unsignedOctets(value)
  return (octets[0] ?? 0) >= 0x80 ? Uint8Array.of(0, ...octets) : octets
}

export const sequence = (...content: readonly Uint8Array[]): Uint8Array => element(0x30, ...content)
export const set = (content: Uint8Array): Uint8Array => element(0x31, content)
export const integer = (value: bigint | number): Uint8Array => element(0x02, integerOctets(BigInt(value)))
export const enumerated = (value: number): Uint8Array => element(0x0a, integerOctets(BigInt(value)))
export const boolean = (value: boolean): Uint8Array => element(0x01, Uint8Array.of(value ? 0xff : 0))
export const octetString = (value: Uint8Array): Uint8Array => element(0x04, value)
export const bitString = (value: Uint8Array, unused = 0): Uint8Array => element(0x03, Uint8Array.of(unused), value)
export const utf8String = (value: string): Uint8Array => element(0x0c, new TextEncoder().encode(value))
/** Constructed, context-specific. */
export const tagged = (tag: number, ...content: readonly Uint8Array[]): Uint8Array => element(0xa0 | tag, ...content)
/** Primitive, context-specific. */
export const implicit = (tag: number, content: Uint8Array): Uint8Array => element(0x80 | tag, content)

export function objectIdentifier(dotted: string): Uint8Array {
  const [first = 0, second = 0, ...arcs] = dotted.split('.').map(Number)
  return element(0x06, Uint8Array.from([first * 40 + second, ...arcs].flatMap(arcOctets)))
}

/** Seven bits an octet, the highest first; all but the last have the top bit set. */
function arcOctets(arc: number): number[] {
  const octets = [arc % 128]
  for (let rest = Math.floor(arc / 128); rest > 0; rest = Math.floor(rest / 128)) octets.unshift(0x80 | (rest % 128))
  return octets
}

/** UTCTime up to 2049, GeneralizedTime from 2050 on (RFC 5280 section 4.1.2.5); milliseconds are cut. */
export function time(milliseconds: number): Uint8Array {
  const digits = new Date(milliseconds).toISOString().replace(/[-:T]|\.\d+Z$/g, '')
  const isShort = digits < '2050'
  return element(isShort ? 0x17 : 0x18, new TextEncoder().encode(`${isShort ? digits.slice(2) : digits}Z`))
}
