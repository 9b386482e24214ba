import {
  type PolicyActivation,
  type PolicyChange,
  type PolicySituation,
  type PolicySlot,
  type PolicyStore,
  type PolicyVersion,
  type PolicyVersionFacts,
  policyPage,
  type SignerRecord,
} from './policy-store.ts'

interface Kept {
  readonly versions: readonly PolicyVersion[]
  readonly activations: readonly PolicyActivation[]
}

const nothing: Kept = { versions: [], activations: [] }

function factsOf({ upload: _, ...facts }: PolicyVersion): PolicyVersionFacts {
  return facts
}

/** Policies that last as long as the process. */
export class MemoryPolicyStore implements PolicyStore {
  #revision = 0
  #slots: ReadonlyMap<PolicySlot, Kept> = new Map()
  #signers: readonly SignerRecord[] = []

  async situation(slot: PolicySlot): Promise<PolicySituation> {
    const active = this.#activeIn(slot)
    return {
      revision: this.#revision,
      signers: this.#signers.filter(({ removed }) => removed === null),
      active: active === null ? null : factsOf(active),
      versions: this.#kept(slot).versions.length,
    }
  }

  async active(slot: PolicySlot): Promise<PolicyVersion | null> {
    return this.#activeIn(slot)
  }

  async version(slot: PolicySlot, number: number): Promise<PolicyVersion | null> {
    return this.#kept(slot).versions[number - 1] ?? null
  }

  async versions(slot: PolicySlot, before = Number.POSITIVE_INFINITY): Promise<readonly PolicyVersionFacts[]> {
    const older = this.#kept(slot).versions.filter(({ number }) => number < before)
    return older.reverse().slice(0, policyPage).map(factsOf)
  }

  async activations(slot: PolicySlot): Promise<readonly PolicyActivation[]> {
    return [...this.#kept(slot).activations].reverse().slice(0, policyPage)
  }

  async slots(): Promise<readonly PolicySlot[]> {
    return [...this.#slots].flatMap(([slot, { versions }]) => (versions.length > 0 ? [slot] : [])).sort()
  }

  async signers(): Promise<readonly SignerRecord[]> {
    return this.#signers
  }

  async commit({ expected, version, activation, signerAdded, signerRemoved }: PolicyChange): Promise<boolean> {
    if (expected !== this.#revision) return false
    this.#revision += 1
    if (version) this.#keep(version.slot, (kept) => ({ ...kept, versions: [...kept.versions, version] }))
    if (activation) {
      this.#keep(activation.slot, (kept) => ({ ...kept, activations: [...kept.activations, activation] }))
    }
    if (signerAdded) this.#signers = [...this.#signers, signerAdded]
    if (signerRemoved) this.#remove(signerRemoved)
    return true
  }

  #remove({ keySha256, at, by }: NonNullable<PolicyChange['signerRemoved']>): void {
    this.#signers = this.#signers.map((signer) =>
      signer.keySha256 === keySha256 && signer.removed === null ? { ...signer, removed: { at, by } } : signer,
    )
  }

  #keep(slot: PolicySlot, change: (kept: Kept) => Kept): void {
    this.#slots = new Map(this.#slots).set(slot, change(this.#kept(slot)))
  }

  #kept(slot: PolicySlot): Kept {
    return this.#slots.get(slot) ?? nothing
  }

  #activeIn(slot: PolicySlot): PolicyVersion | null {
    const { versions, activations } = this.#kept(slot)
    const number = activations.at(-1)?.number ?? null
    return number === null ? null : (versions[number - 1] ?? null)
  }
}
