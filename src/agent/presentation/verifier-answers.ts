import { z } from 'zod'
import type { JsonObject } from '../../base/json.ts'
import { agentErrors } from '../errors.ts'

const seconds = z.int().min(0).max(253_402_300_799)
const number = z.int().min(1)
const sha256 = z.string().regex(/^[0-9a-f]{64}$/)
const hash = z.string().regex(/^[A-Za-z0-9_-]{43}$/)
const word = z.string().regex(/^[\w.-]{1,64}$/)
const slot = z.string().regex(/^(?:id|type):[A-Za-z0-9._-]{1,128}$/)
const by = z.string().regex(/^[\x20-\x7e]{1,128}$/)
const count = z.int().min(0)
const act = z.object({ at: seconds, by })

const listed = z.object({
  number,
  at: seconds,
  by,
  form: word,
  uploadSha256: sha256,
  policyHash: hash,
  policyTokenHash: hash.nullable(),
  digest: sha256,
  signerKeySha256: sha256.nullable(),
  previousDigest: sha256.nullable(),
  lints: z.object({ error: count, warning: count, info: count }),
})

/** POL-801. Texts go to a terminal through what shows diagnostics, which lets none command it. */
const diagnostic = z.object({
  id: word,
  severity: z.enum(['error', 'warning', 'info']),
  message: z.string(),
  line: number,
  column: number,
  length: count,
  found: z.string(),
  expected: z.array(z.string()),
  path: z.string(),
  hint: z.string().exactOptional(),
})

const version = listed.extend({ diagnostics: z.array(diagnostic) })

const activation = z.object({ at: seconds, by, action: word, number: number.nullable(), previous: number.nullable() })

const certificate = z.object({
  subject: z.string(),
  notBefore: z.int(),
  notAfter: z.int(),
  sha256,
  thumbprint: z.string().regex(/^[0-9A-F]{40}$/),
})

const signer = z.object({
  keySha256: sha256,
  added: act,
  removed: act.nullable(),
  certificate: certificate.nullable(),
})

const signerMode = z.enum(['on', 'off'])
/** Null: nobody is asked for a signature. */
const signerTrusted = z.boolean().nullable().exactOptional()

/** Answers of the administration; the verifier may be of another version, so further members are let be. */
const printable = z.string().regex(/^[\x20-\x7e]{1,512}$/)

const status = z.object({
  version: printable,
  pid: number,
  startedAt: seconds,
  issuer: z.object({ url: printable, keys: z.array(z.object({ kid: word, alg: word, state: word })) }),
  listen: printable,
  simulator: z.boolean(),
  policies: z.object({
    default: z.array(printable).nullable(),
    files: z.array(z.object({ id: printable, hash: sha256 })),
    untrusted: z.array(slot).nullable().exactOptional(),
  }),
  store: z.object({ kind: word, failure: z.object({ code: word, remedy: printable, since: seconds }).nullable() }),
  facades: z.array(word),
})

export const verifierAnswers = {
  status,
  policies: z.object({
    policies: z.array(z.object({ slot, active: listed.nullable(), signerTrusted })),
    next: slot.nullable(),
  }),
  history: z.object({
    slot,
    active: number.nullable(),
    versions: z.array(listed),
    next: number.nullable(),
    activations: z.array(activation),
  }),
  shown: z.object({ slot, version, signerTrusted, upload: z.string(), text: z.string() }),
  compared: z.object({
    slot,
    from: listed,
    to: listed,
    lines: z.array(z.object({ is: z.enum(['same', 'removed', 'added']), line: z.string() })),
  }),
  outcome: z.object({
    slot,
    changed: z.boolean(),
    version,
    signer: z.object({ keySha256: sha256, subject: z.string().nullable() }).nullable(),
  }),
  refused: z.object({ diagnostics: z.array(diagnostic) }),
  reset: z.object({ slot, changed: z.boolean() }),
  signers: z.object({ signerMode, trusted: z.array(signer), former: z.array(signer) }),
  signerChange: z.object({
    changed: z.boolean(),
    signerMode,
    signer: z.object({ keySha256: sha256, certificate }),
    untrusted: z.array(slot).exactOptional(),
  }),
}

export type ListedVersion = z.infer<typeof listed>
export type ListedPolicy = z.infer<typeof verifierAnswers.policies>['policies'][number]
export type PolicyHistory = z.infer<typeof verifierAnswers.history>
export type ShownPolicy = z.infer<typeof verifierAnswers.shown>
export type ComparedPolicies = z.infer<typeof verifierAnswers.compared>
export type PolicyOutcomeAnswer = z.infer<typeof verifierAnswers.outcome>
export type ListedSigners = z.infer<typeof verifierAnswers.signers>
export type SignerChange = z.infer<typeof verifierAnswers.signerChange>

/** Reads what the administration socket answered; throws `VERIFIER_ANSWER` for anything else than this answer. */
export function parseVerifierAnswer<T>(form: z.ZodType<T>, answer: JsonObject): T {
  const result = form.safeParse(answer)
  if (result.success) return result.data
  const path = result.error.issues[0]?.path.join('.') ?? ''
  throw agentErrors.error('VERIFIER_ANSWER', `the answer has another form than one of the administration: ${path}`)
}

export type ShownVerifierStatus = z.infer<typeof status>
