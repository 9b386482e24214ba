import { MalformedError } from '../errors.ts'
import { contentOffset, endOffset } from './der.ts'
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
  // The walk that knows offsets for errors makes an object for each attribute.
  const count = countAttributes(der)
  if (count < 0 || count > maximumAttributes) readAttributes(cursor.inside(der))
  return new ReadName(der, cursor)
}

/** Content octets of the object identifier above those of all attributes here, 2.5.4, and the arc of the common name. */
const [attributeArcs, commonNameArc] = [Uint8Array.of(0x55, 0x04), 3]

class ReadName implements DistinguishedName {
  readonly der: Uint8Array
  readonly #cursor: DerCursor
  #attributes: readonly NameAttribute[] | null = null
  #commonName: string | null | undefined

  /** `der` is an element that `cursor` gave. */
  constructor(der: Uint8Array, cursor: DerCursor) {
    this.der = der
    this.#cursor = cursor
  }

  get attributes(): readonly NameAttribute[] {
    this.#attributes ??= readAttributes(this.#cursor.inside(this.der))
    return this.#attributes
  }

  /** Nearly all readers ask for nothing else. */
  get commonName(): string | null {
    if (this.#commonName === undefined) this.#commonName = onlyText(readCommonNames(this.#cursor.inside(this.der)))
    return this.#commonName
  }
}

function readCommonNames(relativeNames: DerCursor): (string | null)[] {
  const texts: (string | null)[] = []
  while (!relativeNames.atEnd) {
    const relative = relativeNames.enter(identifiers.set)
    while (!relative.atEnd) {
      const attribute = relative.enter()
      if (attribute.arcBelow(attributeArcs) === commonNameArc) texts.push(readText(attribute))
    }
  }
  return texts
}

/** Attributes of a Name, strict DER; -1 where something else stands in the place of one. */
function countAttributes(der: Uint8Array): number {
  let count = 0
  for (let at = contentOffset(der, 0); at < der.length; at = endOffset(der, at)) {
    if (der[at] !== identifiers.set) return -1
    const end = endOffset(der, at)
    for (let item = contentOffset(der, at); item < end; item = endOffset(der, item), count++) {
      if (!isAttribute(der, item)) return -1
    }
  }
  return count
}

/** An object identifier and one value. */
function isAttribute(der: Uint8Array, at: number): boolean {
  const [start, end] = [contentOffset(der, at), endOffset(der, at)]
  if (der[at] !== identifiers.sequence || start === end || der[start] !== identifiers.objectIdentifier) return false
  const value = endOffset(der, start)
  return value < end && endOffset(der, value) === end
}

function readAttributes(relativeNames: DerCursor): NameAttribute[] {
  const attributes: NameAttribute[] = []
  while (!relativeNames.atEnd) {
    const relative = relativeNames.enter(identifiers.set)
    while (!relative.atEnd) attributes.push(readAttribute(relative.enter()))
    if (attributes.length > maximumAttributes) {
      throw new MalformedError({ path: relative.path }, 'has a name that is too long')
    }
  }
  return attributes
}

function readAttribute(attribute: DerCursor): NameAttribute {
  const type = attribute.objectIdentifier()
  const text = readText(attribute)
  attribute.requireEnd()
  return { type, text }
}

function readText(value: DerCursor): string | null {
  const identifier = value.next()
  if (textTypes.has(identifier)) return value.text(identifier)
  value.skip()
  return null
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
  return name instanceof ReadName ? name.commonName : onlyText(attributeTexts(name, attributeTypes.commonName))
}

function onlyText([first, ...others]: readonly (string | null)[]): string | null {
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
