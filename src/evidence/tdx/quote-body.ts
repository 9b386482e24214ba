import type { Layout } from '../../base/layout.ts'
import { type SgxReport, sgxReportLayout, sgxReportSize } from './sgx-report.ts'
import {
  type TdReport,
  type TdReport15,
  type TdReportExtended,
  tdReport15Layout,
  tdReportExtendedLayout,
  tdReportLayout,
} from './td-report.ts'

export type QuoteBody =
  | { readonly kind: 'sgx'; readonly report: SgxReport }
  | { readonly kind: 'td-1.0'; readonly report: TdReport }
  | { readonly kind: 'td-1.5'; readonly report: TdReport15 }
  | { readonly kind: 'td-1.5-extended'; readonly report: TdReportExtended }

export type BodyKind = QuoteBody['kind']
export type BodyType = 1 | 2 | 3 | 4

function bodyLayout<K extends BodyKind, R>(kind: K, report: Layout<R>): Layout<{ kind: K; report: R }> {
  return {
    read: (reader) => ({ kind, report: report.read(reader) }),
    write: (writer, body) => report.write(writer, body.report),
  }
}

interface BodyForm {
  readonly type: BodyType
  readonly size: number
  readonly layout: Layout<QuoteBody>
}

/** Type number of version 5, size in bytes and layout of each body (TDX-105). */
export const bodyForms: Readonly<Record<BodyKind, BodyForm>> = {
  sgx: { type: 1, size: sgxReportSize, layout: bodyLayout('sgx', sgxReportLayout) },
  'td-1.0': { type: 2, size: 584, layout: bodyLayout('td-1.0', tdReportLayout) },
  'td-1.5': { type: 3, size: 648, layout: bodyLayout('td-1.5', tdReport15Layout) },
  'td-1.5-extended': { type: 4, size: 885, layout: bodyLayout('td-1.5-extended', tdReportExtendedLayout) },
}

/** The kind of body that has a type number of version 5. */
export const bodyKinds: Readonly<Record<BodyType, BodyKind>> = {
  1: 'sgx',
  2: 'td-1.0',
  3: 'td-1.5',
  4: 'td-1.5-extended',
}
