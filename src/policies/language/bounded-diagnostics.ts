import { beginningOf } from './code-points.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'

/** A hostile policy may have thousands, each as long as the policy. */
const limits = { diagnostics: 64, characters: 512, expected: 16 } as const

const cut = (text: string): string => beginningOf(text, limits.characters)

/** The first diagnostics of a policy, with texts of bounded length: for what is kept, and for what goes over a wire. */
export function boundedDiagnostics(diagnostics: readonly PolicyDiagnostic[]): readonly PolicyDiagnostic[] {
  return diagnostics.slice(0, limits.diagnostics).map((diagnostic) => ({
    ...diagnostic,
    message: cut(diagnostic.message),
    found: cut(diagnostic.found),
    expected: diagnostic.expected.slice(0, limits.expected).map(cut),
    path: cut(diagnostic.path),
    ...(diagnostic.hint === undefined ? {} : { hint: cut(diagnostic.hint) }),
  }))
}
