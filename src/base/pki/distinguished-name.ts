import { MalformedError } from '../errors.ts'
import { type DerCursor, identifiers, openDer } from './der-cursor.ts'

export interface NameAttribute {
  /** Object identifier in dots: `2.5.4.3`. */
  readonly type: string
  /** Text of a UTF8String, PrintableString or IA5String; null for other string types. */
  readonly text: string | null
}

/** A distinguished name. Names are compared by their DER, never by their text (TDX-114). */
export interface DistinguishedName {
  readonly der: Uint8Array
  /** In order of appearance. */
  readonly attributes: readonly NameAttribute[]
}

export const attributeTypes = {
  commonName: '2.5.4.3',
  country: '2.5.4.6',
  locality: '2.5.4.7',
  state: '2.5.4.8',
  organization: '2.5.4.10',
  organizationalUnit: '2.5.4.11',
} as const

const shortNames = new Map<string, string>([
  [attributeTypes.commonName, 'CN'],
  [attributeTypes.country, 'C'],
  [attributeTypes.locality, 'L'],
  [attributeTypes.state, 'ST'],
  [attributeTypes.organization, 'O'],
  [attributeTypes.organizationalUnit, 'OU'],
])

const longestDescription = 200
/** Of one name; real ones have up to ten. */
const maximumAttributes = 128

const textTypes = new Set<number>([identifiers.utf8String, identifiers.printableString, identifiers.ia5String])

/** Reads the Name that comes next. */
export function readName(cursor: DerCursor): DistinguishedName {
  const der = cursor.element(identifiers.sequence)
  const attributes: NameAttribute[] = []
  const relativeNames = cursor.inside(der)
  while (!relativeNames.atEnd) {
    const relative = relativeNames.enter(identifiers.set)
    while (!relative.atEnd) attributes.push(readAttribute(relative.enter()))
    if (attributes.length > maximumAttributes)
      throw new MalformedError({ path: cursor.path }, 'has a name that is too long')
  }
  return { der, attributes }
}

function readAttribute(attribute: DerCursor): NameAttribute {
  const type = attribute.objectIdentifier()
  const identifier = attribute.next()
  const value = textTypes.has(identifier) ? attribute.content(identifier) : attribute.element()
  attribute.requireEnd()
  return { type, text: textTypes.has(identifier) ? textOf(value) : null }
}

/** The characters have been checked with the rest of the DER. */
function textOf(bytes: Uint8Array): string {
  return Buffer.from(bytes.buffer, bytes.byteOffset, bytes.length).toString('utf8')
}

/** Parses a DER Name to its last byte; throws only `MalformedError`. */
export function parseName(der: Uint8Array, path = 'name'): DistinguishedName {
  return readName(openDer(der, path))
}

/** Texts of all attributes of one type. */
export function attributeTexts(name: DistinguishedName, type: string): (string | null)[] {
  return name.attributes.filter((attribute) => attribute.type === type).map(({ text }) => text)
}

/** The only common name, or null where there is none, more than one, or one that is empty or not text. */
export function commonNameOf(name: DistinguishedName): string | null {
  const [first, ...others] = attributeTexts(name, attributeTypes.commonName)
  return first && others.length === 0 ? first : null
}

/** `C=CN, O=Aliyun, CN=…` for messages: escaped, at most 200 characters. Never compare it. */
export function describeName(name: DistinguishedName): string {
  if (name.attributes.length === 0) return '(empty name)'
  const parts = name.attributes.map(({ type, text }) => `${shortNames.get(type) ?? type}=${escaped(text ?? '?')}`)
  const whole = parts.join(', ')
  return whole.length > longestDescription ? `${whole.slice(0, longestDescription)}…` : whole
}

/** A name may carry control characters that forge log lines or drive a terminal. */
function escaped(text: string): string {
  return Array.from(text.slice(0, longestDescription), (character) => {
    const code = character.codePointAt(0) ?? 0
    const plain = code >= 0x20 && code < 0x7f && character !== '\\'
    return plain ? character : `\\u{${code.toString(16)}}`
  }).join('')
}
