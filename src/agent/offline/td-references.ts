import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type JsonValue, parseJsonObject } from '../../base/json.ts'
import type { ReferenceField, TdxReferences } from '../../verifier/index.ts'

interface NamedField {
  readonly name: string
  readonly field: ReferenceField
  /** Bytes. */
  readonly size: number
  /** Shorter values are compared as if zeros followed them (TDX-043). */
  readonly padded?: true
}

/** The names of the configuration (`verifier.td`), and those of an enclave. */
const fields: readonly NamedField[] = [
  { name: 'tee_tcb_svn', field: 'teeTcbSvn', size: 16 },
  { name: 'mr_seam', field: 'mrSeam', size: 48 },
  { name: 'mr_signer_seam', field: 'mrSignerSeam', size: 48 },
  { name: 'seam_attributes', field: 'seamAttributes', size: 8 },
  { name: 'td_attributes', field: 'tdAttributes', size: 8 },
  { name: 'xfam', field: 'xfam', size: 8 },
  { name: 'mr_td', field: 'mrTd', size: 48 },
  { name: 'mr_config_id', field: 'mrConfigId', size: 48, padded: true },
  { name: 'mr_owner', field: 'mrOwner', size: 48 },
  { name: 'mr_owner_config', field: 'mrOwnerConfig', size: 48 },
  { name: 'rtmr_0', field: 'rtmr0', size: 48 },
  { name: 'rtmr_1', field: 'rtmr1', size: 48 },
  { name: 'rtmr_2', field: 'rtmr2', size: 48 },
  { name: 'rtmr_3', field: 'rtmr3', size: 48 },
  { name: 'mr_servicetd', field: 'mrServiceTd', size: 48 },
  { name: 'mr_enclave', field: 'mrEnclave', size: 32 },
  { name: 'mr_signer', field: 'mrSigner', size: 32 },
  { name: 'config_id', field: 'configId', size: 64 },
  { name: 'attributes', field: 'attributes', size: 16 },
  { name: 'misc_select', field: 'miscSelect', size: 4 },
]

/** Bytes of the file, and values of one field. */
export const referenceLimits = { file: 1 << 20, values: 1024 } as const

function parseValue(value: JsonValue, path: string, { size, padded }: NamedField): Uint8Array {
  if (typeof value !== 'string') throw new MalformedError({ path }, 'is not a string')
  const bytes = parseText(value, 'hex', path)
  const fits = padded ? bytes.length > 0 && bytes.length <= size : bytes.length === size
  if (fits) return bytes
  throw new MalformedError({ path }, `has ${bytes.length} bytes, must have ${padded ? `1 to ${size}` : size}`)
}

function parseValues(value: JsonValue | undefined, field: NamedField): readonly Uint8Array[] {
  const path = `references.${field.name}`
  if (!Array.isArray(value)) throw new MalformedError({ path }, 'is not a list of hexadecimal strings')
  if (value.length === 0) throw new MalformedError({ path }, 'is empty: leave the member out, or name a value')
  const { values: most } = referenceLimits
  if (value.length > most) throw new MalformedError({ path }, `has ${value.length} values, may have ${most}`)
  return value.map((item, at) => parseValue(item, `${path}[${at}]`, field))
}

/**
 * Reads reference values: a JSON object that has under the name of each field that is to be compared the list of its
 * accepted values, in lower-case hexadecimal and in the byte order of the quote. Strict: a member that is not known would
 * be a comparison that never takes place, and an object without members compares nothing. Throws `MalformedError`.
 */
export function parseTdReferences(bytes: Uint8Array): TdxReferences {
  if (bytes.length > referenceLimits.file) throw new MalformedError({ path: 'references' }, 'is longer than 1 MiB')
  const document = parseJsonObject(bytes, 'references')
  const unknown = Object.keys(document).find((member) => fields.every(({ name }) => name !== member))
  if (unknown !== undefined) {
    throw new MalformedError({ path: `references.${JSON.stringify(unknown.slice(0, 64))}` }, 'is no field of a quote')
  }
  const given = fields.filter(({ name }) => name in document)
  if (given.length === 0) throw new MalformedError({ path: 'references' }, 'names no field')
  return Object.fromEntries(given.map((field) => [field.field, parseValues(document[field.name], field)]))
}
