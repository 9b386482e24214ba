import { hash } from 'node:crypto'
import type { Certificate } from '../../base/pki/certificate.ts'
import type { RevocationList } from '../../base/pki/revocation-list.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import type { TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import type { CollateralFacts } from './quote-appraisal.ts'

/** Everything authentic that a verdict rests on. */
export interface UsedCollateral {
  readonly rootCrl: RevocationList
  readonly pckCrl: RevocationList
  readonly tcbInfo: TcbInfo
  readonly qeIdentity: QeIdentity
  /** Of the PCK chain, of the chain that came with the PCK list if there was one, and of both signers; roots included. */
  readonly certificates: readonly Certificate[]
  readonly root: Certificate
  readonly source: Collateral
  readonly expired: boolean
}

/** The point of an uncompressed P-256 key at the end of its 91 bytes of SubjectPublicKeyInfo. */
const pointSize = 65

const sha256 = (bytes: Uint8Array | string) => hash('sha256', bytes, 'hex')

/** TDX-178, TDX-180, TOK-24. */
export function collateralFactsOf(used: UsedCollateral): CollateralFacts {
  const { rootCrl, pckCrl, tcbInfo, qeIdentity, certificates, root, source, expired } = used
  const lists = [rootCrl, pckCrl]
  const documents = [tcbInfo, qeIdentity]
  const issued = [
    ...lists.map(({ thisUpdate }) => thisUpdate),
    ...documents.map(({ issueDate }) => issueDate),
    ...certificates.map(({ notBefore }) => notBefore),
  ]
  const ends = [
    ...[...lists, ...documents].map(({ nextUpdate }) => nextUpdate),
    ...certificates.map(({ notAfter }) => notAfter),
  ]
  return {
    earliestIssueDate: Math.min(...issued),
    latestIssueDate: Math.max(...issued),
    earliestExpirationDate: Math.min(...ends),
    expired,
    rootCaCrlNumber: rootCrl.number ?? 0n,
    pckCrlNumber: pckCrl.number ?? 0n,
    rootKeyId: hash('sha384', root.publicKey.subarray(-pointSize), 'hex'),
    tcbInfoEvaluationNumber: tcbInfo.tcbEvaluationDataNumber,
    qeIdentityEvaluationNumber: qeIdentity.tcbEvaluationDataNumber,
    sha256: {
      tcbInfo: sha256(source.tcbInfo),
      qeIdentity: sha256(source.qeIdentity),
      rootCaCrl: sha256(source.rootCaCrl),
      pckCrl: sha256(source.pckCrl),
    },
  }
}
