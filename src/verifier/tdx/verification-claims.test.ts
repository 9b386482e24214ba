import { describe, expect, it } from 'vitest'
import type { SgxExtension } from '../../endorsements/tdx/sgx-extension.ts'
import type { CollateralFacts, PckFacts, TcbVerdict } from './quote-appraisal.ts'
import { tcbClaim, verificationClaims } from './verification-claims.ts'

const tcb: TcbVerdict = {
  ...{ status: 'TDRelaunchAdvised', launch: 'OutOfDate', current: 'SWHardeningNeeded', platform: 'OutOfDate' },
  ...{ module: 'UpToDate', qe: 'UpToDate', evaluationNumber: 17, shortfall: [] },
  tcbDate: Date.UTC(2024, 2, 13),
  tcbDateCurrent: Date.UTC(2025, 4, 14, 1, 2, 3),
  advisoryIds: ['A', 'B'],
  advisoryIdsCurrent: ['C'],
}
const sha256 = { tcbInfo: '01', qeIdentity: '02', rootCaCrl: '03', pckCrl: '04' }
const collateral: CollateralFacts = {
  earliestIssueDate: Date.UTC(2018, 4, 21, 10, 41, 11),
  latestIssueDate: Date.UTC(2025, 5, 19, 10, 32, 27),
  earliestExpirationDate: Date.UTC(2025, 6, 19, 10, 0, 35),
  ...{ expired: false, rootCaCrlNumber: 1n, pckCrlNumber: 2n, rootKeyId: 'ab', sha256 },
  ...{ tcbInfoEvaluationNumber: 17, qeIdentityEvaluationNumber: 18 },
}
const sgx: SgxExtension = {
  ppid: new Uint8Array(16).fill(0xaa),
  ...{ components: Array(16).fill(0), pceSvn: 13, cpuSvn: new Uint8Array(16), pceId: '0000', fmspc: '00806f050000' },
  sgxType: 1,
  platformInstanceId: new Uint8Array(16).fill(0xbb),
  configuration: { dynamicPlatform: true, cachedKeys: false, smtEnabled: true },
}
const pckOf = (change: Partial<SgxExtension> = {}): PckFacts => ({
  ...{ sgx: { ...sgx, ...change }, ca: 'platform', anchor: 'x', serial: 1n, notBefore: 0, notAfter: 1 },
})
const claims = (facts: Partial<CollateralFacts> = {}, change: Partial<SgxExtension> = {}) =>
  verificationClaims(tcb, { ...collateral, ...facts }, pckOf(change))

describe('claims about a platform (TDX-252)', () => {
  it('are these, and the names of the machine are not among them (TDX-253)', () => {
    expect(claims()).toEqual({
      tcb_status: 'TDRelaunchAdvised',
      tcb_date: '2024-03-13T00:00:00Z',
      advisory_ids: ['A', 'B'],
      tcb_status_current: 'SWHardeningNeeded',
      tcb_date_current: '2025-05-14T01:02:03Z',
      advisory_ids_current: ['C'],
      collateral_expiration_status: '0',
      earliest_issue_date: '2018-05-21T10:41:11Z',
      latest_issue_date: '2025-06-19T10:32:27Z',
      earliest_expiration_date: '2025-07-19T10:00:35Z',
      tcb_eval_num: 17,
      pck_crl_num: 2,
      root_ca_crl_num: 1,
      root_key_id: 'ab',
      sgx_type: 'Scalable',
      is_dynamic_platform: true,
      is_cached_keys: false,
      is_smt_enabled: true,
    })
  })

  it('say that collateral was used after its end', () => {
    expect(claims({ expired: true })).toMatchObject({ collateral_expiration_status: '1' })
  })

  it('leave out the number of a list that no double holds', () => {
    const largest = BigInt(Number.MAX_SAFE_INTEGER)
    expect(claims({ pckCrlNumber: largest })).toMatchObject({ pck_crl_num: Number.MAX_SAFE_INTEGER })
    expect(claims({ pckCrlNumber: largest + 1n, rootCaCrlNumber: 1n << 159n })).not.toHaveProperty('pck_crl_num')
    expect(claims({ rootCaCrlNumber: 1n << 159n })).not.toHaveProperty('root_ca_crl_num')
  })

  it('name the type of the platform, and its settings only where it has some', () => {
    expect(claims({}, { sgxType: 2 })).toMatchObject({ sgx_type: 'Scalable with Integrity', is_smt_enabled: true })
    for (const change of [{ sgxType: 0 }, { configuration: null }] as const) {
      const of = claims({}, change)
      expect(Object.keys(of).filter((name) => name.startsWith('is_'))).toEqual([])
    }
    expect(claims({}, { sgxType: 0 })).toMatchObject({ sgx_type: 'Standard' })
  })
})

it('the claim about the TCB names status and collateral, and when they were judged (TOK-24)', () => {
  expect(tcbClaim(tcb, collateral, 1_750_000_000_999)).toEqual({
    status: 'TDRelaunchAdvised',
    date: '2024-03-13T00:00:00Z',
    advisories: ['A', 'B'],
    evaluationDataNumber: 17,
    collateral: sha256,
    evaluatedAt: 1_750_000_000,
  })
})
