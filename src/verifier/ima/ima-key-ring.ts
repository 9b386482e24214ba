import { hash } from 'node:crypto'
import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { readPublicKey } from '../../base/pki/public-key.ts'
import { type DigestKey, digestKeyOf } from '../../base/prehashed-signature.ts'
import { type ImaKey, parseImaKey } from '../../reference-values/ima-keys.ts'
import type { KeyReference } from '../../reference-values/reference-values.ts'

/** The keyrings whose keys the kernel takes for signatures of files; `_ima` is the name before `.ima`. */
const fileKeyrings: ReadonlySet<string> = new Set(['.ima', '_ima'])

/** A key as a measured buffer showed it, for a checkpoint. */
export interface LearnedKey {
  /** Name as in the log, one character a byte. */
  readonly keyring: string
  readonly der: Uint8Array
}

export interface KeyRingLimits {
  /**
   * Signatures that are verified; later ones are not verifiable. One of them takes 0.1 to 2 ms, and a hostile guest may
   * log as many as it likes. Default 50 000.
   */
  readonly maximumVerifications?: number
}

/** A key that is imported when a signature first names it. */
class VerifyingKey {
  readonly #spki: Uint8Array
  #key: DigestKey | null | undefined

  constructor(spki: Uint8Array) {
    this.#spki = spki
  }

  /** Null for a key of a type or size that is not supported. */
  get key(): DigestKey | null {
    if (this.#key === undefined) {
      const reading = readPublicKey(this.#spki)
      this.#key = reading.usable ? digestKeyOf(reading.publicKey) : null
    }
    return this.#key
  }
}

function keyOrNull(der: Uint8Array): ImaKey | null {
  try {
    return parseImaKey(der)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/**
 * The keys of one appraisal (IMA-17, IMA-18): what may be in each keyring, and what verifies signatures of files. A key
 * verifies if it is listed for `.ima` and its DER is known: from the reference values, or learned from the log.
 */
export class ImaKeyRing {
  readonly #lists = new Map<string, Set<string>>()
  /** By key id; several keys may share one. */
  readonly #keys = new Map<number, VerifyingKey[]>()
  /** Digests of what verifies already. */
  readonly #known = new Set<string>()
  readonly #learned: LearnedKey[] = []
  #verifications: number

  /** A DER that is neither certificate nor key is listed, and verifies nothing. */
  constructor(references: readonly KeyReference[], { maximumVerifications = 50_000 }: KeyRingLimits = {}) {
    this.#verifications = maximumVerifications
    for (const { keyring, sha256, der } of references) {
      const list = this.#lists.get(keyring)
      if (list) list.add(sha256)
      else this.#lists.set(keyring, new Set([sha256]))
      if (der !== null) this.#admit(keyring, sha256, parseText(der, 'base64', 'key'))
    }
  }

  /** Whether the digest is on the list of the keyring; null if the keyring has no list. */
  isListed(keyring: string, sha256: string): boolean | null {
    return this.#lists.get(keyring)?.has(sha256) ?? null
  }

  /**
   * Takes the DER that a measured buffer showed for a keyring. It verifies signatures from now on if it is listed for
   * `.ima`; any other has no effect: root in the guest measures what it likes (IMA-18).
   */
  learn(keyring: string, der: Uint8Array): void {
    const sha256 = hash('sha256', der, 'hex')
    if (this.isListed(keyring, sha256) !== true) return
    const copy = Uint8Array.from(der)
    if (this.#admit(keyring, sha256, copy)) this.#learned.push({ keyring, der: copy })
  }

  /** Keys that verify only because the log has shown them; at most as many as are listed. */
  get learned(): readonly LearnedKey[] {
    return this.#learned
  }

  /** Keys with this id; an empty list if there is none, null for one that is of no supported type. */
  keysOf(keyId: number): readonly (DigestKey | null)[] {
    return (this.#keys.get(keyId) ?? []).map(({ key }) => key)
  }

  /** Counts one verification; false if there have been too many. */
  spend(): boolean {
    this.#verifications -= 1
    return this.#verifications >= 0
  }

  /** True if the key now verifies and did not before. */
  #admit(keyring: string, sha256: string, der: Uint8Array): boolean {
    if (!fileKeyrings.has(keyring) || this.#known.has(sha256)) return false
    const key = keyOrNull(der)
    if (key === null) return false
    this.#known.add(sha256)
    const others = this.#keys.get(key.keyId) ?? []
    this.#keys.set(key.keyId, [...others, new VerifyingKey(key.spki)])
    return true
  }
}
