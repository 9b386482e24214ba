import { z } from 'zod'
import { MalformedError } from '../../base/errors.ts'
import { type EvidenceKind, evidenceKinds } from '../../policies/index.ts'
import { trustNames } from '../../policies/rego/trust-claims.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { readInput } from '../input-file.ts'
import { type ExactJson, parseExactJson } from './claims-file.ts'

const largestFile = 64 << 20
/** Characters of a generated text: above every limit of section 8, so that each can be tested at one more. */
const longestGenerated = 64 << 20

const profiles: readonly [PolicyProfile, ...PolicyProfile[]] = ['attestd', 'maa']

/** Any value, kept as it is: it is compared or judged later. */
const exact = z.custom<ExactJson>(() => true)
const place = z.int().min(1)
/** Members that are for readers only. */
const remarks = { note: z.string().optional(), ids: z.array(z.string()).optional() }

const generated = {
  prefix: z.string(),
  unit: z.string(),
  count: z.int().min(0),
  suffix: z.string(),
}

const isBounded = ({ prefix, unit, count, suffix }: z.infer<ReturnType<typeof z.object<typeof generated>>>) =>
  prefix.length + unit.length * count + suffix.length <= longestGenerated
const tooLong = `makes a text of more than ${longestGenerated} characters`

const load = z.strictObject({
  status: z.enum(['ok', 'rejected']),
  id: z.string().optional(),
  line: place.optional(),
  column: place.optional(),
  found: z.string().optional(),
  expectedIncludes: z.string().optional(),
  hintIncludes: z.string().optional(),
  messageIncludes: z.string().optional(),
})

const lints = z.strictObject({
  must: z.array(z.strictObject({ id: z.string(), line: place.optional(), column: place.optional() })).optional(),
  mustNot: z.array(z.string()).optional(),
})

const expectedEvaluation = z.strictObject({
  verdict: z.enum(['permit', 'deny', 'error']),
  reason: z.enum(['deny-rule', 'no-permit', 'configuration', 'error']).optional(),
  error: z
    .strictObject({ id: z.union([z.string(), z.array(z.string())]), line: place.nullable().optional() })
    .optional(),
  token: exact.optional(),
  properties: exact.optional(),
  added: exact.optional(),
  firedLines: z.array(place).optional(),
})

const hex = z
  .string()
  .regex(/^(?:[0-9a-f]{2}){1,256}$/, 'is not lower-case hexadecimal')
  .transform((text) => new Uint8Array(Buffer.from(text, 'hex')))
const files = z.array(z.string())

/** What `attestd appraise` is told by its options of the same names; files lie beside the test file. */
const question = z.strictObject({
  nonce: hex.optional(),
  verifier: z.string().optional(),
  anyReportData: z.literal(true).optional(),
  trustAnchors: files.optional(),
  intermediates: files.optional(),
  crl: files.optional(),
  pinnedEk: files.optional(),
  akName: hex.optional(),
  allowUnenrolled: z.literal(true).optional(),
  collateral: z.string().optional(),
  references: files.optional(),
  allowDebug: z.literal(true).optional(),
  simulator: z.literal(true).optional(),
  requireEventLog: z.literal(true).optional(),
  requireIma: z.literal(true).optional(),
  at: z.iso
    .datetime({ offset: true })
    .transform((text) => Date.parse(text))
    .optional(),
})

const run = z.strictObject({
  ...remarks,
  claims: z.array(exact).optional(),
  generateClaim: z
    .strictObject({ type: z.string(), issuer: z.string().optional(), ...generated })
    .refine(isBounded, tooLong)
    .optional(),
  evidence: z.string().optional(),
  appraise: question.optional(),
  customClaims: exact.optional(),
  /** In place of evidence, for a Rego bundle: its input document. */
  input: exact.optional(),
  expect: expectedEvaluation,
})

const sources = ['policy', 'policyText', 'policyBase64', 'generate', 'shippedPolicy'] as const

const test = z
  .strictObject({
    ...remarks,
    name: z.string().min(1),
    policy: z.string().optional(),
    policyText: z.string().optional(),
    policyBase64: z.base64().optional(),
    generate: z.strictObject(generated).refine(isBounded, tooLong).optional(),
    shippedPolicy: z.string().optional(),
    mode: z.enum(['strict', 'lenient']).default('strict'),
    profile: z.enum(profiles).default('attestd'),
    kinds: z.array(z.enum(evidenceKinds)).default([]),
    /** As in the configuration beside a bundle. */
    rego: z
      .strictObject({
        require: z.array(z.enum(trustNames)).min(1).optional(),
        references: z.record(z.string(), z.json()).optional(),
      })
      .optional(),
    expect: z
      .strictObject({
        load: load.default({ status: 'ok' }),
        lints: lints.optional(),
        policyHash: z.string().optional(),
      })
      .default({ load: { status: 'ok' } }),
    runs: z.array(run).default([]),
  })
  .refine(
    (each) => {
      const given = sources.filter((source) => each[source] !== undefined)
      return given.length === 1 || (given.length === 2 && given.includes('policy') && given.includes('shippedPolicy'))
    },
    `needs exactly one of ${sources.join(', ')}; shippedPolicy may stand beside policy, and says that both are the same`,
  )

const testFile = z.strictObject({
  format: z.literal('attestd-policy-tests/1'),
  note: z.string().optional(),
  tests: z.array(test).min(1),
})

export type PolicyTest = z.infer<typeof test>
export type PolicyTestRun = z.infer<typeof run>
export type ExpectedEvaluation = z.infer<typeof expectedEvaluation>
export type ExpectedLoad = z.infer<typeof load>
export type ExpectedLints = z.infer<typeof lints>
export type RunQuestion = z.infer<typeof question>

/** One file of tests (POL-830). */
export interface PolicyTestFile {
  /** As the command line names it. */
  readonly path: string
  readonly tests: readonly (PolicyTest & { readonly kinds: readonly EvidenceKind[] })[]
}

const shownPath = (path: readonly PropertyKey[]) =>
  path
    .map((step) => (typeof step === 'number' ? `[${step}]` : `.${String(step)}`))
    .join('')
    .replace(/^\./, '')

/**
 * Reads a file of policy tests. A member that is not known is refused: misspelt, it would expect nothing. Throws
 * `INPUT_UNREADABLE`, and `MalformedError` naming the member.
 */
export async function readTestFile(path: string): Promise<PolicyTestFile> {
  const parsed = testFile.safeParse(parseExactJson(await readInput(path, largestFile), path))
  if (parsed.success) return { path, tests: parsed.data.tests }
  const [issue] = parsed.error.issues
  throw new MalformedError(
    { path: `${path}: ${shownPath(issue?.path ?? []) || 'the file'}` },
    issue?.message ?? 'is wrong',
  )
}
