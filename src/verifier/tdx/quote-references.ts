import { equalBytes, isFilledWith, toHex } from '../../base/bytes.ts'
import type { QuoteBody } from '../../evidence/tdx/quote-body.ts'
import { type ReferenceField, sgxReferenceFields, type TdxReferences, tdReferenceFields } from './inputs.ts'
import type { QuoteChecklist } from './quote-form.ts'

const allFields: readonly ReferenceField[] = [...new Set([...tdReferenceFields, ...sgxReferenceFields])]

function registersOf(body: QuoteBody): Readonly<Record<string, unknown>> {
  if (body.kind === 'sgx') return {}
  const [rtmr0, rtmr1, rtmr2, rtmr3] = body.report.rtmr
  return { rtmr0, rtmr1, rtmr2, rtmr3 }
}

/** The value of a field in this body, or null where the body has no such field. */
export function referenceFieldOf(body: QuoteBody, field: ReferenceField): Uint8Array | null {
  const fields: Readonly<Record<string, unknown>> = { ...body.report, ...registersOf(body) }
  const value = Object.hasOwn(fields, field) ? fields[field] : null
  return value instanceof Uint8Array ? value : null
}

/** TDX-043: init data are compared as if zeros followed them; every other value has the length of its field. */
function matches(field: ReferenceField, value: Uint8Array, reference: Uint8Array): boolean {
  if (field !== 'mrConfigId' || reference.length > value.length) return equalBytes(value, reference)
  const rest = value.subarray(reference.length)
  return reference.length > 0 && equalBytes(value.subarray(0, reference.length), reference) && isFilledWith(rest, 0)
}

function problemOf(body: QuoteBody, field: ReferenceField, references: readonly Uint8Array[]): string | null {
  const value = referenceFieldOf(body, field)
  if (value === null) return `the quote has no ${field}`
  if (references.some((reference) => matches(field, value, reference))) return null
  return `${field} is ${toHex(value)}, none of ${references.length} accepted values`
}

/** Compares the measurements with the accepted values, field by field; the detail names every field that differs. */
export function judgeReferences(checklist: QuoteChecklist, body: QuoteBody, references: TdxReferences = {}): void {
  const id = 'tdx.references'
  const compared = allFields.filter((field) => references[field] !== undefined)
  if (compared.length === 0) {
    checklist.waive(id, 'inputs.references names no field')
    return
  }
  const problems = compared.flatMap((field) => problemOf(body, field, references[field] ?? []) ?? [])
  checklist.judge(id, problems.length === 0, () => problems.join('; '), compared.join(', '))
}
