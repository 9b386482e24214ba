import type { ClaimIssuer, ClaimValue } from '../claim.ts'
import { EvaluationFailure } from '../evaluation-failure.ts'
import { valueKey } from './value-set.ts'

/** A claim of the working set. */
export interface WorkingClaim {
  readonly type: string
  readonly value: ClaimValue
  readonly issuer: ClaimIssuer
  /** Becomes true when an equal claim is added that is read-only. */
  readOnly: boolean
  /** The type was read out of a read-only value: it is as much of a secret as that was. */
  readOnlyType: boolean
}

const nothing: readonly WorkingClaim[] = []
/** Up to so many claims of a type are searched one by one: most types have one. */
const fewClaims = 8

function index(byValue: Map<string | boolean, WorkingClaim[]>, claim: WorkingClaim): void {
  const key = valueKey(claim.value)
  const known = byValue.get(key)
  if (known) known.push(claim)
  else byValue.set(key, [claim])
}

/** The claims of one type; those of a value are found at once where there are many. */
class ClaimsOfType {
  readonly claims: WorkingClaim[] = []
  #byValue: Map<string | boolean, WorkingClaim[]> | undefined

  withValue(value: ClaimValue): readonly WorkingClaim[] {
    return this.#byValue ? (this.#byValue.get(valueKey(value)) ?? nothing) : this.claims
  }

  add(claim: WorkingClaim): void {
    this.claims.push(claim)
    if (this.#byValue) index(this.#byValue, claim)
    else if (this.claims.length > fewClaims) {
      this.#byValue = new Map()
      for (const known of this.claims) index(this.#byValue, known)
    }
  }
}

/** The claims that rules see, in order of arrival, and by their type (POL-404, POL-415). */
export class WorkingSet {
  readonly #all: WorkingClaim[] = []
  readonly #byType = new Map<string, ClaimsOfType>()
  readonly #limit: number

  constructor(limit: number) {
    this.#limit = limit
  }

  get all(): readonly WorkingClaim[] {
    return this.#all
  }

  ofType(type: string): readonly WorkingClaim[] {
    return this.#byType.get(type)?.claims ?? nothing
  }

  /** Claims of a type among which are all that have the value. */
  ofTypeAndValue(type: string, value: ClaimValue): readonly WorkingClaim[] {
    return this.#byType.get(type)?.withValue(value) ?? nothing
  }

  /** False if an equal claim is there already (POL-415). */
  add(claim: WorkingClaim): boolean {
    const { type, value, issuer } = claim
    const known = this.ofTypeAndValue(type, value).find((other) => other.value === value && other.issuer === issuer)
    if (known) {
      known.readOnly ||= claim.readOnly
      known.readOnlyType ||= claim.readOnlyType
      return false
    }
    if (this.#all.length >= this.#limit) {
      throw new EvaluationFailure('POL-606', `the working set has more than ${this.#limit} claims`)
    }
    this.#all.push(claim)
    this.#bucket(type).add(claim)
    return true
  }

  #bucket(type: string): ClaimsOfType {
    const known = this.#byType.get(type)
    if (known) return known
    const made = new ClaimsOfType()
    this.#byType.set(type, made)
    return made
  }
}
