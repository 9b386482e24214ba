import { declareErrors } from '../base/errors.ts'

/** Section 8; all inclusive. An operator may lower them, and raise them as far as `requirePolicyLimits` says. */
export interface PolicyLimits {
  /** Bytes of UTF-8 (POL-601). */
  readonly textBytes: number
  /** POL-602. */
  readonly rules: number
  readonly conditionsPerRule: number
  readonly testsPerCondition: number
  /** POL-603. */
  readonly expressionDepth: number
  /** Bytes of UTF-8 (POL-604). */
  readonly literalBytes: number
  /** POL-605. */
  readonly queryBytes: number
  readonly queryDepth: number
  readonly queryNodes: number
  /** POL-606. */
  readonly incomingClaims: number
  readonly workingClaims: number
  readonly stringBytes: number
  /** Of each result of `JmesPath`, `AppendString` and `to_string` (POL-607). */
  readonly resultBytes: number
  /** POL-608. */
  readonly steps: number
  /** POL-609. */
  readonly issuedBytes: number
}

export const defaultPolicyLimits: PolicyLimits = {
  textBytes: 65_536,
  rules: 512,
  conditionsPerRule: 32,
  testsPerCondition: 16,
  expressionDepth: 16,
  literalBytes: 16_384,
  queryBytes: 32_768,
  queryDepth: 64,
  queryNodes: 4000,
  incomingClaims: 20_000,
  workingClaims: 40_000,
  stringBytes: 16_777_216,
  resultBytes: 1_048_576,
  steps: 20_000_000,
  issuedBytes: 262_144,
}

const mostTimes = 16
/** Sixteen times as deep, a query of the worst form would fill the stack of a process that does nothing else. */
const deepestQuery = 128

export const policyLimitErrors = declareErrors({
  POLICY_LIMIT: {
    kind: 'configuration',
    title: 'a limit of appraisal policies is not one that can be kept',
    remedy: 'give a whole number that is not above the one in the message, or leave the limit out',
  },
})

const isLimit = (name: string): name is keyof PolicyLimits => Object.hasOwn(defaultPolicyLimits, name)

function requireLimit(name: string, value: unknown): void {
  if (!isLimit(name)) throw policyLimitErrors.error('POLICY_LIMIT', `${name.slice(0, 64)}: there is no such limit`)
  const most = name === 'queryDepth' ? deepestQuery : defaultPolicyLimits[name] * mostTimes
  if (typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 && value <= most) return
  const given = typeof value === 'number' ? `${value}` : typeof value
  throw policyLimitErrors.error('POLICY_LIMIT', `${name}: must be a whole number from 0 to ${most}, not ${given}`)
}

/**
 * The limits of section 8 with some of them changed; what is undefined keeps its default. Each can be raised 16 times,
 * but for `queryDepth`, which can be doubled: what nests deeper than that could leave the stack. A limit that is no
 * number would be none at all. Throws `POLICY_LIMIT`.
 */
export function requirePolicyLimits(changed: Partial<PolicyLimits> = {}): PolicyLimits {
  const given = Object.entries(changed).filter(([, value]) => value !== undefined)
  for (const [name, value] of given) requireLimit(name, value)
  return { ...defaultPolicyLimits, ...Object.fromEntries(given) }
}
