import { createHash } from 'node:crypto'
import { toHex } from '../../base/bytes.ts'
import { differenceOfLines } from '../../base/line-differences.ts'
import {
  type AcceptedPolicy,
  acceptPolicy,
  acceptPolicyReset,
  lintPolicy,
  type PolicyDiagnostic,
  type PolicySigner,
  parsePolicy,
  policyDigest,
  policyHash,
  policyTokenHash,
} from '../../policies/index.ts'
import { boundedDiagnostics } from '../../policies/language/bounded-diagnostics.ts'
import { registryErrors } from '../errors.ts'
import type { PolicyComparison, PolicyOutcome, StoredPolicy } from './policy-outcome.ts'
import type {
  PolicyAct,
  PolicyActivation,
  PolicySituation,
  PolicySlot,
  PolicyVersion,
  PolicyVersionFacts,
} from './policy-store.ts'
import { type Attempt, PolicyWriter, type PolicyWriterOptions, requireSlot } from './policy-writer.ts'
import { keySha256, trustedKeys } from './trusted-signers.ts'

/** Whether a policy text loads, with the errors, or with what is doubtful in it. */
export interface PolicyJudgement {
  readonly loads: boolean
  readonly diagnostics: readonly PolicyDiagnostic[]
}

export interface PolicyBookOptions extends PolicyWriterOptions {
  /** Default: `judgePolicyText`. */
  readonly judge?: (policy: Uint8Array) => PolicyJudgement
  /** Whether a key (DER SubjectPublicKeyInfo) signs tokens: such a key signs no policies (POL-712). */
  readonly signsTokens: (publicKey: Uint8Array) => boolean
}

/** Whether a text is a policy of the language (sections 1 to 3 of its specification), with what the lint says of it. */
export function judgePolicyText(policy: Uint8Array): PolicyJudgement {
  const parsed = parsePolicy(policy)
  if (parsed.policy === undefined) return { loads: false, diagnostics: parsed.diagnostics }
  return { loads: true, diagnostics: lintPolicy(parsed) }
}

/** Versions of one slot: none is ever forgotten. */
export const mostVersions = 10_000

/**
 * The policies of a verifier: uploaded, activated, shown, compared and restored (POL-709); who may sign them is in the
 * `SignerBook`. Of several processes on one store each makes its change whole, one after the other. `by` names who
 * asks; whether they may is for the caller to know.
 */
export class PolicyBook {
  #options: PolicyBookOptions
  #judge: (policy: Uint8Array) => PolicyJudgement
  #writer: PolicyWriter

  constructor(options: PolicyBookOptions) {
    this.#options = options
    this.#judge = options.judge ?? judgePolicyText
    this.#writer = new PolicyWriter(options)
  }

  /**
   * Makes an uploaded policy the active one of a slot, if its form and signature are good (else throws as
   * `acceptPolicy`) and its text loads. Throws `policy_slot`, `policy_versions_full` and what `PolicyWriter` throws.
   */
  async set(slot: PolicySlot, upload: Uint8Array, by: string): Promise<PolicyOutcome> {
    requireSlot(slot)
    return this.#writer.write<PolicyOutcome>(slot, by, (situation, act) => {
      const accepted = this.#accept(upload, situation)
      const { signer } = accepted
      const { loads, diagnostics } = this.#judge(accepted.policy)
      if (!loads) return { result: { loaded: false, diagnostics } }
      const { active } = situation
      if (active?.uploadSha256 === sha256(upload)) {
        return { result: { loaded: true, version: active, signer, changed: false } }
      }
      const version = composeVersion(slot, act, upload, accepted, diagnostics, situation)
      const { upload: _, ...facts } = version
      const result = { loaded: true, version: facts, signer, changed: true } as const
      return activating({ result, change: { version } }, 'set', slot, act, situation, facts)
    })
  }

  /**
   * Makes the shipped default the active policy of a slot, if the JWS is a reset that is good (else throws as
   * `acceptPolicyReset`). Gives false where it was so before. Throws `policy_slot` and what `PolicyWriter` throws.
   */
  async reset(slot: PolicySlot, jws: string, by: string): Promise<boolean> {
    requireSlot(slot)
    return this.#writer.write(slot, by, (situation, act) => {
      const signer = acceptPolicyReset(jws, trustedKeys(situation.signers))
      this.#refuseTokenKey(signer)
      if (situation.active === null) return { result: false }
      return activating({ result: true }, 'reset', slot, act, situation, null)
    })
  }

  /**
   * Makes a former version the active one again, by the rules of today: its text must load, and its signer be trusted.
   * Throws as `set`, and `policy_version_unknown`.
   */
  async restore(slot: PolicySlot, number: number, by: string): Promise<PolicyOutcome> {
    requireSlot(slot)
    return this.#writer.write<PolicyOutcome>(slot, by, async (situation, act) => {
      const { upload, ...facts } = await this.#version(slot, number)
      const accepted = this.#accept(upload, situation)
      const { signer } = accepted
      const { loads, diagnostics } = this.#judge(accepted.policy)
      if (!loads) return { result: { loaded: false, diagnostics } }
      const changed = situation.active?.number !== number
      const result = { loaded: true, version: facts, signer, changed } as const
      return changed ? activating({ result }, 'restored', slot, act, situation, facts) : { result }
    })
  }

  /** The active policy of a slot; null: the shipped default is to be used. */
  async active(slot: PolicySlot): Promise<StoredPolicy | null> {
    const version = await this.#options.store.active(slot)
    return version === null ? null : storedPolicy(version)
  }

  /** A version as it was uploaded. Throws `policy_version_unknown`. */
  async show(slot: PolicySlot, number: number): Promise<StoredPolicy> {
    return storedPolicy(await this.#version(slot, number))
  }

  /** What changed in the text from one version to another. Throws `policy_version_unknown`. */
  async compare(slot: PolicySlot, from: number, to: number): Promise<PolicyComparison> {
    const [before, after] = [await this.show(slot, from), await this.show(slot, to)]
    const lines = differenceOfLines(textOf(before), textOf(after))
    return { from: before.version, to: after.version, lines }
  }

  /** Newest first, from `before` on, in pages. */
  versions(slot: PolicySlot, before?: number): Promise<readonly PolicyVersionFacts[]> {
    return this.#options.store.versions(slot, before)
  }

  /** The last changes of what is active, newest first. */
  activations(slot: PolicySlot): Promise<readonly PolicyActivation[]> {
    return this.#options.store.activations(slot)
  }

  slots(): Promise<readonly PolicySlot[]> {
    return this.#options.store.slots()
  }

  #accept(upload: Uint8Array, { signers }: PolicySituation): AcceptedPolicy {
    const accepted = acceptPolicy(upload, trustedKeys(signers))
    this.#refuseTokenKey(accepted.signer)
    return accepted
  }

  #refuseTokenKey(signer: PolicySigner | null): void {
    if (signer === null || !this.#options.signsTokens(signer.publicKey)) return
    throw registryErrors.error('policy_signer_key', 'the key that signed the policy is one that signs tokens')
  }

  async #version(slot: PolicySlot, number: number): Promise<PolicyVersion> {
    requireSlot(slot)
    const isNumber = Number.isSafeInteger(number) && number > 0
    const version = isNumber ? await this.#options.store.version(slot, number) : null
    if (version !== null) return version
    throw registryErrors.error('policy_version_unknown', 'the policy has no version of this number')
  }
}

function sha256(bytes: Uint8Array): string {
  return toHex(createHash('sha256').update(bytes).digest())
}

function textOf({ policy }: StoredPolicy): string {
  return new TextDecoder('utf-8', { ignoreBOM: true }).decode(policy)
}

/** The signature is verified again; who was trusted when it came does not matter for what is shown. */
function storedPolicy({ upload, ...version }: PolicyVersion): StoredPolicy {
  const { policy, jws, signer } = acceptPolicy(upload, [])
  return { version, upload, policy, jws, signer }
}

function composeVersion(
  slot: PolicySlot,
  act: PolicyAct,
  upload: Uint8Array,
  { form, policy, jws, signer }: AcceptedPolicy,
  diagnostics: readonly PolicyDiagnostic[],
  { active, versions }: PolicySituation,
): PolicyVersion {
  if (versions >= mostVersions) {
    throw registryErrors.error('policy_versions_full', `a policy has at most ${mostVersions} versions`)
  }
  return {
    ...{ slot, ...act, number: versions + 1, form, upload: Uint8Array.from(upload) },
    uploadSha256: sha256(upload),
    policyHash: policyHash(policy),
    policyTokenHash: jws === null ? null : policyTokenHash(jws),
    digest: policyDigest(policy),
    signerKeySha256: signer === null ? null : keySha256(signer.publicKey),
    diagnostics: boundedDiagnostics(diagnostics),
    previousDigest: active?.digest ?? null,
  }
}

/** Adds to an attempt that a version, or the shipped default, becomes what is active. */
function activating<T>(
  attempt: Attempt<T>,
  action: PolicyActivation['action'],
  slot: PolicySlot,
  act: PolicyAct,
  { active }: PolicySituation,
  next: PolicyVersionFacts | null,
): Attempt<T> {
  const activation = { slot, ...act, action, number: next?.number ?? null, previous: active?.number ?? null }
  const digests = { before: active?.digest ?? null, after: next?.digest ?? null }
  return {
    ...attempt,
    change: { ...attempt.change, activation },
    event: { event: `policy.${action}`, slot, ...act, ...digests },
  }
}
