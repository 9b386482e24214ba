import type { JsonObject } from '../base/json.ts'
import { matchAlgorithm, type SignatureAlgorithm } from './algorithms.ts'
import { describeValue } from './describe-value.ts'
import type { TokenChecklist } from './judging.ts'
import type { Trust } from './require-trust.ts'

function judgeType(header: JsonObject, list: TokenChecklist): void {
  const { typ } = header
  const jwt = typ === undefined || (typeof typ === 'string' && /^jwt$/i.test(typ))
  list.judge('token.type', jwt, () => `typ is ${describeValue(typ)}`)
}

function present(header: JsonObject, pattern: RegExp): string[] {
  return Object.keys(header).filter((name) => pattern.test(name))
}

/** TOK-72 to TOK-74 and TOK-80: what the header alone decides. Gives the algorithm if it is one of the configured. */
export function judgeHeader(header: JsonObject, trust: Trust, list: TokenChecklist): SignatureAlgorithm | undefined {
  judgeType(header, list)
  const extensions = present(header, /^(?:crit|b64|zip)$/)
  list.judge('token.crit', extensions.length === 0, () => `the header has ${extensions.join(', ')}`)
  const keys = present(header, /^(?:jwk|jku|x5u|x5c|x5t(?:#S256)?)$/)
  if (keys.length > 0 && trust.profile === 'alibaba') {
    list.pass('token.header', `${keys.join(', ')} ignored`)
  } else {
    list.judge('token.header', keys.length === 0, () => `the header has ${keys.join(', ')}`)
  }
  const algorithm = matchAlgorithm(header['alg'])
  const allowed = algorithm !== undefined && trust.algorithms.has(algorithm)
  list.judge('token.algorithm', allowed, () => `alg is ${describeValue(header['alg'])}`)
  return allowed ? algorithm : undefined
}
