import { MalformedError } from '../../base/errors.ts'

/** An element with either children or text. Names are as they are written; attributes are not kept. */
export interface XmlElement {
  readonly name: string
  readonly children: readonly XmlElement[]
  /** Empty where there are children. */
  readonly text: string
}

const [deepest, mostElements] = [8, 64]
const declaration = /^<\?xml version=(?:"1\.[01]"|'1\.[01]')(?: encoding=(?:"utf-8"|'utf-8'))?\s*\?>\s*/i
const openTag = /<([A-Za-z][A-Za-z0-9]{0,63})((?:\s+[A-Za-z][A-Za-z0-9:]{0,31}="[^"<&]{0,256}")*)\s*(\/?)>/y
const closeTag = /<\/([A-Za-z][A-Za-z0-9]{0,63})\s*>/y
const content = /[^<]*/y
const reference = /&(?:#([0-9]{1,7})|#x([0-9A-Fa-f]{1,6})|([a-z]{2,4}));|&/g
const named: Readonly<Record<string, string>> = { amp: '&', lt: '<', gt: '>', quot: '"', apos: "'" }

function malformed(problem: string): MalformedError {
  return new MalformedError({ path: 'xml' }, problem)
}

function decoded(text: string): string {
  return text.replace(reference, (_, decimal?: string, hex?: string, name?: string) => {
    const known = name === undefined ? undefined : named[name]
    if (known !== undefined) return known
    const code = Number.parseInt(decimal ?? hex ?? '', hex === undefined ? 10 : 16)
    if (!(code > 0 && code < 0x110000) || (code >= 0xd800 && code < 0xe000)) throw malformed('an unknown reference')
    return String.fromCodePoint(code)
  })
}

class XmlReader {
  readonly #text: string
  #at: number
  #elements = 0

  constructor(text: string) {
    this.#text = text
    this.#at = declaration.exec(text)?.[0].length ?? 0
  }

  document(): XmlElement {
    const root = this.#element(0)
    if (this.#take(content)?.[0].trim() !== '' || this.#at < this.#text.length) throw malformed('text behind the end')
    return root
  }

  #take(form: RegExp): RegExpExecArray | null {
    form.lastIndex = this.#at
    const found = form.exec(this.#text)
    if (found !== null) this.#at = form.lastIndex
    return found
  }

  #element(depth: number): XmlElement {
    const [, name, , empty] = this.#take(openTag) ?? []
    if (name === undefined) throw malformed('neither an element nor its end')
    if (depth >= deepest || ++this.#elements > mostElements) throw malformed('too deep or too many elements')
    if (empty === '/') return { name, children: [], text: '' }
    return { name, ...this.#inside(name, depth) }
  }

  #inside(name: string, depth: number): Pick<XmlElement, 'children' | 'text'> {
    const children: XmlElement[] = []
    for (;;) {
      const text = this.#take(content)?.[0] ?? ''
      const end = this.#take(closeTag)
      if (end !== null) {
        if (end[1] !== name) throw malformed('an element ends that is not open')
        if (children.length === 0) return { children, text: decoded(text) }
        if (text.trim() === '') return { children, text: '' }
      }
      if (text.trim() !== '') throw malformed('text beside elements')
      children.push(this.#element(depth + 1))
    }
  }
}

/**
 * Parses the small part of XML that token services answer with: elements, references to characters, attributes that are
 * skipped. What could expand, include or hide something (document types, other entities, CDATA, comments, processing
 * instructions) is refused, as are prefixes, text beside elements, more than 64 elements and more than 8 levels. Throws
 * `MalformedError`, which never quotes the text.
 */
export function parseXml(text: string): XmlElement {
  return new XmlReader(text).document()
}

/** The one element at a path of names below `element`; null where one is missing or there more than once. */
export function elementAt(element: XmlElement, ...path: readonly string[]): XmlElement | null {
  const [name, ...rest] = path
  if (name === undefined) return element
  const found = element.children.filter((child) => child.name === name)
  const [only] = found
  return only === undefined || found.length > 1 ? null : elementAt(only, ...rest)
}
