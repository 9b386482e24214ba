import { EvaluationFailure } from '../../src/policies/evaluation-failure.ts'
import { compileQuery } from '../../src/policies/jmespath/compile-query.ts'
import { parseExactJson } from '../../src/policies/jmespath/exact-json.ts'
import { jsonText } from '../../src/policies/jmespath/json-text.ts'
import { ObjectSizes } from '../../src/policies/jmespath/object-sizes.ts'
import { defaultPolicyLimits, type PolicyLimits } from '../../src/policies/policy-limits.ts'
import { StepMeter } from '../../src/policies/step-meter.ts'

/** The result of a query as JSON text, or the id of the rule by which it fails. */
export function search(query: string, document: string, changed: Partial<PolicyLimits> = {}): string {
  return measured(query, document, changed).result
}

export function measured(query: string, document: string, changed: Partial<PolicyLimits> = {}) {
  const limits = { ...defaultPolicyLimits, ...changed }
  const meter = new StepMeter(limits.steps)
  try {
    const result = compileQuery(query, limits)(parseExactJson(document, 'document'), {
      meter,
      limits,
      sizes: new ObjectSizes(meter),
    })
    return { result: jsonText(result, limits.resultBytes, meter), steps: meter.taken }
  } catch (error) {
    if (error instanceof EvaluationFailure) return { result: error.id, message: error.message, steps: meter.taken }
    throw error
  }
}
