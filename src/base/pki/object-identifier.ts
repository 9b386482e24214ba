/** The content octets of an OBJECT IDENTIFIER, strict DER, in dots. Arcs may be longer than a number holds exactly. */
export function dottedIdentifier(content: Uint8Array): string {
  const arcs: (number | bigint)[] = []
  let value: number | bigint = 0
  for (const octet of content) {
    value = typeof value === 'number' && value < 2 ** 40 ? value * 128 + (octet & 0x7f) : longer(value, octet)
    if (octet >= 0x80) continue
    arcs.push(value)
    value = 0
  }
  const [first = 0, ...others] = arcs
  // The first two arcs share one number; only below 2 may the second one be 40 or more.
  const root = first < 40 ? 0 : first < 80 ? 1 : 2
  const second = typeof first === 'bigint' ? first - 80n : first - 40 * root
  return [root, second, ...others].join('.')
}

function longer(value: number | bigint, octet: number): bigint {
  return BigInt(value) * 128n + BigInt(octet & 0x7f)
}
