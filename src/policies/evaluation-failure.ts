/**
 * What a rule, a query or an incoming claim did wrong; it makes the verdict *error* (POL-424) and never leaves
 * `evaluatePolicy`. `id` is the rule of the specification.
 */
export class EvaluationFailure extends Error {
  readonly id: string

  constructor(id: string, message: string) {
    super(message)
    this.name = 'EvaluationFailure'
    this.id = id
  }
}
