import type { SgxExtension } from '../../endorsements/tdx/sgx-extension.ts'
import type { CollateralFacts, PckFacts, TcbVerdict } from './quote-appraisal.ts'

type Claims = Record<string, unknown>

const sgxTypes = ['Standard', 'Scalable', 'Scalable with Integrity'] as const

/** `YYYY-MM-DDThh:mm:ssZ`. */
const dateText = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`

/** List numbers have up to 20 octets; one that no double can hold is left out, for a rounded one would be another. */
function numberClaim(name: string, value: bigint): Claims {
  const number = Number(value)
  return Number.isSafeInteger(number) ? { [name]: number } : {}
}

/** The identifiers of the machine, PPID and platform instance, are never among them (TDX-253). */
function platformClaims({ sgxType, configuration }: SgxExtension): Claims {
  if (sgxType === 0 || configuration === null) return { sgx_type: sgxTypes[sgxType] }
  return {
    sgx_type: sgxTypes[sgxType],
    is_dynamic_platform: configuration.dynamicPlatform,
    is_cached_keys: configuration.cachedKeys,
    is_smt_enabled: configuration.smtEnabled,
  }
}

/** What the verifier found out about the platform of an affirmed quote (TDX-252). */
export function verificationClaims(tcb: TcbVerdict, collateral: CollateralFacts, { sgx }: PckFacts): Claims {
  return {
    tcb_status: tcb.status,
    tcb_date: dateText(tcb.tcbDate),
    advisory_ids: tcb.advisoryIds,
    tcb_status_current: tcb.current,
    tcb_date_current: dateText(tcb.tcbDateCurrent),
    advisory_ids_current: tcb.advisoryIdsCurrent,
    collateral_expiration_status: collateral.expired ? '1' : '0',
    earliest_issue_date: dateText(collateral.earliestIssueDate),
    latest_issue_date: dateText(collateral.latestIssueDate),
    earliest_expiration_date: dateText(collateral.earliestExpirationDate),
    tcb_eval_num: tcb.evaluationNumber,
    ...numberClaim('pck_crl_num', collateral.pckCrlNumber),
    ...numberClaim('root_ca_crl_num', collateral.rootCaCrlNumber),
    root_key_id: collateral.rootKeyId,
    ...platformClaims(sgx),
  }
}

/** The claim `tcb` (TOK-24): `now` in milliseconds since the epoch, `evaluatedAt` in whole seconds. */
export function tcbClaim(tcb: TcbVerdict, { sha256 }: CollateralFacts, now: number): Claims {
  return {
    status: tcb.status,
    date: dateText(tcb.tcbDate),
    advisories: tcb.advisoryIds,
    evaluationDataNumber: tcb.evaluationNumber,
    collateral: sha256,
    evaluatedAt: Math.floor(now / 1000),
  }
}
