import { toLatin1 } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { parseCertificate } from '../base/pki/certificate.ts'
import { parsePemBlocks } from '../base/pki/pem.ts'
import { type PckCaKind, readPckCertificate } from '../endorsements/tdx/pck-certificate.ts'
import { parseQuote } from '../evidence/tdx/quote.ts'

/** Whose collateral a quote needs. */
export interface QuotePlatform {
  readonly tee: 'sgx' | 'tdx'
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  readonly ca: PckCaKind
}

function platformIn(quote: Uint8Array): QuotePlatform | null {
  const { header, certification } = parseQuote(quote)
  if (certification.type !== 5) return null
  const [leaf] = parsePemBlocks(toLatin1(certification.data), 'CERTIFICATE')
  if (!leaf) return null
  const { sgx, caKind } = readPckCertificate(parseCertificate(leaf))
  const tee = header.teeType === 0x81 ? 'tdx' : 'sgx'
  return caKind === null ? null : { tee, fmspc: sgx.fmspc, ca: caKind }
}

/**
 * The platform that a quote names by the PCK certificate in it (TDX-207): FMSPC and the kind of its CA, both of a form
 * that can enter a URL. Nothing is verified: it only says what to fetch, and what is fetched is judged by itself. Null
 * for a quote that does not parse or carries no such certificate.
 */
export function platformOfQuote(quote: Uint8Array): QuotePlatform | null {
  try {
    return platformIn(quote)
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}
