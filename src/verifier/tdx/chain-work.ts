import { toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { type DecodedBlock, parsePemBlocks } from '../../base/pki/pem.ts'
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
  /** Few texts: to compare them takes less than to hash each. */
  #texts: { readonly text: string; readonly reading: PemReading }[] = []
  /** Equal blocks of several texts are one array. */
  #blocks: DecodedBlock[] = []
  #certificates = new Map<Uint8Array, Certificate | MalformedError>()
  #keys = new Map<string, KeyReading>()
  /** What `#keys` has, by the array that asked for it. */
  #keysOfArrays = new Map<Uint8Array, KeyReading>()
  /** By certificate and the key of its issuer. */
  #signatures = new Map<Certificate, Map<KeyReading, boolean>>()
  #profiles = new Map<Certificate, string | null>()

  /** The PEM blocks of a chain by the grammar of TDX-110, in order. */
  readPem(text: string): PemReading {
    const known = this.#texts.find((one) => one.text === text)
    if (known !== undefined) return known.reading
    const reading = readPem(text, this.#blocks)
    this.#texts.push({ text, reading })
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
    const key = this.key(issuer)
    const byKey = this.#signatures.get(certificate) ?? new Map<KeyReading, boolean>()
    const known = byKey.get(key)
    if (known !== undefined) return known
    const { signatureAlgorithm, tbs, signature } = certificate
    const verdict = verifyWithReading(signatureAlgorithm, key, tbs, signature) === 'valid'
    this.#signatures.set(certificate, byKey.set(key, verdict))
    return verdict
  }

  /** What `judge` says of the certificate, asked once. */
  profile(certificate: Certificate, judge: (certificate: Certificate) => string | null): string | null {
    const known = this.#profiles.get(certificate)
    if (known !== undefined) return known
    const problem = judge(certificate)
    this.#profiles.set(certificate, problem)
    return problem
  }
}

function readPem(text: string, known: DecodedBlock[]): PemReading {
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
