import { defaultPolicyLimits } from '../policy-limits.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'
import { layOut } from './layout.ts'
import { lexicalItems } from './lexical-items.ts'
import { type ParsePolicyOptions, parsePolicy } from './parse-policy.ts'
import { oversizedText } from './policy-text.ts'

const byteOrderMark = '\ufeff'

/** The text in the one layout, or why there is none. */
export type FormattedPolicy =
  | { readonly text: string; readonly diagnostics?: never }
  | { readonly text?: never; readonly diagnostics: readonly PolicyDiagnostic[] }

function decoded(input: string | Uint8Array): string {
  return typeof input === 'string' ? input : new TextDecoder('utf-8', { ignoreBOM: true }).decode(input)
}

/**
 * Lays a policy out in the one canonical form: it parses to the same rules, every comment is kept as it is and where it
 * is, a byte order mark stays, lines end in LF, and formatting again changes nothing. In lenient mode words get their
 * right spelling. The hash of the policy changes with every byte (POL-710). A text that does not load is not touched;
 * one that would be too long in this form (POL-601) neither.
 */
export function formatPolicy(input: string | Uint8Array, options: ParsePolicyOptions = {}): FormattedPolicy {
  const parsed = parsePolicy(input, options)
  if (parsed.diagnostics !== undefined) return { diagnostics: parsed.diagnostics }
  const source = decoded(input)
  const laidOut = layOut(lexicalItems(source, parsed.warnings))
  const text = source.startsWith(byteOrderMark) ? byteOrderMark + laidOut : laidOut
  const diagnostic = oversizedText(text, options.limits?.textBytes ?? defaultPolicyLimits.textBytes)
  return diagnostic === null ? { text } : { diagnostics: [diagnostic] }
}
