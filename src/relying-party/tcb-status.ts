import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import { tokenJsonLimits } from './compact-jws.ts'

const name = 'tcb-status'
const prototypeNames = new Set(['__proto__', 'constructor', 'prototype'])

function insert(root: JsonObject, path: readonly string[], value: JsonValue): void {
  let place = root
  for (const [index, step] of path.entries()) {
    if (step === '' || prototypeNames.has(step)) throw new MalformedError({ path: name }, 'has an unusable member name')
    const next = place[step]
    if (index === path.length - 1) {
      if (next !== undefined) throw new MalformedError({ path: name }, 'has a member that is a value and an object')
      place[step] = value
      return
    }
    if (next !== undefined && !isJsonObject(next)) {
      throw new MalformedError({ path: name }, 'has a member that is a value and an object')
    }
    place = next ?? Object.assign(place, { [step]: Object.create(null) })[step]
  }
}

/**
 * Reads the claim `tcb-status` of profile `alibaba` (TOK-102): a *string* that holds one flat JSON object of strings and
 * booleans with names joined by dots (TOK-31). Gives it nested, as profile `attestd` has it. Throws `MalformedError`.
 */
export function parseTcbStatus(claim: JsonValue | undefined): JsonObject {
  if (typeof claim !== 'string') throw new MalformedError({ path: name }, 'is not a string')
  const nested: JsonObject = Object.create(null)
  for (const [member, value] of Object.entries(parseJsonObject(claim, name, tokenJsonLimits))) {
    if (typeof value !== 'string' && typeof value !== 'boolean') {
      throw new MalformedError({ path: name }, 'has a member that is neither a string nor a boolean')
    }
    insert(nested, member.split('.'), value)
  }
  return nested
}
