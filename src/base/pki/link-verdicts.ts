import type { Certificate } from './certificate.ts'
import { type KeyReading, readPublicKey } from './public-key.ts'
import { type SignatureVerdict, verifyWithReading } from './signature.ts'
import type { Authority } from './trust-anchor.ts'

/**
 * What was verified while one chain is looked for: the many ways through a pool of cross-certificates share their
 * links, and each key and each signature is judged once.
 */
export class LinkVerdicts {
  #readings = new Map<Uint8Array, KeyReading>()
  #verdicts = new Map<Uint8Array, Map<Uint8Array, SignatureVerdict>>()

  key({ publicKey }: Authority): KeyReading {
    const reading = this.#readings.get(publicKey) ?? readPublicKey(publicKey)
    this.#readings.set(publicKey, reading)
    return reading
  }

  signature({ signatureAlgorithm, tbs, signature }: Certificate, issuer: Authority): SignatureVerdict {
    const { publicKey } = issuer
    const byIssuer = this.#verdicts.get(tbs) ?? new Map<Uint8Array, SignatureVerdict>()
    this.#verdicts.set(tbs, byIssuer)
    const verdict = byIssuer.get(publicKey) ?? verifyWithReading(signatureAlgorithm, this.key(issuer), tbs, signature)
    byIssuer.set(publicKey, verdict)
    return verdict
  }
}
