import { type JsonObject, parseJsonObject } from '../../base/json.ts'
import { policyDigest } from '../../policies/index.ts'
import { bundleLimits } from '../../policies/rego/bundle.ts'
import { encodeInput, UnfitInput } from '../../policies/rego/input-text.ts'
import { type RegoEvaluation, regoError } from '../../policies/rego/rego-evaluation.ts'
import type { TrustName } from '../../policies/rego/trust-claims.ts'
import type { PolicyProfile } from '../../policies/reserved-claims.ts'
import { readInput } from '../input-file.ts'
import { openRegoPolicy, type RegoPolicy, type RegoPolicyConfig, requireOffered } from '../rego/open-rego-policy.ts'
import { type ExactJson, isExactObject, parseExactJson } from './claims-file.ts'
import { inputInvalid, type PolicySource } from './policy-source.ts'

/** What the configuration says beside the file (POL-960). */
export interface BundleSettings {
  readonly require?: readonly TrustName[]
  readonly references?: JsonObject
  readonly profile?: PolicyProfile
}

/** Opens a bundle as an agent does; whoever names a file on the command line pins it by that. Throws `REGO_…`. */
export async function openBundleSource(
  { file, bytes }: PolicySource,
  settings: BundleSettings = {},
): Promise<RegoPolicy> {
  const config: RegoPolicyConfig = { bundle: file, sha256: policyDigest(bytes), class: 'cpu', ...settings }
  return requireOffered(await openRegoPolicy(config, { read: async () => bytes }))
}

/** Reads what `query_reference_value` gives: a JSON object. */
export async function readReferencesFile(path: string | undefined): Promise<JsonObject> {
  return path === undefined ? {} : parseJsonObject(await readInput(path, bundleLimits.data), path)
}

/** Reads an input document. Throws `MalformedError` for what is no JSON object. */
export async function readInputDocument(path: string): Promise<object> {
  return requireInputDocument(parseExactJson(await readInput(path), path), path)
}

export function requireInputDocument(document: ExactJson, path: string): object {
  if (isExactObject(document)) return document
  throw inputInvalid(path, 'is no JSON object, as input documents are')
}

/** What a bundle says of this input document at `now`, milliseconds since the epoch; verdict *error* for one that fits no policy. */
export async function evaluateDocument(policy: RegoPolicy, document: object, now: number): Promise<RegoEvaluation> {
  try {
    return await policy.evaluateInputs([encodeInput(document)], now)
  } catch (error) {
    if (error instanceof UnfitInput) return regoError('POL-606', error.message)
    throw error
  }
}
