import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'

/** A value that a measurement may have. Hexadecimal is lower case, in the byte order of the quote. */
export type MeasuredValue = string | number | boolean

/**
 * Reference sets by name of the measurement. A name of the TD report (`mr_td`, `rtmr_0`, `mr_seam`, …) or a path into
 * the claims that begins with `tdx.`, `tpm.`, `ima.` or `gpu.`: `tpm.pcr.0`, `tpm.secure_boot`. Each claim must be
 * there and be one of its values; of an array (the GPUs) every item.
 */
export type Measurements = Readonly<Record<string, readonly MeasuredValue[]>>

export interface MeasurementRule {
  readonly name: string
  readonly path: readonly string[]
  readonly allowed: ReadonlySet<JsonValue>
}

/** Fields of the TD report body under the names of the claims (TOK-31). */
const reportFields = new Set([
  ...['tcb_svn', 'mr_seam', 'mrsigner_seam', 'seam_attributes', 'td_attributes', 'xfam', 'mr_td', 'mr_config_id'],
  ...[
    'mr_owner',
    'mr_owner_config',
    'rtmr_0',
    'rtmr_1',
    'rtmr_2',
    'rtmr_3',
    'report_data',
    'tee_tcb_svn2',
    'mr_servicetd',
  ],
])
const claimPath = /^(?:tdx|tpm|ima|gpu)(?:\.[A-Za-z0-9_-]+)+$/
const lowerHex = /^(?:[0-9a-f]{2})+$/

/** What is wrong with a reference set, or undefined. */
export function measurementProblem(name: string, allowed: readonly MeasuredValue[]): string | undefined {
  if (!reportFields.has(name) && !claimPath.test(name)) return `measurements.${name}: is no measurement`
  if (allowed.length === 0) return `measurements.${name}: an empty set accepts nothing`
  const hex = (value: MeasuredValue) => typeof value === 'string' && lowerHex.test(value)
  if (reportFields.has(name) && !allowed.every(hex)) return `measurements.${name}: values are lower-case hexadecimal`
  return undefined
}

export function composeRules(measurements: Measurements): MeasurementRule[] {
  return Object.entries(measurements).map(([name, allowed]) => ({
    name,
    path: (reportFields.has(name) ? `tdx.quote.body.${name}` : name).split('.'),
    allowed: new Set<JsonValue>(allowed),
  }))
}

/** All values at a path, one for each item of the arrays on the way; undefined stands for what is missing. */
function valuesAt(tree: JsonValue | undefined, path: readonly string[]): (JsonValue | undefined)[] {
  if (Array.isArray(tree)) return tree.flatMap((item) => valuesAt(item, path))
  const [step, ...rest] = path
  if (step === undefined) return [tree]
  return isJsonObject(tree) && Object.hasOwn(tree, step) ? valuesAt(tree[step], rest) : [undefined]
}

/** The measured values that break a rule; one `undefined` if nothing was measured. Empty: the rule holds. */
export function breaches({ path, allowed }: MeasurementRule, claims: JsonObject): (JsonValue | undefined)[] {
  const values = valuesAt(claims, path)
  if (values.length === 0) return [undefined]
  return values.filter((value) => value === undefined || !allowed.has(value))
}
