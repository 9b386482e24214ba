import type { PolicyLimits } from '../policy-limits.ts'
import type { StepMeter } from '../step-meter.ts'
import type { Json } from './exact-json.ts'
import type { ObjectSizes } from './object-sizes.ts'

/** What one evaluation of a query may use. */
export interface QueryRun {
  readonly meter: StepMeter
  readonly sizes: ObjectSizes
  readonly limits: Pick<PolicyLimits, 'resultBytes' | 'stringBytes'>
}

/** A compiled expression: from the current value to a result. */
export type Evaluate = (value: Json, run: QueryRun) => Json
