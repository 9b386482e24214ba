import { endorserErrors } from '../errors.ts'

export type Tee = 'sgx' | 'tdx'

/** Which CA of Intel issued the PCK certificate. */
export type PckCa = 'platform' | 'processor'

/** Which TCB recovery counts (TDX-205): Intel's two schedules, or the set of one evaluation number. */
export type UpdateSet = 'standard' | 'early' | { readonly evaluationNumber: number }

/**
 * Whose collateral is wanted. FMSPC and CA come from the PCK certificate in the evidence and nothing else does
 * (TDX-207): no address, and no name of a source.
 */
export interface CollateralQuery {
  readonly tee: Tee
  /** 12 hexadecimal digits of any case. */
  readonly fmspc: string
  readonly ca: PckCa
  readonly update: UpdateSet
}

const largestNumber = 65_535

function isUpdateSet(update: UpdateSet): boolean {
  if (typeof update === 'string') return update === 'standard' || update === 'early'
  const { evaluationNumber } = update
  return Number.isInteger(evaluationNumber) && evaluationNumber >= 0 && evaluationNumber <= largestNumber
}

/** The query with its FMSPC in lower case; `collateral_query_invalid` for anything that must not enter a URL (TDX-207). */
export function requireQuery({ tee, fmspc, ca, update }: CollateralQuery): CollateralQuery {
  const refuse = (says: string) => endorserErrors.error('collateral_query_invalid', says)
  if (tee !== 'sgx' && tee !== 'tdx') throw refuse('the TEE is neither sgx nor tdx')
  if (!/^[0-9a-fA-F]{12}$/.test(fmspc)) throw refuse('the FMSPC is not 12 hexadecimal digits')
  if (ca !== 'platform' && ca !== 'processor') throw refuse('the CA is neither platform nor processor')
  if (!isUpdateSet(update)) throw refuse('the update set is neither standard, early nor an evaluation number')
  return { tee, fmspc: fmspc.toLowerCase(), ca, update }
}
