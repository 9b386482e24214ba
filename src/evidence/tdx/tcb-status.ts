import { concatBytes, parseText, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type JsonObject, parseJsonObject } from '../../base/json.ts'
import { type NamedFields, nameFields, namesOf } from './named-fields.ts'
import { parseSignedPart } from './quote.ts'
import { type BodyKind, bodyKinds } from './quote-body.ts'
import type { SignedPart } from './signed-part.ts'
import { nameAttributes } from './td-attributes.ts'

/** A signed part and its bytes, rebuilt from a text that carried its fields. */
export interface RebuiltPart extends SignedPart {
  /** What the attestation key signed, were its signature there. */
  readonly signedBytes: Uint8Array
}

const name = 'tcb-status'

function malformed(member: string, problem: string): MalformedError {
  return new MalformedError({ path: `${name}.${member}` }, problem)
}

function hexAt(members: JsonObject, member: string, size: number): Uint8Array {
  const value = members[member]
  if (typeof value !== 'string') throw malformed(member, value === undefined ? 'is missing' : 'is not a string')
  const bytes = parseText(value, 'hex', `${name}.${member}`)
  if (bytes.length !== size) throw malformed(member, `has ${bytes.length} bytes, must have ${size}`)
  return bytes
}

/** Which fields there are: version 5 says its body's type, version 4 has no choice, other versions have no TD. */
function formOf(members: JsonObject): { version: 4 | 5; kind: BodyKind } {
  const version = members['tdx.quote.header.version']
  if (version === '0400') return { version: 4, kind: 'td-1.0' }
  if (version !== '0500') throw malformed('tdx.quote.header.version', 'is not 0400 or 0500')
  const type = hexAt(members, 'tdx.quote.type', 2)[0]
  if (type !== 2 && type !== 3 && type !== 4) throw malformed('tdx.quote.type', 'is not the type of a TD report')
  return { version: 5, kind: bodyKinds[type] }
}

function bytesOf(members: JsonObject, prefix: string, fields: NamedFields): Uint8Array {
  return concatBytes(...fields.map(([field, size]) => hexAt(members, `${prefix}.${field}`, size)))
}

const prefixed = (prefix: string, members: object) =>
  Object.entries(members).map(([member, value]): [string, string | boolean] => [`${prefix}.${member}`, value])

/** Every member that the text of this part has (TOK-31). */
function membersOf(signedBytes: Uint8Array, part: SignedPart & { body: { kind: Exclude<BodyKind, 'sgx'> } }) {
  const { header, descriptor, body } = nameFields(signedBytes, part)
  const { mrConfigId, reportData, tdAttributes } = part.body.report
  return new Map<string, string | boolean>([
    ['init_data', toHex(mrConfigId)],
    ['report_data', toHex(reportData)],
    ...prefixed('tdx.quote.header', header),
    ...prefixed('tdx.quote', descriptor),
    ...prefixed('tdx.quote.body', body),
    ...prefixed('tdx.td_attributes', nameAttributes(tdAttributes)),
  ])
}

/** A copy that differs from its field, or a member beside them, would say two things to two readers. */
function requireMembers(members: JsonObject, expected: ReadonlyMap<string, string | boolean>): void {
  for (const [member, value] of expected) {
    if (members[member] !== value) throw malformed(member, 'is not what the fields of the quote say')
  }
  const unknown = Object.keys(members).find((member) => !expected.has(member))
  if (unknown !== undefined) throw malformed(unknown.slice(0, 64), 'is not known')
}

/**
 * Rebuilds the signed part of a TD quote from the text of a claim `tcb-status` (TDX-254, TOK-30, TOK-31): header, in
 * version 5 type and size, and body, byte for byte. Strict: each field once, in its size, in lower-case hexadecimal; the
 * copies and the named attributes fit their fields; no other member. There is no signature in such a text: whoever
 * believes the result believes the token. Throws `MalformedError` with the member's name.
 */
export function parseTcbStatusText(text: string): RebuiltPart {
  const members = parseJsonObject(text, name, { maxDepth: 1, maxValues: 64 })
  const { header, descriptor, body } = namesOf(formOf(members))
  const signedBytes = concatBytes(
    bytesOf(members, 'tdx.quote.header', header),
    bytesOf(members, 'tdx.quote', descriptor),
    bytesOf(members, 'tdx.quote.body', body),
  )
  const part = parseSignedPart(signedBytes)
  if (part.body.kind === 'sgx') throw malformed('tdx.quote.header.tee_type', 'is not 81000000')
  requireMembers(members, membersOf(signedBytes, { ...part, body: part.body }))
  return { ...part, signedBytes }
}
