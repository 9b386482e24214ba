import type { CallArguments } from './call-arguments.ts'
import { collectionFunctions } from './collection-functions.ts'
import type { Json } from './exact-json.ts'
import { numberFunctions } from './number-functions.ts'
import type { QueryFunctionName } from './query-syntax.ts'
import { stringFunctions } from './string-functions.ts'

/** The 26 functions of the original specification (POL-520) and `equals_ignore_case` (POL-521). */
export const queryFunctions: Readonly<Record<QueryFunctionName, (given: CallArguments) => Json>> = {
  ...collectionFunctions,
  ...numberFunctions,
  ...stringFunctions,
}
