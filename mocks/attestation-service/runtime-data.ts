/** One alphabet, no padding or exactly the right one (SVC-24). */
const form = /^(?:[A-Za-z0-9+/]+|[A-Za-z0-9_-]+)(={0,2})$/

/**
 * Decodes `runtime_data.raw` as the service does: base64url or standard alphabet, not mixed; without padding or with
 * exactly the right one; zero unused bits; no white space; 1 to 64 bytes (SVC-24, SVC-25). Undefined if it is not that.
 */
export function decodeRaw(text: string): Uint8Array | undefined {
  const [, padding] = form.exec(text) ?? []
  if (padding === undefined) return undefined
  const digits = text.slice(0, text.length - padding.length)
  const due = (4 - (digits.length % 4)) % 4
  if (due === 3 || (padding !== '' && padding.length !== due)) return undefined
  const bytes = Buffer.from(digits, 'base64url')
  const again = bytes.toString('base64url')
  const sameAgain = again === digits.replaceAll('+', '-').replaceAll('/', '_')
  return sameAgain && bytes.length >= 1 && bytes.length <= 64 ? new Uint8Array(bytes) : undefined
}
