import { equalBytes } from '../../base/bytes.ts'
import type { RandomSource } from '../../base/random.ts'
import type { TpmContext } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { encodeSizedPublic, nameOf, qualifiedNameOfChild } from '../../evidence/tpm/public-area.ts'
import { type AkScheme, createAttestationKey, type KeptKey, loadAttestationKey } from './attestation-key.ts'
import type { TpmDialogue } from './dialogue.ts'
import { type EkCertificate, readEkCertificate } from './ek-certificate.ts'
import { type EkChoice, type EndorsementKey, loadEndorsementKey } from './endorsement-key.ts'
import type { SigningKey } from './quote.ts'

/** The endorsement key as evidence and enrolment show it. */
export interface EndorsementIdentity extends EkCertificate {
  /** TPM2B_PUBLIC. */
  readonly publicArea: Uint8Array
  /** nameAlg (u16) and digest. */
  readonly name: Uint8Array
}

export interface KeyChoices {
  readonly ek: EkChoice
  readonly scheme: AkScheme
  readonly random: RandomSource
}

/** Both keys, loaded for one flow. */
export interface LoadedKeys {
  readonly ek: EndorsementKey
  readonly identity: EndorsementIdentity
  readonly ak: SigningKey
  readonly kept: KeptKey
}

/** What is remembered between flows: the attestation key can be loaded back without its endorsement key. */
interface SavedKey {
  readonly name: Uint8Array
  readonly qualifiedName: Uint8Array
  readonly context: TpmContext
  readonly identity: EndorsementIdentity
}

/**
 * Loads the two keys. Making an RSA endorsement key again takes a TPM up to seconds, so after the first time the
 * attestation key is loaded from a saved context; that is good until the next TPM Reset, after which the long way
 * is taken again (TPM-05).
 */
export class TpmKeys {
  #choices: KeyChoices
  #saved: SavedKey | null = null
  #identity: EndorsementIdentity | null = null

  constructor(choices: KeyChoices) {
    this.#choices = choices
  }

  /** Loads both keys; with null for `kept` the attestation key is created first. */
  async loadBoth(tpm: TpmDialogue, kept: KeptKey | null): Promise<LoadedKeys> {
    const { ek: choice, scheme, random } = this.#choices
    const ek = await loadEndorsementKey(tpm, choice)
    const identity = await this.#identify(tpm, ek)
    const key = kept ?? (await createAttestationKey(tpm, ek, scheme, random))
    const handle = await loadAttestationKey(tpm, ek, key, random)
    const qualifiedName = qualifiedNameOfChild(ek.qualifiedName, key.publicArea)
    await this.#save(tpm, handle, { name: nameOf(key.publicArea), qualifiedName, identity })
    return { ek, identity, ak: { handle, area: key.publicArea, qualifiedName }, kept: key }
  }

  /** Loads the attestation key to sign with, the short way if possible. */
  async loadSigning(tpm: TpmDialogue, kept: KeptKey): Promise<Pick<LoadedKeys, 'identity' | 'ak'>> {
    const saved = this.#saved
    // Forgotten first: a context that makes the flow fail is not tried again.
    this.#saved = null
    if (saved !== null && equalBytes(saved.name, nameOf(kept.publicArea))) {
      const answer = await tpm.attempt(tpm2.contextLoad, { context: saved.context })
      if (answer.outcome === 'done') {
        const { identity, qualifiedName } = saved
        this.#saved = saved
        return { identity, ak: { handle: answer.response.object, area: kept.publicArea, qualifiedName } }
      }
    }
    const { ek, identity, ak } = await this.loadBoth(tpm, kept)
    await tpm.release(ek.handle)
    return { identity, ak }
  }

  /** NV is read once for each endorsement key: its certificate does not change while this process runs. */
  async #identify(tpm: TpmDialogue, ek: EndorsementKey): Promise<EndorsementIdentity> {
    const known = this.#identity
    if (known !== null && equalBytes(known.name, ek.name)) return known
    const certificate = await readEkCertificate(tpm, this.#choices.ek, ek.area)
    this.#identity = { publicArea: encodeSizedPublic(ek.area), name: ek.name, ...certificate }
    return this.#identity
  }

  async #save(tpm: TpmDialogue, handle: number, key: Omit<SavedKey, 'context'>): Promise<void> {
    const answer = await tpm.attempt(tpm2.contextSave, { saved: handle })
    this.#saved = answer.outcome === 'done' ? { ...key, context: answer.response.context } : null
  }
}
