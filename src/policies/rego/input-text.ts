const deepest = 32

/** Bytes of UTF-8: the text is copied into the memory of the policy, and read there by a parser that needs a multiple. */
export const longestInput = 16 << 20

/** A tree of the verifier that no policy can be given: too long, or too deep. */
export class UnfitInput extends Error {}

interface Found {
  /** Characters of texts and names, and one for each value: no more than the text has. */
  least: number
  hasBigInt: boolean
}

function lookAtScalar(value: unknown, found: Found): void {
  if (typeof value === 'string') found.least += value.length
  else if (typeof value === 'bigint') found.hasBigInt = true
  else if (typeof value === 'number' && !Number.isFinite(value)) throw new TypeError('JSON has no such number')
  else if (value !== null && !['number', 'boolean', 'undefined'].includes(typeof value)) {
    throw new TypeError(`JSON cannot hold a ${typeof value}`)
  }
}

/** Depth and size are known before a text is made that may be beyond them. */
function look(value: unknown, depth: number, found: Found): void {
  found.least++
  if (found.least > longestInput) throw new UnfitInput(`the input is longer than ${longestInput} bytes`)
  if (typeof value !== 'object' || value === null) {
    lookAtScalar(value, found)
    return
  }
  if (depth >= deepest) throw new UnfitInput(`the input is nested deeper than ${deepest} levels`)
  if (Array.isArray(value)) for (const item of value) look(item, depth + 1, found)
  else {
    for (const [name, member] of Object.entries(value)) {
      found.least += name.length
      look(member, depth + 1, found)
    }
  }
}

/** As `JSON.stringify`, which takes no `bigint`, at a fraction of its speed. */
function exactText(value: unknown): string {
  if (typeof value === 'bigint') return value.toString()
  if (typeof value !== 'object' || value === null) return JSON.stringify(value ?? null)
  if (Array.isArray(value)) return `[${value.map(exactText).join(',')}]`
  const members = Object.entries(value).filter(([, member]) => member !== undefined)
  return `{${members.map(([name, member]) => `${JSON.stringify(name)}:${exactText(member)}`).join(',')}}`
}

/**
 * JSON text of a document, as bytes; Integers are exact, whatever their size (POL-401). Throws `UnfitInput` above
 * `longestInput` bytes or 32 levels, and `TypeError` for what is no JSON.
 */
export function encodeInput(document: object): Uint8Array {
  const found: Found = { least: 0, hasBigInt: false }
  look(document, 0, found)
  const bytes = new TextEncoder().encode(found.hasBigInt ? exactText(document) : JSON.stringify(document))
  if (bytes.length > longestInput) throw new UnfitInput(`the input is longer than ${longestInput} bytes`)
  return bytes
}
