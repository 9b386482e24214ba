import type { Outcome } from './appraisal.ts'

/** What a request asks to have appraised (TOK-22): a TD, GPUs, a TD with GPUs, a TPM. */
export const tees = ['tdx', 'nvgpu', 'acstdxnvgpu', 'tpm'] as const
export type Tee = (typeof tees)[number]

/** Whether two kinds of evidence were shown to come from one guest. `edge` joins their names: `tdx+tpm`. */
export interface BindingEdge {
  readonly edge: string
  readonly outcome: Outcome
}

const leadingKind: Readonly<Record<Tee, string>> = { tdx: 'tdx', acstdxnvgpu: 'tdx', nvgpu: 'nvgpu', tpm: 'tpm' }

/**
 * The authentication context class (TOK-18): the kinds whose binding to the leading kind was verified, never the kinds
 * merely present; `simulated` if any part is.
 */
export function composeAcr(tee: Tee, binding: readonly BindingEdge[], simulated: boolean): string {
  if (simulated) return 'urn:attestd:acr:simulated'
  const bound = (kind: string) => binding.some(({ edge, outcome }) => edge === `tdx+${kind}` && outcome === 'passed')
  const lead = leadingKind[tee]
  const partners = lead === 'tdx' ? ['tpm', 'nvgpu'].filter(bound) : []
  return `urn:attestd:acr:${[lead, ...partners].join('+')}`
}
