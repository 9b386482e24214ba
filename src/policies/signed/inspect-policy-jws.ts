import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { compactTextOf, requireSignature, signerOf } from './accept-policy.ts'
import {
  type CompactPolicyJws,
  decodeSegment,
  longestJws,
  parseCompactForm,
  parseStrictObject,
} from './compact-form.ts'
import { policyDigest, policyHash, policyTokenHash } from './policy-hashes.ts'
import { parsePolicyPayload, requireUtf8 } from './policy-payload.ts'
import { type PolicySigner, readSigner } from './policy-signer.ts'

/** Something for which a strict verifier refuses a policy, and how to mend it. */
export interface PolicyJwsProblem {
  /** Of the specification: `POL-703`. */
  readonly rule: string
  readonly message: string
  readonly remedy: string
}

/** What an uploaded policy holds, as it says itself: nothing in it is to be believed while there are problems. */
export interface PolicyInspection {
  readonly form: 'text' | 'jws'
  readonly header: JsonObject | null
  readonly payload: JsonObject | null
  readonly policy: Uint8Array | null
  readonly signer: PolicySigner | null
  /** POL-710, POL-711; null where the part that is hashed is not there. */
  readonly policyHash: string | null
  readonly policyTokenHash: string | null
  readonly policyDigest: string | null
  /** Empty: a verifier in signer mode that trusts this signer takes it, and one without signers as well. */
  readonly problems: readonly PolicyJwsProblem[]
}

/**
 * Decodes text or JWS without trusting it, as far as it goes, and lists what a strict verifier would refuse. In contrast
 * to `acceptPolicy` the payload is read also where the signature is not good. Never throws for what was uploaded.
 */
export function inspectPolicyUpload(upload: Uint8Array): PolicyInspection {
  const problems: PolicyJwsProblem[] = []
  const attempt: Attempt = (read) => {
    try {
      return read()
    } catch (error) {
      problems.push(problemOf(error))
      return null
    }
  }
  const text = compactTextOf(upload)
  if (text !== null) return { ...inspectJws(text, attempt), problems }
  attempt(() => requireUtf8(upload))
  const nothing = { header: null, payload: null, signer: null, policyTokenHash: null }
  return { form: 'text', ...nothing, policy: upload, ...hashesOf(upload), problems }
}

type Attempt = <T>(read: () => T) => T | null

/** Throws again what is a bug. */
function problemOf(error: unknown): PolicyJwsProblem {
  if (!(error instanceof AttestdError)) throw error
  return { rule: String(error.facts['rule'] ?? 'POL-702'), message: error.message, remedy: error.remedy }
}

function orNull<T>(read: () => T): T | null {
  try {
    return read()
  } catch (error) {
    problemOf(error)
    return null
  }
}

function inspectJws(text: string, attempt: Attempt): Omit<PolicyInspection, 'problems'> {
  const [head = '', body = ''] = text.slice(0, longestJws).split('.', 2)
  const jws = attempt(() => parseCompactForm(text))
  const header = jws?.header ?? orNull(() => parseStrictObject(decodeSegment(head, 'header'), 'header'))
  const bytes = jws?.payload ?? orNull(() => decodeSegment(body, 'payload'))
  const signer = jws === null ? shownSigner(header) : inspectSignature(jws, attempt)
  const payload = bytes && orNull(() => parseStrictObject(bytes, 'payload'))
  const policy = bytes && attempt(() => parsePolicyPayload(bytes))
  return { form: 'jws', header, payload, policy, signer, ...hashesOf(policy), policyTokenHash: policyTokenHash(text) }
}

function inspectSignature(jws: CompactPolicyJws, attempt: Attempt): PolicySigner | null {
  if (jws.algorithm === 'none') return null
  const signer = attempt(() => signerOf(jws))
  if (signer !== null) attempt(() => requireSignature(jws, signer))
  return signer ?? shownSigner(jws.header)
}

function shownSigner(header: JsonObject | null): PolicySigner | null {
  const x5c = header?.['x5c']
  return x5c === undefined ? null : orNull(() => readSigner(x5c, undefined, 'POL-705'))
}

function hashesOf(policy: Uint8Array | null): Pick<PolicyInspection, 'policyHash' | 'policyDigest'> {
  if (policy === null) return { policyHash: null, policyDigest: null }
  return { policyHash: policyHash(policy), policyDigest: policyDigest(policy) }
}
