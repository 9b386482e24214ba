import type { Claim, ClaimValue } from '../claim.ts'
import type { Evaluation, TokenValue } from '../evaluation/evaluation.ts'
import type { TrustClaim } from './trust-claims.ts'

/**
 * What a Rego policy says, in the shape of the other engine. Rego has no lines, rules and steps: those members are empty or
 * zero. `added` holds the trust vector as Integers of type `trust_claims.NAME`, and then the extensions.
 */
export type RegoEvaluation = Evaluation & { readonly trust: readonly TrustClaim[] }

/** One extension of `policy/extensions` that has a value (POL-964). */
export interface Extension {
  readonly name: string
  readonly values: readonly ClaimValue[]
}

const nowhere = { decidedBy: [], steps: 0, firedLines: [] } as const

const byPolicy = (type: string, value: ClaimValue): Claim => ({ type, value, issuer: 'AttestationPolicy' })

/** What a policy said beside its verdict. */
export interface RegoStatements {
  readonly trust: readonly TrustClaim[]
  readonly extensions: readonly Extension[]
  /** Of the extensions. */
  readonly token: Readonly<Record<string, TokenValue>>
}

export const nothingSaid: RegoStatements = { trust: [], extensions: [], token: Object.freeze(Object.create(null)) }

function addedClaims({ trust, extensions }: RegoStatements): readonly Claim[] {
  return [
    ...trust.map(({ name, value }) => byPolicy(`trust_claims.${name}`, BigInt(value))),
    ...extensions.flatMap(({ name, values }) => values.map((value) => byPolicy(name, value))),
  ]
}

/** The verdict of a policy that ran to its end. */
export function regoVerdict(judged: 'permit' | 'deny-rule' | 'no-permit', said: RegoStatements): RegoEvaluation {
  const ran = { ...nowhere, trust: said.trust, added: addedClaims(said) }
  if (judged !== 'permit') return { ...ran, verdict: 'deny', reason: judged }
  return { ...ran, verdict: 'permit', token: said.token, properties: Object.create(null) }
}

/** The verdict of a policy that did not, or whose results cannot be read (POL-961). `id` is the rule that says so. */
export function regoError(id: string, message: string): RegoEvaluation {
  const error = { id, message, section: null, line: null }
  return { ...nowhere, trust: [], added: [], verdict: 'error', error }
}

/** Whether two policies, or one about two devices, put different values under one name (POL-429). */
function contradiction(permits: readonly Extract<RegoEvaluation, { verdict: 'permit' }>[]): string | null {
  const seen = new Map<string, string>()
  for (const { token } of permits) {
    for (const [name, value] of Object.entries(token)) {
      const shown = [value].flat().map((one) => `${typeof one} ${one}`)
      const text = JSON.stringify(shown)
      if ((seen.get(name) ?? text) !== text) return name
      seen.set(name, text)
    }
  }
  return null
}

/**
 * One verdict of several about the devices of one guest: all must permit. An error counts before a denial, and the first of
 * its kind is told. At least one is given.
 */
export function joinEvaluations(evaluations: readonly RegoEvaluation[]): RegoEvaluation {
  const [first, ...others] = evaluations
  if (first === undefined) throw new TypeError('a verdict is joined of at least one')
  if (others.length === 0) return first
  const refused =
    evaluations.find(({ verdict }) => verdict === 'error') ?? evaluations.find(({ verdict }) => verdict === 'deny')
  const all = {
    trust: evaluations.flatMap(({ trust }) => trust),
    added: evaluations.flatMap(({ added }) => added),
  }
  if (refused !== undefined) return { ...refused, ...all }
  const permits = evaluations.filter((one) => one.verdict === 'permit')
  const name = contradiction(permits)
  if (name !== null) return regoError('POL-429', `devices get different values of ${JSON.stringify(name)}`)
  const members = new Map(permits.flatMap((permit) => Object.entries(permit.token)))
  const token: Record<string, TokenValue> = Object.create(null)
  for (const [member, value] of [...members].sort(([left], [right]) => (left < right ? -1 : 1))) token[member] = value
  return { ...first, ...all, verdict: 'permit', token, properties: Object.create(null) }
}
