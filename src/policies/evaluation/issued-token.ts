import type { ClaimValue } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { utf8Length } from '../jmespath/json-text.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { type PolicyProfile, reservedNames } from '../reserved-claims.ts'
import type { TokenValue } from './evaluation.ts'
import { valueKey } from './value-set.ts'

/** Bytes of a value in the JSON text of the token. */
function jsonBytes(value: ClaimValue): number {
  return typeof value === 'string' ? utf8Length(JSON.stringify(value)) : String(value).length
}

/** What issuance rules put into the token (POL-419, POL-427, POL-609). */
export class IssuedToken {
  readonly #members = new Map<string, Map<string | boolean, ClaimValue>>()
  readonly #reserved: ReadonlySet<string>
  readonly #limit: number
  /** Of the RFC 8785 text of the token as it is so far: `{}`. */
  #bytes = 2

  constructor(profile: PolicyProfile, { issuedBytes }: Pick<PolicyLimits, 'issuedBytes'>) {
    this.#reserved = reservedNames[profile]
    this.#limit = issuedBytes
  }

  issue(type: string, value: ClaimValue): void {
    if (this.#reserved.has(type)) throw new EvaluationFailure('POL-427', `${type} is reserved and cannot be issued`)
    // Before it is quoted: that makes a copy of the value.
    if (typeof value === 'string' && value.length > this.#limit) this.#count(value.length)
    const values = this.#members.get(type) ?? new Map()
    const key = valueKey(value)
    if (values.has(key)) return
    this.#count(jsonBytes(value) + this.#around(type, values.size))
    values.set(key, value)
    this.#members.set(type, values)
  }

  /** One member a type, sorted by code unit, one value as a scalar; without a prototype. */
  token(): Record<string, TokenValue> {
    const token: Record<string, TokenValue> = Object.create(null)
    for (const type of [...this.#members.keys()].sort()) {
      const values = [...(this.#members.get(type)?.values() ?? [])]
      const [first] = values
      if (first !== undefined) token[type] = values.length === 1 ? first : values
    }
    return token
  }

  /** Name, colon and comma of a new member; brackets and comma of an array that begins; comma of one that goes on. */
  #around(type: string, values: number): number {
    if (values > 0) return values === 1 ? 3 : 1
    return jsonBytes(type) + 1 + (this.#members.size > 0 ? 1 : 0)
  }

  #count(bytes: number): void {
    this.#bytes += bytes
    if (this.#bytes > this.#limit) {
      throw new EvaluationFailure('POL-609', `the issued claims have more than ${this.#limit} bytes`)
    }
  }
}
