import type { Condition, Policy } from '../language/syntax.ts'
import { claimEntryOf } from './claim-catalogue.ts'

const isDocument = (type: string) => claimEntryOf(type)?.document != null

/** A condition that does not say which type it is about can match a document as well. */
function canMatchDocument({ tests }: Condition): boolean {
  const named = tests.flatMap(({ property, operator, expression }) =>
    property === 'type' && operator === '==' && expression.kind === 'string' ? [expression.value] : [],
  )
  return named.every(isDocument)
}

/**
 * Whether the policy can tell if the documents of POL-432 (`tpm.events`, `ima.log` …) are among its claims. Where it
 * cannot they need not be made: a long event log takes longer to write out than to appraise.
 */
export function asksForDocuments({ configuration, authorization, issuance }: Policy): boolean {
  const rules = [...configuration, ...authorization, ...issuance]
  return rules.some(({ conditions }) => conditions.some(canMatchDocument))
}
