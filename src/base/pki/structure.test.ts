import { describe, expect, it } from 'vitest'
import { element } from '../../../mocks/tdx/der.ts'
import { createRoot, issueCrlDer, issueDer } from '../../../test/support/test-ca.ts'
import { MalformedError } from '../errors.ts'
import { parseCertificate } from './certificate.ts'
import { measureElement } from './der.ts'
import { parseCrl } from './revocation-list.ts'

/** An element that can be taken apart: constructed ones have children, others content. */
interface Node {
  readonly identifier: number
  readonly children: Node[]
  content: Uint8Array
}

function parseNode(bytes: Uint8Array): Node {
  const identifier = bytes[0] ?? 0
  const size = measureElement(bytes, 'x')
  const length = bytes[1] ?? 0
  const content = bytes.subarray(length < 0x80 ? 2 : 2 + (length & 0x7f), size)
  const children: Node[] = []
  for (let at = 0; identifier & 0x20 && at < content.length; at += measureElement(content.subarray(at), 'x')) {
    children.push(parseNode(content.subarray(at)))
  }
  return { identifier, children, content }
}

const encodeNode = ({ identifier, children, content }: Node): Uint8Array =>
  identifier & 0x20 ? element(identifier, ...children.map(encodeNode)) : element(identifier, content)

const root = createRoot()
const certificate = issueDer({ signer: root })
const list = issueCrlDer({ signer: root, revoked: [{ serial: 5n }] })
const extra: Node = { identifier: 5, children: [], content: new Uint8Array() }

/** The message for `der` changed at the node that the child numbers lead to. */
function outcome(
  der: Uint8Array,
  parse: (bytes: Uint8Array) => unknown,
  path: number[],
  change: (node: Node) => unknown,
) {
  const tree = parseNode(der)
  const node = path.reduce<Node | undefined>((at, child) => at?.children[child], tree)
  if (!node) throw new Error('no such node')
  change(node)
  try {
    parse(encodeNode(tree))
    return 'parsed'
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}
const append = ({ children }: Node) => children.push(extra)
const empty = ({ children }: Node) => children.splice(0)

describe('an element too many', () => {
  it.each<[string, number[]]>([
    ['the certificate', []],
    ['its signed part', [0]],
    ['its algorithm', [0, 2]],
    ['its validity', [0, 4]],
    ['an attribute of its name', [0, 5, 0, 0]],
    ['its key', [0, 6]],
    ['an extension', [0, 7, 0, 0]],
    ['its list of extensions', [0, 7, 0]],
  ])('in %s is refused', (_what, path) => {
    expect(outcome(certificate, parseCertificate, path, () => {})).toBe('parsed')
    expect(outcome(certificate, parseCertificate, path, append)).not.toBe('parsed')
  })

  it.each<[string, number[]]>([
    ['the list', []],
    ['its signed part', [0]],
    ['its entries', [0, 5]],
    ['an entry', [0, 5, 0]],
    ['the wrapping of its extensions', [0, 6]],
  ])('in %s is refused', (_what, path) => {
    expect(outcome(list, parseCrl, path, () => {})).toBe('parsed')
    expect(outcome(list, parseCrl, path, append)).not.toBe('parsed')
  })

  it('behind the extensions of an entry is refused', () => {
    const withExtensions = issueCrlDer({
      signer: root,
      revoked: [{ serial: 5n, extensions: [{ id: '2.5.29.21', critical: false, value: Uint8Array.of(10, 1, 1) }] }],
    })
    expect(outcome(withExtensions, parseCrl, [0, 5, 0], () => {})).toBe('parsed')
    expect(outcome(withExtensions, parseCrl, [0, 5, 0], append)).toContain('structure')
  })
})

describe('a list of none, which has to be left out', () => {
  it('is not canonical: extensions of a certificate, entries and extensions of a list', () => {
    expect(outcome(certificate, parseCertificate, [0, 7, 0], empty)).toContain('canonical')
    expect(outcome(list, parseCrl, [0, 5], empty)).toContain('canonical')
    expect(outcome(list, parseCrl, [0, 6, 0], empty)).toContain('canonical')
  })

  it('is not canonical: names of an authority key identifier', () => {
    const value = Uint8Array.of(0x30, 5, 0xa1, 0, 0x82, 1, 1)
    const der = issueDer({
      signer: root,
      authorityKeyId: null,
      extensions: [{ id: '2.5.29.35', critical: false, value }],
    })
    expect(() => parseCertificate(der)).toThrow('canonical')
  })
})
