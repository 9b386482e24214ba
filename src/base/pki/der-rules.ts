/** Numbers of the universal types that occur in certificates and revocation lists. */
export const derTags = {
  boolean: 1,
  integer: 2,
  bitString: 3,
  octetString: 4,
  null: 5,
  objectIdentifier: 6,
  enumerated: 10,
  utf8String: 12,
  sequence: 16,
  set: 17,
  numericString: 18,
  printableString: 19,
  teletexString: 20,
  ia5String: 22,
  utcTime: 23,
  generalizedTime: 24,
  visibleString: 26,
  universalString: 28,
  bmpString: 30,
} as const

/** What is wrong with the content octets of `bytes` from `start` to `end`, or null. */
export type DerRule = (bytes: Uint8Array, start: number, end: number) => string | null

const anything: DerRule = () => null

const ascii: DerRule = (bytes, start, end) =>
  isAscii(bytes, start, end) ? null : 'string has characters that are not ASCII'

function isAscii(bytes: Uint8Array, start: number, end: number): boolean {
  for (let at = start; at < end; at++) if ((bytes[at] ?? 0) >= 0x80) return false
  return true
}

const boolean: DerRule = (bytes, start, end) =>
  end - start === 1 && (bytes[start] === 0 || bytes[start] === 0xff) ? null : 'boolean is not 00 or FF'

const integer: DerRule = (bytes, start, end) => {
  if (start === end) return 'integer is empty'
  return isMinimalInteger(bytes, start, end) ? null : 'integer is not minimal'
}

function isMinimalInteger(bytes: Uint8Array, start: number, end: number): boolean {
  const [first, second = 0] = [bytes[start], bytes[start + 1]]
  return end - start === 1 || !((first === 0 && second < 0x80) || (first === 0xff && second >= 0x80))
}

const bitString: DerRule = (bytes, start, end) => {
  const unused = bytes[start] ?? 0
  if (start === end || unused > 7 || (end - start === 1 && unused > 0)) return 'bit string is empty'
  const last = bytes[end - 1] ?? 0
  return end - start > 1 && (last & ((1 << unused) - 1)) !== 0 ? 'bit string has unused bits that are set' : null
}

/** Bytes; real ones have up to 13. */
const longestObjectIdentifier = 128

const objectIdentifier: DerRule = (bytes, start, end) => {
  if (end - start > longestObjectIdentifier) return 'object identifier is longer than 128 bytes'
  if (start === end || ((bytes[end - 1] ?? 0) & 0x80) !== 0) return 'object identifier is cut'
  let beginsArc = true
  for (let at = start; at < end; at++) {
    if (beginsArc && bytes[at] === 0x80) return 'object identifier is not minimal'
    beginsArc = ((bytes[at] ?? 0) & 0x80) === 0
  }
  return null
}

const utf8 = new TextDecoder('utf-8', { fatal: true })

const utf8String: DerRule = (bytes, start, end) => {
  if (isAscii(bytes, start, end)) return null
  try {
    utf8.decode(bytes.subarray(start, end))
    return null
  } catch {
    return 'string is not UTF-8'
  }
}

/** Characters of a fixed number of octets. */
const wideString = (octets: 2 | 4): DerRule => {
  return (_bytes, start, end) => ((end - start) % octets === 0 ? null : 'string ends within a character')
}

/** The form that RFC 5280 section 4.1.2.5 leaves: seconds, UTC, no fraction. The calendar is checked on decoding. */
function timeRule(digits: number, form: string): DerRule {
  return (bytes, start, end) => {
    const isWhole = end - start === digits + 1 && bytes[end - 1] === 0x5a
    for (let at = start; isWhole && at < end - 1; at++) {
      const digit = (bytes[at] ?? 0) - 0x30
      if (digit < 0 || digit > 9) return `time is not ${form}`
    }
    return isWhole ? null : `time is not ${form}`
  }
}

/** By the number of the universal type; a type without a rule does not occur. */
export const derRules: Readonly<Record<number, DerRule>> = {
  [derTags.boolean]: boolean,
  [derTags.integer]: integer,
  [derTags.bitString]: bitString,
  [derTags.octetString]: anything,
  [derTags.null]: (_bytes, start, end) => (start < end ? 'null has content' : null),
  [derTags.objectIdentifier]: objectIdentifier,
  [derTags.enumerated]: integer,
  [derTags.utf8String]: utf8String,
  [derTags.numericString]: ascii,
  [derTags.printableString]: ascii,
  [derTags.teletexString]: anything,
  [derTags.ia5String]: ascii,
  [derTags.utcTime]: timeRule(12, 'YYMMDDHHMMSSZ'),
  [derTags.generalizedTime]: timeRule(14, 'YYYYMMDDHHMMSSZ'),
  [derTags.visibleString]: ascii,
  [derTags.universalString]: wideString(4),
  [derTags.bmpString]: wideString(2),
}
