import type { Evaluation } from '../../policies/index.ts'
import type { RegoPolicy } from '../rego/open-rego-policy.ts'
import { type BundleSettings, evaluateDocument, openBundleSource, requireInputDocument } from './bundle-source.ts'
import type { PresentedEvidence } from './claims-of-evidence.ts'
import { problemOr } from './examine-bundle.ts'
import { bundleLoadMismatches, type Mismatch } from './expectations.ts'
import { inputInvalid, type PolicySource } from './policy-source.ts'
import type { PolicyTest, PolicyTestRun } from './test-file.ts'

/** Appraises what a run names. */
type Present = (run: PolicyTestRun, evidence: string) => Promise<PresentedEvidence>

/** A bundle under test, and what of it is not as expected. */
export interface TestedBundle extends AsyncDisposable {
  readonly mismatches: readonly Mismatch[]
  /** Null if it does not load. */
  readonly evaluate: ((run: PolicyTestRun) => Promise<Evaluation>) | null
}

function settingsOf({ rego: { require, references } = {}, profile }: PolicyTest): BundleSettings {
  return {
    profile,
    ...(require === undefined ? {} : { require }),
    ...(references === undefined ? {} : { references: JSON.parse(JSON.stringify(references)) }),
  }
}

/** An expectation without a meaning would expect nothing. */
function requireMeaning(test: PolicyTest, label: string): void {
  const { load, lints, policyHash } = test.expect
  const { status: _status, id: _id, messageIncludes: _message, ...places } = load
  const names = [
    ...Object.entries({ lints, policyHash }).map(([name, value]) => ({ name: `expect.${name}`, value })),
    ...Object.entries(places).map(([name, value]) => ({ name: `expect.load.${name}`, value })),
  ]
  const found = names.find(({ value }) => value !== undefined)
  if (found !== undefined)
    throw inputInvalid(`${label}: ${found.name}`, 'is for texts, and the policy is a Rego bundle')
}

const ofTexts = ['claims', 'generateClaim', 'customClaims'] as const

async function evaluateRun(policy: RegoPolicy, run: PolicyTestRun, label: string, present: Present) {
  const { input, evidence, appraise } = run
  const claims = ofTexts.find((name) => run[name] !== undefined)
  if (claims !== undefined) throw inputInvalid(`${label}: ${claims}`, 'are for texts, and the policy is a Rego bundle')
  if ((input === undefined) === (evidence === undefined)) {
    throw inputInvalid(label, 'has a run of a Rego bundle that names not one of input and evidence')
  }
  if (input === undefined) {
    const { trees, at } = await present(run, evidence ?? '')
    return policy.evaluate({ trees }, at)
  }
  return evaluateDocument(policy, requireInputDocument(input, `${label}: input`), appraise?.at ?? 0)
}

/** Opens the bundle of a test (POL-830). Throws `MalformedError` for what a test of a bundle cannot say. */
export async function openTestedBundle(
  test: PolicyTest,
  source: PolicySource,
  present: Present,
): Promise<TestedBundle> {
  requireMeaning(test, source.file)
  const opened = await problemOr(openBundleSource(source, settingsOf(test)))
  const problem = 'problem' in opened ? opened.problem : null
  const policy = 'problem' in opened ? null : opened
  return {
    mismatches: bundleLoadMismatches(test.expect.load, problem),
    evaluate: policy && ((run) => evaluateRun(policy, run, source.file, present)),
    [Symbol.asyncDispose]: async () => policy?.[Symbol.asyncDispose](),
  }
}
