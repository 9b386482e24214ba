import { toHex } from '../bytes.ts'
import type { MalformedError } from '../errors.ts'

/** RFC 5280 section 4.1.2.2: at most 20 octets, the sign octet not counted. */
const maximumSerial = 1n << 160n

/** By the first content octet of an INTEGER. */
export function requireUnsigned(first: number | undefined, refuse: (problem: string) => MalformedError): void {
  if (((first ?? 0x80) & 0x80) !== 0) throw refuse('is negative or empty')
}

/** The value of the content octets of an INTEGER that must not be negative. */
export function unsignedOf(content: Uint8Array, refuse: (problem: string) => MalformedError): bigint {
  requireUnsigned(content[0], refuse)
  return BigInt(`0x${toHex(content)}`)
}

/**
 * A serial number as a key of sets: lower-case hexadecimal digits without leading zeros. Sets and maps find integers by
 * their lowest 64 bits alone, so that whoever chooses ten thousand that share these makes every look-up walk all of them.
 */
export const serialText = (serial: bigint): string => serial.toString(16)

/**
 * `serialText` of an INTEGER that is not negative, from the hexadecimal digits of the bytes in which its content octets
 * stand from `start` to `end`. Its encoding is minimal: at most one zero octet leads.
 */
export function serialDigits(digits: string, start: number, end: number): string {
  let at = 2 * start
  while (at < 2 * end - 1 && digits.charCodeAt(at) === 0x30) at++
  return digits.slice(at, 2 * end)
}

/** A serial number: compared as a number, so that a leading zero octet makes no difference (TDX-120). */
export function serialOf(content: Uint8Array, refuse: (problem: string) => MalformedError): bigint {
  const serial = unsignedOf(content, refuse)
  if (serial === 0n) throw refuse('is zero')
  if (serial >= maximumSerial) throw refuse('has more than 20 octets')
  return serial
}
