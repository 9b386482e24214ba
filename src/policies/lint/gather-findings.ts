import { EvaluationFailure } from '../evaluation-failure.ts'
import type { PolicyDiagnostic } from '../language/diagnostic.ts'
import { diagnosticOf } from './lint-finding.ts'
import type { LintWork } from './lint-work.ts'

/** Nobody reads more. A policy of a megabyte could have half a million. */
export const mostFindings = 4096

/** L25 stands at the beginning, so that it is seen, and kept, wherever only the first findings are. */
function stopped(line: number, why: string): PolicyDiagnostic {
  const message = `the lint stopped in line ${line} and did not look at the rest of the policy: ${why}`
  const hint = 'mend what was found and lint again, or split the policy'
  return diagnosticOf({ id: 'L25', span: { line: 1, column: 1, length: 0 }, message, hint }, 'policy')
}

/** Each finding once, until there are too many of them, or they took too much work (POL-608): then with L25. */
export function gatherFindings(found: Iterable<PolicyDiagnostic>, work: LintWork): readonly PolicyDiagnostic[] {
  const byPlace = new Map<string, PolicyDiagnostic>()
  let line = 1
  try {
    for (const one of found) {
      line = one.line
      work.take()
      const key = `${one.id} ${one.line} ${one.column} ${one.message}`
      if (byPlace.size === mostFindings && !byPlace.has(key))
        throw new EvaluationFailure('L25', `there are more than ${mostFindings} findings`)
      byPlace.set(key, one)
    }
  } catch (error) {
    if (!(error instanceof EvaluationFailure)) throw error
    return [...byPlace.values(), stopped(Math.max(line, work.line), error.message)]
  }
  return [...byPlace.values()]
}
