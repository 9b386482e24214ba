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

/** Reads the Name that comes next. Its structure is judged here; attributes are decoded when they are asked for. */
export function readName(cursor: DerCursor): DistinguishedName {
  const der = cursor.element(identifiers.sequence)
  requireNameForm(cursor.inside(der))
  return new ReadName(der, cursor)
}

class ReadName implements DistinguishedName {
  readonly der: Uint8Array
  readonly #cursor: DerCursor
  #attributes: readonly NameAttribute[] | null = null

  /** `der` is an element that `cursor` gave. */
  constructor(der: Uint8Array, cursor: DerCursor) {
    this.der = der
    this.#cursor = cursor
  }

  get attributes(): readonly NameAttribute[] {
    this.#attributes ??= readAttributes(this.#cursor.inside(this.der))
    return this.#attributes
  }
}

function requireNameForm(relativeNames: DerCursor): void {
  let count = 0
  while (!relativeNames.atEnd) {
    const relative = relativeNames.enter(identifiers.set)
    for (; !relative.atEnd; count++) {
      const attribute = relative.enter()
      attribute.skip(identifiers.objectIdentifier)
      attribute.skip()
      attribute.requireEnd()
    }
    if (count > maximumAttributes) throw new MalformedError({ path: relative.path }, 'has a name that is too long')
  }
}

function readAttributes(relativeNames: DerCursor): NameAttribute[] {
  const attributes: NameAttribute[] = []
  while (!relativeNames.atEnd) {
    const relative = relativeNames.enter(identifiers.set)
    while (!relative.atEnd) attributes.push(readAttribute(relative.enter()))
  }
  return attributes
}

function readAttribute(attribute: DerCursor): NameAttribute {
  const type = attribute.objectIdentifier()
  const identifier = attribute.next()
  return { type, text: textTypes.has(identifier) ? attribute.text(identifier) : null }
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
