import { dirname, isAbsolute, join } from 'node:path'
import { parseText, samePublicBytes } from '../../base/bytes.ts'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import {
  defaultPolicies,
  type Evaluation,
  type GivenClaim,
  lintPolicy,
  type ParsedPolicy,
  PreparedPolicy,
  parseCustomClaims,
  parsePolicy,
  policyHash,
} from '../../policies/index.ts'
import type { Policy } from '../../policies/language/syntax.ts'
import { isCompiledPolicy } from '../../policies/rego/bundle-form.ts'
import { type AppraiseOptions, questionOf } from '../commands/appraise-question.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { requireClaim } from './claims-file.ts'
import { type PresentedEvidence, presentEvidence } from './claims-of-evidence.ts'
import { evaluationMismatches, lintMismatches, loadMismatches, type Mismatch } from './expectations.ts'
import { inputInvalid, readPolicyFile } from './policy-source.ts'
import type { PolicyTest, PolicyTestFile, PolicyTestRun, RunQuestion } from './test-file.ts'

/** A mismatch and where: `run` counts from 1; null for what is expected of the policy itself. */
export interface TestProblem extends Mismatch {
  readonly run: number | null
  readonly note: string | null
}

export interface TestResult {
  readonly file: string
  readonly name: string
  readonly runs: number
  /** Empty: the test passed. */
  readonly problems: readonly TestProblem[]
}

/** Where a test stands: files lie beside its file, and errors name it. */
interface Place {
  readonly label: string
  beside(path: string, member: string): string
}

function placeOf(file: string, { name }: PolicyTest): Place {
  const label = `${file}: test ${JSON.stringify(name.slice(0, 64))}`
  return {
    label,
    beside: (path, member) => {
      if (!isAbsolute(path) && path !== '-') return join(file === '-' ? '.' : dirname(file), path)
      throw new MalformedError({ path: `${label}: ${member}` }, 'is not a path relative to the test file')
    },
  }
}

const generatedText = ({ prefix, unit, count, suffix }: NonNullable<PolicyTest['generate']>) =>
  prefix + unit.repeat(count) + suffix

function shippedText(name: string): Uint8Array {
  const found = defaultPolicies.find((each) => each.name === name)
  if (found !== undefined) return new TextEncoder().encode(found.text)
  throw new MalformedError({ path: 'shippedPolicy' }, `there is no shipped policy ${JSON.stringify(name)}`)
}

async function policyBytes(test: PolicyTest, place: Place): Promise<Uint8Array> {
  const { policy, policyText, policyBase64, generate, shippedPolicy } = test
  if (policy !== undefined) return (await readPolicyFile(place.beside(policy, 'policy'))).bytes
  if (policyBase64 !== undefined) return parseText(policyBase64, 'base64', 'policyBase64')
  if (shippedPolicy !== undefined) return shippedText(shippedPolicy)
  return new TextEncoder().encode(policyText ?? (generate === undefined ? '' : generatedText(generate)))
}

function shippedMismatches({ policy, shippedPolicy }: PolicyTest, bytes: Uint8Array): Mismatch[] {
  if (policy === undefined || shippedPolicy === undefined) return []
  if (samePublicBytes(shippedText(shippedPolicy), bytes)) return []
  return [{ what: 'shippedPolicy', expected: shippedPolicy, found: 'another text' }]
}

/** What is expected of the policy itself. */
function policyMismatches(test: PolicyTest, bytes: Uint8Array, parsed: ParsedPolicy): readonly Mismatch[] {
  const { load, lints, policyHash: hash } = test.expect
  const found = policyHash(bytes)
  const isOther = hash !== undefined && hash !== found
  return [
    ...loadMismatches(load, parsed.diagnostics ?? []),
    ...shippedMismatches(test, bytes),
    ...(isOther ? [{ what: 'policyHash', expected: hash, found }] : []),
    ...(lints && parsed.policy ? lintMismatches(lints, lintPolicy(parsed, test)) : []),
  ]
}

/** The same question as on the command line, its files beside the test file. */
function appraiseOptions(question: RunQuestion, place: Place): AppraiseOptions {
  const { trustAnchors, intermediates, crl, references, collateral, ...others } = question
  const lists = Object.entries({ trustAnchors, intermediates, crl, references }).flatMap(([name, list]) =>
    list === undefined ? [] : [[name, list.map((path) => place.beside(path, name))] as const],
  )
  const one = collateral === undefined ? {} : { collateral: place.beside(collateral, 'collateral') }
  const given = Object.entries(others).filter(([, value]) => value !== undefined)
  return { ...Object.fromEntries(given), ...Object.fromEntries(lists), ...one }
}

async function presentedOf(run: PolicyTestRun, evidenceFile: string, place: Place): Promise<PresentedEvidence> {
  const evidence = parseEvidenceDocument(await readInput(place.beside(evidenceFile, 'evidence')))
  const question = await questionOf(appraiseOptions(run.appraise ?? {}, place), evidence)
  const custom = run.customClaims === undefined ? [] : parseCustomClaims(JSON.parse(JSON.stringify(run.customClaims)))
  return presentEvidence(evidence, question, custom)
}

async function evidenceClaims(run: PolicyTestRun, place: Place): Promise<readonly GivenClaim[]> {
  return run.evidence === undefined ? [] : (await presentedOf(run, run.evidence, place)).claims
}

/** A generated claim stands in front, then those of evidence, then those that are written out. */
async function claimsOf(run: PolicyTestRun, place: Place): Promise<readonly GivenClaim[]> {
  const { generateClaim, claims = [] } = run
  const generated =
    generateClaim === undefined
      ? []
      : [{ type: generateClaim.type, issuer: generateClaim.issuer, value: generatedText(generateClaim) }]
  const written = claims.map((claim, at) => requireClaim(claim, `${place.label}: claims[${at}]`))
  return [...generated, ...(await evidenceClaims(run, place)), ...written]
}

/** Mismatches of one run; evidence that is not affirmed is one, for no policy is asked about it. */
async function mismatchesOf(run: PolicyTestRun, evaluate: () => Promise<Evaluation>): Promise<readonly Mismatch[]> {
  try {
    return evaluationMismatches(run.expect, await evaluate())
  } catch (error) {
    if (!(error instanceof AttestdError) || error.code !== 'NOT_AFFIRMED') throw error
    return [{ what: 'evidence', expected: 'affirmed', found: error.message }]
  }
}

async function problemsOfRuns(
  test: PolicyTest,
  evaluate: (run: PolicyTestRun) => Promise<Evaluation>,
): Promise<TestProblem[]> {
  const problems: TestProblem[] = []
  for (const [at, run] of test.runs.entries()) {
    const found = await mismatchesOf(run, () => evaluate(run))
    problems.push(...found.map((each) => ({ ...each, run: at + 1, note: run.note ?? null })))
  }
  return problems
}

function runProblems(test: PolicyTest, policy: Policy, place: Place): Promise<TestProblem[]> {
  const prepared = new PreparedPolicy(policy, { profile: test.profile })
  return problemsOfRuns(test, async (run) => {
    if (run.input !== undefined) throw inputInvalid(`${place.label}: input`, 'is for Rego bundles')
    return prepared.evaluate(await claimsOf(run, place))
  })
}

const ofThePolicy = (found: readonly Mismatch[]): TestProblem[] =>
  found.map((each) => ({ ...each, run: null, note: null }))

async function bundleProblems(test: PolicyTest, bytes: Uint8Array, place: Place): Promise<readonly TestProblem[]> {
  const { openTestedBundle } = await import('./bundle-tests.ts')
  const present = (run: PolicyTestRun, evidence: string) => presentedOf(run, evidence, place)
  await using tested = await openTestedBundle(test, { file: place.label, bytes }, present)
  const { evaluate } = tested
  return [...ofThePolicy(tested.mismatches), ...(evaluate === null ? [] : await problemsOfRuns(test, evaluate))]
}

async function runTest(test: PolicyTest, place: Place): Promise<Omit<TestResult, 'file'>> {
  const bytes = await policyBytes(test, place)
  const head = { name: test.name, runs: test.runs.length }
  if (isCompiledPolicy(bytes)) return { ...head, problems: await bundleProblems(test, bytes, place) }
  if (test.rego !== undefined) throw inputInvalid(`${place.label}: rego`, 'is for Rego bundles')
  const parsed = parsePolicy(bytes, { lenient: test.mode === 'lenient' })
  const own = ofThePolicy(policyMismatches(test, bytes, parsed))
  const ofRuns = parsed.policy === undefined ? [] : await runProblems(test, parsed.policy, place)
  return { ...head, problems: [...own, ...ofRuns] }
}

/**
 * Runs the tests of a file one after the other (POL-830). A test fails by a mismatch; a file that cannot be read or says
 * something that has no meaning ends the run with an error, which names the test.
 */
export async function* runPolicyTests(file: PolicyTestFile): AsyncGenerator<TestResult, void> {
  for (const test of file.tests) yield { file: file.path, ...(await runTest(test, placeOf(file.path, test))) }
}
