import { acceptIncomingClaims, type Claim, type Evaluation, type PolicyDiagnostic } from '../../policies/index.ts'
import { type ExactJson, isExactObject } from './claims-file.ts'
import type { BundleProblem } from './examine-bundle.ts'
import type { ExpectedEvaluation, ExpectedLints, ExpectedLoad } from './test-file.ts'

/** Something that is not as expected. */
export interface Mismatch {
  /** `verdict`, `token`, `load.line`. */
  readonly what: string
  readonly expected: string
  readonly found: string
}

/** With integers as digits, members sorted and sets of a token in order: equal texts are equal values. */
export function comparable(value: unknown): string {
  if (Array.isArray(value)) return `[${value.map(comparable).join(', ')}]`
  if (typeof value === 'object' && value !== null) {
    const members = Object.entries(value).sort(([left], [right]) => (left < right ? -1 : 1))
    return `{${members.map(([name, member]) => `${JSON.stringify(name)}: ${comparable(member)}`).join(', ')}}`
  }
  return typeof value === 'bigint' ? String(value) : (JSON.stringify(value) ?? 'nothing')
}

/** Compares if something is expected. */
function differing(what: string, expected: unknown, found: unknown): Mismatch[] {
  if (expected === undefined) return []
  const texts = { expected: comparable(expected), found: comparable(found) }
  return texts.expected === texts.found ? [] : [{ what, ...texts }]
}

function lacking(what: string, part: string | undefined, whole: string | readonly string[]): Mismatch[] {
  if (part === undefined || whole.includes(part)) return []
  return [{ what, expected: `… ${comparable(part)} …`, found: comparable(whole) }]
}

/** Whether the policy loads as expected; `diagnostics` is empty if it does load (POL-804: the first one is the contract). */
export function loadMismatches(expected: ExpectedLoad, [first]: readonly PolicyDiagnostic[]): readonly Mismatch[] {
  const place = first === undefined ? '' : ` (${first.id} at ${first.line}:${first.column}: ${first.message})`
  const found = first === undefined ? 'ok' : 'rejected'
  if (found !== expected.status) return [{ what: 'load.status', expected: expected.status, found: found + place }]
  if (first === undefined) return []
  return [
    ...(['id', 'line', 'column', 'found'] as const).flatMap((name) =>
      differing(`load.${name}`, expected[name], first[name]),
    ),
    ...lacking('load.expectedIncludes', expected.expectedIncludes, first.expected),
    ...lacking('load.hintIncludes', expected.hintIncludes, first.hint ?? ''),
    ...lacking('load.messageIncludes', expected.messageIncludes, first.message),
  ]
}

/** The same of a bundle: `id` is the code of an error, and there are no lines. */
export function bundleLoadMismatches(expected: ExpectedLoad, problem: BundleProblem | null): readonly Mismatch[] {
  const found = problem === null ? 'ok' : 'rejected'
  const says = problem === null ? '' : ` (${problem.code}: ${problem.message})`
  if (found !== expected.status) return [{ what: 'load.status', expected: expected.status, found: found + says }]
  if (problem === null) return []
  return [
    ...differing('load.id', expected.id, problem.code),
    ...lacking('load.messageIncludes', expected.messageIncludes, problem.message),
  ]
}

type LintPlace = NonNullable<ExpectedLints['must']>[number]

const placeOf = ({ id, line, column }: LintPlace) => `${id} at ${line ?? 'any line'}:${column ?? 'any column'}`

/** `mustNot` is about warnings and errors; `*` is all of them. */
export function lintMismatches(expected: ExpectedLints, found: readonly PolicyDiagnostic[]): readonly Mismatch[] {
  const { must = [], mustNot = [] } = expected
  const all = found.map(placeOf).join(', ') || 'none'
  const missing = must.filter(
    ({ id, line, column }) =>
      !found.some(
        (each) => each.id === id && (line ?? each.line) === each.line && (column ?? each.column) === each.column,
      ),
  )
  const refused = found.filter(
    ({ id, severity }) => mustNot.includes(id) || (mustNot.includes('*') && severity !== 'info'),
  )
  return [
    ...missing.map((each) => ({ what: 'lints.must', expected: placeOf(each), found: all })),
    ...refused.map((each) => ({ what: 'lints.mustNot', expected: `no ${each.id}`, found: placeOf(each) })),
  ]
}

/** Of a claim that a policy added, however its Integer is written. */
function expectedClaim(given: ExactJson): unknown {
  if (!isExactObject(given)) return given
  const { valueType, ...claim } = given
  const read = acceptIncomingClaims([{ ...claim, valueType, issuer: 'CustomClaim' }])
  return 'claims' in read ? { ...claim, value: read.claims[0]?.value } : given
}

const addedClaim = ({ type, value, issuer }: Claim) => ({ type, value, issuer })

function errorMismatches({ error: expected }: ExpectedEvaluation, evaluation: Evaluation): Mismatch[] {
  if (expected === undefined) return []
  const found = evaluation.verdict === 'error' ? evaluation.error : null
  const ids = [expected.id].flat()
  const isOne = found !== null && ids.includes(found.id)
  const says = found === null ? 'no error' : `${found.id} (${found.message})`
  return [
    ...(isOne ? [] : [{ what: 'error.id', expected: ids.join(' or '), found: says }]),
    ...differing('error.line', expected.line, found?.line ?? null),
  ]
}

function foundReason(evaluation: Evaluation): string {
  if (evaluation.verdict === 'permit') return 'none'
  return evaluation.verdict === 'deny' ? evaluation.reason : 'error'
}

function foundVerdict(evaluation: Evaluation): string {
  const { verdict, decidedBy } = evaluation
  const lines = decidedBy.length === 0 ? '' : `, line ${decidedBy.join(', ')}`
  const error = evaluation.verdict === 'error' ? `: ${evaluation.error.id}: ${evaluation.error.message}` : ''
  return verdict === 'permit' ? `permit${lines}` : `${verdict} (${foundReason(evaluation)}${lines})${error}`
}

/** Whether a policy answers as expected. Only what is named is compared, and that exactly (POL-830). */
export function evaluationMismatches(expected: ExpectedEvaluation, evaluation: Evaluation): readonly Mismatch[] {
  if (expected.verdict !== evaluation.verdict) {
    return [{ what: 'verdict', expected: expected.verdict, found: foundVerdict(evaluation) }]
  }
  const granted = evaluation.verdict === 'permit' ? evaluation : { token: undefined, properties: undefined }
  const added = Array.isArray(expected.added) ? expected.added.map(expectedClaim) : expected.added
  return [
    ...differing('reason', expected.reason, foundReason(evaluation)),
    ...errorMismatches(expected, evaluation),
    ...differing('token', expected.token, granted.token),
    ...differing('properties', expected.properties, granted.properties),
    ...differing('added', added, evaluation.added.map(addedClaim)),
    ...differing('firedLines', expected.firedLines, evaluation.firedLines),
  ]
}
