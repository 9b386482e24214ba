import { canonicalJson, isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { resultsErrors } from './errors.ts'

/** Members of `tcb-status`: hexadecimal text in the byte order of the quote, and booleans. */
export type TcbStatusMembers = Record<string, string | boolean>

function flattenInto(members: TcbStatusMembers, prefix: string, tree: JsonObject): void {
  for (const [name, value] of Object.entries(tree)) {
    const path = `${prefix}.${name}`
    if (isJsonObject(value)) flattenInto(members, path, value)
    else if (typeof value === 'string' || typeof value === 'boolean') members[path] = value
  }
}

function bodyMember(tdx: JsonObject, name: string): string {
  const { quote } = tdx
  const body: JsonValue | undefined = isJsonObject(quote) ? quote['body'] : undefined
  const value = isJsonObject(body) ? body[name] : undefined
  if (typeof value === 'string') return value
  const claim = `tdx.quote.body.${name}`
  throw resultsErrors.error('CLAIM_MISSING', `the appraisal has no verified claim ${claim}`, { facts: { claim } })
}

/**
 * Flattens the claims of a quote as profile `alibaba` names them (TOK-31): names joined by dots below `tdx`, of the trees
 * `quote` and `td_attributes`, and at the top `init_data` and `report_data`, copies of two members of the body. Other
 * claims about the TD have no place in this profile. Throws `CLAIM_MISSING` without a body.
 */
export function flattenTdx(tdx: JsonObject): TcbStatusMembers {
  const members: TcbStatusMembers = {
    init_data: bodyMember(tdx, 'mr_config_id'),
    report_data: bodyMember(tdx, 'report_data'),
  }
  for (const name of ['quote', 'td_attributes']) {
    const tree = tdx[name]
    if (isJsonObject(tree)) flattenInto(members, `tdx.${name}`, tree)
  }
  return members
}

/** The claim `tcb-status`: a string of compact JSON with names sorted by code point (TOK-30). */
export function encodeTcbStatus(tdx: JsonObject): string {
  return canonicalJson(flattenTdx(tdx))
}
