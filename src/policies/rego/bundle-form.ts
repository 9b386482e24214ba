import { toLatin1 } from '../../base/bytes.ts'

/** What a file begins with decides, and not its name. */
export type BundleForm = 'packed' | 'bare' | 'source' | 'unknown'

/** Says what the bytes of a file are. Rego begins with its package, after comments. */
export function formOfBundle(bytes: Uint8Array, path: string): BundleForm {
  const start = toLatin1(bytes.subarray(0, 4))
  if (start === '\0asm') return 'bare'
  if (start.startsWith('\x1f\x8b')) return 'packed'
  const text = toLatin1(bytes.subarray(0, 65_536))
  const isSource = path.endsWith('.rego') || /^(?:\s|#[^\n]*\n)*package\s/.test(text)
  return isSource ? 'source' : 'unknown'
}

/** No text of the policy language begins like a bundle: both beginnings hold bytes that it refuses (POL-101, POL-104). */
export function isCompiledPolicy(bytes: Uint8Array): boolean {
  const form = formOfBundle(bytes, '')
  return form === 'packed' || form === 'bare'
}
