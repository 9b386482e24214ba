import type { Certificate } from '../../base/pki/certificate.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { readPublicKey } from '../../base/pki/public-key.ts'
import { acceptSignerChange, algorithmOfKey } from '../../policies/index.ts'
import { registryErrors } from '../errors.ts'
import type { PolicyBookOptions } from './policy-book.ts'
import type { SignerOutcome } from './policy-outcome.ts'
import type { PolicyAct, PolicySituation, SignerRecord } from './policy-store.ts'
import { type Attempt, PolicyWriter } from './policy-writer.ts'
import { certificateOf, keySha256, trustedKeys } from './trusted-signers.ts'

export const mostSigners = 32

/** Changes of signers are about no policy. */
const noSlot = ''

/**
 * Who may sign policies. While there is nobody, signer mode is off, and policies need no signature (POL-704). Trust is in
 * keys: a second certificate of a trusted key changes nothing, and with a key all of its certificates go.
 */
export class SignerBook {
  #options: Omit<PolicyBookOptions, 'judge'>
  #writer: PolicyWriter

  constructor(options: Omit<PolicyBookOptions, 'judge'>) {
    this.#options = options
    this.#writer = new PolicyWriter(options)
  }

  /** Certificates of those who are trusted now, in the order in which they came. */
  async trusted(): Promise<readonly Certificate[]> {
    return (await this.history()).filter(({ removed }) => removed === null).map(certificateOf)
  }

  /** All who are or were trusted, with who added and who removed them. */
  history(): Promise<readonly SignerRecord[]> {
    return this.#options.store.signers()
  }

  /**
   * Adds or removes the signer that a JWS names, which one who is trusted signed (else throws as `acceptSignerChange`).
   * The last one is not removed in this way: signer mode would be off (POL-708). Throws `policy_signer_last`,
   * `policy_signers_full`, `policy_signer_key` and what `PolicyWriter` throws.
   */
  changeSigned(what: 'add' | 'remove', jws: string, by: string): Promise<SignerOutcome> {
    return this.#writer.write(noSlot, by, (situation, act) => {
      const { subject } = acceptSignerChange(jws, trustedKeys(situation.signers))
      const [certificate] = subject.certificates
      if (certificate === undefined) throw new TypeError('a change of signers has a certificate')
      if (what === 'add') return this.#adding(certificate, situation, act)
      if (isLast(certificate, situation)) {
        throw registryErrors.error('policy_signer_last', 'this is the last signer who is trusted')
      }
      return removing(certificate, situation, act)
    })
  }

  /** For the local administrator alone: nobody has to vouch for the signer, and signer mode is on from here. */
  async addLocally(der: Uint8Array, by: string): Promise<SignerOutcome> {
    const certificate = parseCertificate(der)
    requirePolicyKey(certificate)
    return this.#writer.write(noSlot, by, (situation, act) => this.#adding(certificate, situation, act))
  }

  /** For the local administrator alone: also the last signer, after which policies need no signature any more. */
  async removeLocally(der: Uint8Array, by: string): Promise<SignerOutcome> {
    const certificate = parseCertificate(der)
    return this.#writer.write(noSlot, by, (situation, act) => removing(certificate, situation, act))
  }

  #adding(certificate: Certificate, situation: PolicySituation, act: PolicyAct): Attempt<SignerOutcome> {
    if (this.#options.signsTokens(certificate.publicKey)) {
      throw registryErrors.error('policy_signer_key', 'the key of the certificate is one that signs tokens')
    }
    const key = keySha256(certificate.publicKey)
    if (situation.signers.some((signer) => signer.keySha256 === key)) return { result: { certificate, changed: false } }
    if (situation.signers.length >= mostSigners) {
      throw registryErrors.error('policy_signers_full', `at most ${mostSigners} signers are trusted`)
    }
    const signerAdded = { keySha256: key, certificate: Uint8Array.from(certificate.der), added: act, removed: null }
    return {
      result: { certificate, changed: true },
      change: { signerAdded },
      event: { event: 'policy.signer.added', keySha256: key, ...act },
    }
  }
}

function requirePolicyKey({ publicKey }: Certificate): void {
  const reading = readPublicKey(publicKey)
  if (reading.usable && algorithmOfKey(reading.publicKey) !== null) return
  throw registryErrors.error('policy_signer_key', 'the key of the certificate can neither sign RS256 nor ES256')
}

function isLast({ publicKey }: Certificate, { signers }: PolicySituation): boolean {
  return signers.length === 1 && signers[0]?.keySha256 === keySha256(publicKey)
}

function removing(certificate: Certificate, { signers }: PolicySituation, act: PolicyAct): Attempt<SignerOutcome> {
  const key = keySha256(certificate.publicKey)
  if (!signers.some((signer) => signer.keySha256 === key)) return { result: { certificate, changed: false } }
  return {
    result: { certificate, changed: true },
    change: { signerRemoved: { keySha256: key, ...act } },
    event: { event: 'policy.signer.removed', keySha256: key, ...act },
  }
}
