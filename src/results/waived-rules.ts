import type { Appraisal, Checks } from './appraisal.ts'

/**
 * The rule ids of the checks that a policy waived (`attestd.waived`, TOK-03), sorted, each once. `checks` are the
 * declarations of the verifier that made the appraisal; a waived finding that none of them declares is a bug.
 */
export function listWaivedRules(appraisal: Pick<Appraisal, 'findings'>, checks: Checks<string>): string[] {
  const rules = new Set<string>()
  for (const { id, outcome } of appraisal.findings) {
    if (outcome !== 'waived') continue
    const declared = Object.hasOwn(checks, id) ? checks[id] : undefined
    if (declared === undefined) throw new TypeError(`waived check ${id} is not declared`)
    rules.add(declared.rule)
  }
  return [...rules].sort()
}
