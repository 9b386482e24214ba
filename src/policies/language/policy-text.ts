import { codePointsIn } from './code-points.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'

const byteOrderMark = '\ufeff'
/** A protected header is an object: its base64url begins with that of `{` and a quote or white space. */
const compactJws = /^e[wy][A-Za-z0-9_-]*\.[A-Za-z0-9_-]*\.[A-Za-z0-9_-]*$/

function diagnosticAt(before: string, fault: Pick<PolicyDiagnostic, 'id' | 'message' | 'found' | 'hint'>) {
  const start = before.startsWith(byteOrderMark) ? 1 : 0
  const lines = before.slice(start).split(/\r\n|\r|\n/)
  const column = codePointsIn(lines.at(-1) ?? '') + 1
  return { ...fault, severity: 'error' as const, line: lines.length, column, length: 1, expected: [], path: 'lexer' }
}

const atStart = (id: string, message: string, found: string, hint: string): PolicyDiagnostic =>
  diagnosticAt('', { id, message, found, hint })

/** POL-101, with the place of the first byte that belongs to no character. */
function invalidBytes(bytes: Uint8Array): PolicyDiagnostic {
  const again = new TextEncoder().encode(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes))
  const differs = bytes.findIndex((byte, at) => byte !== again[at])
  const valid = bytes.subarray(0, differs < 0 ? bytes.length : differs)
  const before = new TextDecoder('utf-8', { ignoreBOM: true }).decode(valid, { stream: true })
  const byte = bytes[new TextEncoder().encode(before).length] ?? 0
  const found = `0x${byte.toString(16).toUpperCase().padStart(2, '0')}`
  const hint = 'save the file as UTF-8'
  return diagnosticAt(before, { id: 'POL-101', message: `the byte ${found} is not UTF-8 here`, found, hint })
}

/** A half of a surrogate pair in a text that never was bytes: it has no UTF-8, so no hash either. */
function loneSurrogate(text: string): PolicyDiagnostic | null {
  const at = text.search(/\p{Surrogate}/u)
  if (at < 0) return null
  const found = `U+${text.charCodeAt(at).toString(16).toUpperCase()}`
  const message = `${found} is half a character and has no UTF-8`
  return diagnosticAt(text.slice(0, at), { id: 'POL-101', message, found, hint: 'delete it' })
}

/** POL-601: `most` in bytes. */
export function oversizedText(input: string | Uint8Array, most: number): PolicyDiagnostic | null {
  const bytes = typeof input === 'string' ? Buffer.byteLength(input, 'utf8') : input.length
  if (bytes <= most) return null
  const message = `the policy has ${bytes} bytes; ${most} are allowed`
  return atStart('POL-601', message, '', 'split it: several policies can be required together')
}

/** POL-111, POL-112: what is no policy at all. */
function foreignText(text: string): PolicyDiagnostic | null {
  const trimmed = text.replace(byteOrderMark, '').replace(/^[ \t\r\n]+/, '')
  if (trimmed === '')
    return atStart('POL-111', 'the policy is empty', '<EOF>', 'deny all: version=1.0; authorizationrules {};')
  const first = trimmed.charAt(0)
  if (first === '"') {
    return atStart(
      'POL-112',
      'this is a JSON string, not policy text',
      first,
      'give the text that the JSON string holds',
    )
  }
  if (first === '{') return atStart('POL-112', 'this is JSON, not policy text', first, 'a policy starts with version=')
  if (compactJws.test(trimmed.trimEnd())) {
    const hint = 'give the text in its member AttestationPolicy, or upload it as a signed policy'
    return atStart('POL-112', 'this is a JWS, not policy text', `${trimmed.slice(0, 16)}…`, hint)
  }
  return null
}

/** A policy text, or why it is none. A byte order mark stays (POL-102). */
export type PolicyText = { readonly text: string } | { readonly diagnostic: PolicyDiagnostic }

function decoded(bytes: Uint8Array): string | null {
  try {
    return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
  } catch {
    return null
  }
}

/** Takes text or its bytes in strict UTF-8 (POL-101); `most` in bytes (POL-601). */
export function readPolicyText(input: string | Uint8Array, most: number): PolicyText {
  const oversized = oversizedText(input, most)
  if (oversized !== null) return { diagnostic: oversized }
  const text = typeof input === 'string' ? input : decoded(input)
  if (text === null) return { diagnostic: invalidBytes(input as Uint8Array) }
  const diagnostic = loneSurrogate(text) ?? foreignText(text)
  return diagnostic === null ? { text } : { diagnostic }
}
