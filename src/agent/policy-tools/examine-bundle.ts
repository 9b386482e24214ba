import { AttestdError } from '../../base/errors.ts'
import { policyDigest } from '../../policies/index.ts'
import { parseUnpacked, unpackedForm } from '../rego/bundle-file.ts'
import { openBundleSource } from './bundle-source.ts'
import type { PolicySource } from './policy-source.ts'

/** Why a bundle is not taken: a code of `regoErrors`, or `MALFORMED`. */
export interface BundleProblem {
  readonly code: string
  readonly message: string
  readonly remedy: string
}

/** What a bundle holds, by what is written in it. Nothing of it has run. */
export interface BundleParts {
  readonly form: 'packed' | 'bare'
  /** `1.3`. */
  readonly abi: string
  /** Bytes. */
  readonly module: number
  readonly data: number
  /** In pages of 64 KiB. */
  readonly memory: { readonly initial: number; readonly maximum: number }
  readonly revision: string | null
  /** That its manifest names; null where it has none, or names none. */
  readonly manifest: readonly string[] | null
}

/** A bundle file, and what is wrong with it. */
export interface ExaminedBundle {
  readonly file: string
  readonly sha256: string
  /** Null for a file that is none. */
  readonly parts: BundleParts | null
  /** What is asked at each evaluation; null where nothing of it has run. */
  readonly entrypoints: readonly string[] | null
  readonly problem: BundleProblem | null
}

/** What `work` gives, or why the bundle is not taken. Throws `REGO_ENGINE_ABSENT`: then nothing is known of it. */
export async function problemOr<T>(work: Promise<T>): Promise<T | { readonly problem: BundleProblem }> {
  try {
    return await work
  } catch (error) {
    if (!(error instanceof AttestdError) || error.code === 'REGO_ENGINE_ABSENT') throw error
    const { code, message, remedy } = error
    return { problem: { code, message, remedy } }
  }
}

async function partsOf({ file, bytes }: PolicySource): Promise<BundleParts> {
  const unpacked = await unpackedForm(bytes, file)
  const { wasm, module, data, revision, entrypoints } = parseUnpacked(unpacked)
  return {
    ...{ form: unpacked.form, abi: `1.${module.minorVersion}`, module: wasm.length, data: data.length },
    ...{ memory: module.memory, revision, manifest: entrypoints },
  }
}

/** Reads a bundle and runs nothing of it. Never throws for a bad one. */
export async function inspectBundle(source: PolicySource): Promise<ExaminedBundle> {
  const head = { file: source.file, sha256: policyDigest(source.bytes), entrypoints: null }
  const parts = await problemOr(partsOf(source))
  return 'problem' in parts ? { ...head, parts: null, ...parts } : { ...head, parts, problem: null }
}

/** Opens it as an agent does: what it says of itself is asked in the thread that evaluates, under the same limits. */
async function entrypointsOf(source: PolicySource): Promise<readonly string[]> {
  await using policy = await openBundleSource(source)
  return policy.entrypoints
}

/** The same, and whether an agent would take it. Throws `REGO_ENGINE_ABSENT`. */
export async function examineBundle(source: PolicySource): Promise<ExaminedBundle> {
  const inspected = await inspectBundle(source)
  if (inspected.problem !== null) return inspected
  const entrypoints = await problemOr(entrypointsOf(source))
  return 'problem' in entrypoints ? { ...inspected, ...entrypoints } : { ...inspected, entrypoints }
}
