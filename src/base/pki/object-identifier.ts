/**
 * The content octets of an OBJECT IDENTIFIER, from `start` to `end`, strict DER, in dots. Arcs may be longer than a number
 * holds exactly.
 */
export function dottedIdentifier(bytes: Uint8Array, start = 0, end = bytes.length): string {
  let text = ''
  let arc: number | bigint = 0
  for (let at = start; at < end; at++) {
    const octet = bytes[at] ?? 0
    arc = typeof arc === 'number' && arc < 2 ** 40 ? arc * 128 + (octet & 0x7f) : longer(arc, octet)
    if (octet >= 0x80) continue
    text += text === '' ? firstTwo(arc) : `.${arc}`
    arc = 0
  }
  return text
}

/** The first two arcs share one number; only below 2 may the second one be 40 or more. */
function firstTwo(both: number | bigint): string {
  if (typeof both === 'bigint') return `2.${both - 80n}`
  const root = Math.min(Math.floor(both / 40), 2)
  return `${root}.${both - 40 * root}`
}

function longer(value: number | bigint, octet: number): bigint {
  return BigInt(value) * 128n + BigInt(octet & 0x7f)
}
