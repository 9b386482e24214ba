import { stat } from 'node:fs/promises'
import type { AttestdError } from '../../base/errors.ts'
import { MalformedError } from '../../base/errors.ts'
import { type Certificate, parseCertificate } from '../../base/pki/certificate.ts'
import { findPem, parsePemBlocks } from '../../base/pki/pem.ts'
import { parseCrl, type RevocationList } from '../../base/pki/revocation-list.ts'
import { anchorOf, type TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { vendorAnchor, vendorAnchorFacts } from '../../endorsements/trust-anchors.ts'
import type { Configuration } from '../configuration/schema.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'

/** What vouches for endorsement keys: configured certificates and lists, read and parsed. */
export interface EkTrust {
  readonly anchors: readonly TrustAnchor[]
  readonly intermediates: readonly Certificate[]
  readonly crls: readonly RevocationList[]
}

/** Where it is found. */
export type EkTrustFiles = Pick<Configuration['verifier'], 'ek_vendors' | 'ek_anchors' | 'ek_intermediates' | 'crls'>

const latin1 = new TextDecoder('latin1')
const largestFile = 1 << 20

function invalid(file: string, error: unknown): AttestdError {
  if (!(error instanceof MalformedError)) throw error
  return agentErrors.error('CONFIGURATION_INVALID', `${file}: ${error.message}`, { facts: { file }, cause: error })
}

/** What an operator configures may be a bundle of many authorities, or the list of a large one. */
const pemLimits = { characters: largestFile, blocks: 256 }

/** Several blocks, or one block below the text dump that vendors publish. */
function pemBlocks(text: string, label: string): Uint8Array[] {
  return text.startsWith('-----BEGIN') ? parsePemBlocks(text, label, pemLimits) : [findPem(text, label, pemLimits)]
}

/** A named pipe would be waited for, and with it every later reload. */
export async function requireFile(file: string): Promise<string> {
  const found = await stat(file).catch(() => null)
  if (found === null || found.isFile()) return file
  throw agentErrors.error('CONFIGURATION_INVALID', `${file}: is not a regular file`, { facts: { file } })
}

async function readObjects<T>(file: string, label: string, parse: (der: Uint8Array) => T): Promise<T[]> {
  const bytes = await readInput(await requireFile(file), largestFile)
  try {
    if (bytes[0] === 0x30) return [parse(bytes)]
    return pemBlocks(latin1.decode(bytes), label).map(parse)
  } catch (error) {
    throw invalid(file, error)
  }
}

async function readAll<T>(files: readonly string[], label: string, parse: (der: Uint8Array) => T): Promise<T[]> {
  const lists = await Promise.all(files.map((file) => readObjects(file, label, parse)))
  return lists.flat()
}

/** All certificates of files that the configuration names. */
export const readCertificates = (files: readonly string[]) =>
  readAll(files, 'CERTIFICATE', (der) => parseCertificate(der))

/** A file that holds the certificate of a known maker is that maker's anchor, by its pinned digest. */
function namedAnchor(certificate: Certificate): TrustAnchor {
  const known = Object.entries(vendorAnchorFacts).find(
    ([, facts]) => facts.certificateSha256 === certificate.fingerprint,
  )
  return anchorOf(certificate, known?.[0])
}

/** Reads the files that the configuration names. Throws `INPUT_UNREADABLE` or `CONFIGURATION_INVALID` naming the file. */
export async function readEkTrust(verifier: EkTrustFiles): Promise<EkTrust> {
  const configured = await readCertificates(verifier.ek_anchors)
  return {
    anchors: [...verifier.ek_vendors.map((name) => vendorAnchor(name)), ...configured.map(namedAnchor)],
    intermediates: await readCertificates(verifier.ek_intermediates),
    crls: await readAll(verifier.crls, 'X509 CRL', (der) => parseCrl(der)),
  }
}
