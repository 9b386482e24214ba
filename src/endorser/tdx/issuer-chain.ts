import { MalformedError } from '../../base/errors.ts'
import { parsePemBlocks } from '../../base/pki/pem.ts'

/** Requires strict PEM of two certificates, signer and root (PCS-03), and gives the text back. Verifies nothing. */
export function requireIssuerChain(text: string, path: string): string {
  const { length } = parsePemBlocks(text, 'CERTIFICATE')
  if (length !== 2) throw new MalformedError({ path }, `has ${length} certificates; a signer and its root are expected`)
  return text
}

/**
 * Decodes the chain in a header of the provisioning interface: percent-encoded PEM of two certificates (PCS-03).
 * Decoded once, so that `%2525` stays an error of the PEM; `+` is a plus of base64, not a space. Throws `MalformedError`.
 */
export function decodeIssuerChain(header: string, path: string): string {
  let text: string
  try {
    text = decodeURIComponent(header)
  } catch {
    throw new MalformedError({ path }, 'is not percent-encoded UTF-8')
  }
  return requireIssuerChain(text, path)
}
