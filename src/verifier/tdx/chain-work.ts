import { toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { parsePemBlocks } from '../../base/pki/pem.ts'
import { type KeyReading, readPublicKey } from '../../base/pki/public-key.ts'
import { verifyWithReading } from '../../base/pki/signature.ts'
import type { Authority } from '../../base/pki/trust-anchor.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'

/** Bytes of one certificate; real ones of this PKI have up to 1.3 KiB. */
const largestCertificate = 8_192
/** Characters of one chain, and certificates in it before they are counted exactly. */
const chainLimits = { characters: 32_768, blocks: 4 }

/** The keys of the usual anchors, prepared: they occur in every appraisal. */
const preparedKeys: ReadonlyMap<string, KeyReading> = new Map(
  intelSgxRootAnchors.map(({ authority: { publicKey } }) => [toLatin1(publicKey), readPublicKey(publicKey)]),
)

export type ParsedChain =
  | { readonly certificates: readonly Certificate[]; readonly problem: null }
  | { readonly certificates: null; readonly problem: string }

/** PEM blocks, or why the text has none. */
export type PemReading =
  | { readonly blocks: readonly Uint8Array[]; readonly problem: null }
  | { readonly blocks: null; readonly problem: string }

/**
 * The work of one appraisal on certificates: each distinct chain and certificate is parsed once, each key imported once
 * and each signature verified once, although a root occurs in up to four chains. Make a new one for each appraisal: it
 * is never emptied. It holds only what follows from bytes, never from time or trust.
 */
export class ChainWork {
  #texts = new Map<string, PemReading>()
  /** By their base64: equal blocks of several texts are one array. */
  #blocks = new Map<string, Uint8Array>()
  #certificates = new Map<Uint8Array, Certificate | MalformedError>()
  #keys = new Map<string, KeyReading>()
  /** What `#keys` has, by the array that asked for it. */
  #keysOfArrays = new Map<Uint8Array, KeyReading>()
  #signatures = new Map<string, boolean>()

  /** The PEM blocks of a chain by the grammar of TDX-110, in order. */
  readPem(text: string): PemReading {
    // The parser refuses it by its length alone; looking it up would cost a hash over all of it.
    if (text.length > chainLimits.characters) return readPem(text, this.#blocks)
    const reading = this.#texts.get(text) ?? readPem(text, this.#blocks)
    this.#texts.set(text, reading)
    return reading
  }

  /** Parses the certificates of a chain; the problem is that of the first that does not parse. */
  parse(blocks: readonly Uint8Array[]): ParsedChain {
    const certificates: Certificate[] = []
    for (const der of blocks) {
      const certificate = this.#certificate(der)
      if (certificate instanceof MalformedError) return { certificates: null, problem: certificate.message }
      certificates.push(certificate)
    }
    return { certificates, problem: null }
  }

  #certificate(der: Uint8Array): Certificate | MalformedError {
    const known = this.#certificates.get(der)
    if (known) return known
    const certificate = parsed(der)
    this.#certificates.set(der, certificate)
    return certificate
  }

  key({ publicKey }: Pick<Certificate, 'publicKey'>): KeyReading {
    const known = this.#keysOfArrays.get(publicKey)
    if (known) return known
    const name = toLatin1(publicKey)
    const reading = preparedKeys.get(name) ?? this.#keys.get(name) ?? readPublicKey(publicKey)
    this.#keys.set(name, reading)
    this.#keysOfArrays.set(publicKey, reading)
    return reading
  }

  /** Whether the key of `issuer` made the signature of the certificate. Names and roles are not looked at. */
  isSigned(certificate: Certificate, issuer: Pick<Authority, 'publicKey'>): boolean {
    const name = `${certificate.fingerprint}${toLatin1(issuer.publicKey)}`
    const known = this.#signatures.get(name)
    if (known !== undefined) return known
    const { signatureAlgorithm, tbs, signature } = certificate
    const verdict = verifyWithReading(signatureAlgorithm, this.key(issuer), tbs, signature) === 'valid'
    this.#signatures.set(name, verdict)
    return verdict
  }
}

function readPem(text: string, known: Map<string, Uint8Array>): PemReading {
  try {
    return { blocks: parsePemBlocks(text, 'CERTIFICATE', chainLimits, known), problem: null }
  } catch (error) {
    if (error instanceof MalformedError) return { blocks: null, problem: error.message }
    throw error
  }
}

function parsed(der: Uint8Array): Certificate | MalformedError {
  try {
    return parseCertificate(der, 'certificate', { maximum: largestCertificate })
  } catch (error) {
    if (error instanceof MalformedError) return error
    throw error
  }
}
