import { samePublicBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { describeName } from '../../base/pki/distinguished-name.ts'
import { cutCrl, parseCrl, type RevocationList } from '../../base/pki/revocation-list.ts'
import { serialText } from '../../base/pki/serial-number.ts'
import { type SignatureAlgorithm, verifyWithReading } from '../../base/pki/signature.ts'
import type { Authority } from '../../base/pki/trust-anchor.ts'
import { longestCollateralCrl } from '../../endorsements/tdx/collateral.ts'
import type { ChainWork } from './chain-work.ts'
import type { RevocationCheckId } from './collateral-checks.ts'
import type { Recorder } from './pck-chain.ts'

/** An authentic list; its number is there (TDX-119). */
export interface AuthenticList extends RevocationList {
  readonly number: bigint
}

/** Who may make a list: a certificate or an anchor. */
export type ListIssuer = Pick<Authority, 'subject' | 'publicKey' | 'subjectKeyId' | 'keyUsage'>

/**
 * Authenticates one revocation list under the key of exactly `issuer`: the root for the root's list, the intermediate of
 * the quote's own chain for the list of PCK certificates (TDX-119, TDX-120). A list that is not authentic says nothing:
 * an unsigned one that names a certificate would let anybody deny service, and who could strip an entry would un-revoke
 * a leaked key. Never throws for bad input.
 */
export function authenticateList<Id extends 'tdx.rootCrl.authentic' | 'tdx.pckCrl.authentic'>(
  checklist: Recorder<Id>,
  id: Id,
  { der, issuer, work }: { readonly der: Uint8Array; readonly issuer: ListIssuer; readonly work: ChainWork },
): AuthenticList | null {
  const list = readList(der, issuer, work)
  if (typeof list === 'string') {
    checklist.fail(id, list)
    return null
  }
  checklist.pass(id)
  return list
}

/** The authentic list, or a sentence on what is wrong. */
export function readList(der: Uint8Array, issuer: ListIssuer, work: ChainWork): AuthenticList | string {
  const list = worthReading(der, issuer, work)
  if (typeof list === 'string') return list
  const { number } = list
  if (number === null) return 'the list has no CRL number'
  return formProblem(list) ?? issuerProblem(list, issuer, work) ?? { ...list, number }
}

/** Bytes; those of the maker have up to 4 KiB. */
const shortList = 32_768
const profile: SignatureAlgorithm = { kind: 'ecdsa', hash: 'sha256' }
const notByIssuer = 'the signature of the list is not by the key of its issuer'

/** A long list is read only if the signature holds: ten thousand entries of anybody are not worth the work (TDX-271). */
function worthReading(der: Uint8Array, issuer: ListIssuer, work: ChainWork): RevocationList | string {
  try {
    if (der.length > shortList && der.length <= longestCollateralCrl) {
      const { tbs, signature } = cutCrl(der)
      if (verifyWithReading(profile, work.key(issuer), tbs, signature) !== 'valid') return notByIssuer
    }
    return parseCrl(der, 'crl', { maximum: longestCollateralCrl })
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

function formProblem({ authorityKeyId, extensions, unsupported, signatureAlgorithm }: RevocationList): string | null {
  if (!authorityKeyId?.keyId) return 'the list has no authority key identifier'
  if (unsupported !== null) return `the list ${unsupported}`
  const critical = [...extensions].find(([, extension]) => extension.critical)
  if (critical) return `the list has the critical extension ${critical[0]}`
  const isProfile = signatureAlgorithm.kind === 'ecdsa' && signatureAlgorithm.hash === 'sha256'
  return isProfile ? null : 'the list is not signed by ECDSA with SHA-256'
}

function issuerProblem(list: RevocationList, issuer: ListIssuer, work: ChainWork): string | null {
  if (!samePublicBytes(list.issuer.der, issuer.subject.der)) return `the list is that of ${describeName(list.issuer)}`
  if (!issuer.keyUsage?.has('cRLSign')) return `${describeName(issuer.subject)} may not sign revocation lists`
  const named = list.authorityKeyId?.keyId
  if (named && issuer.subjectKeyId && !samePublicBytes(named, issuer.subjectKeyId)) return 'the list names another key'
  const verdict = verifyWithReading(list.signatureAlgorithm, work.key(issuer), list.tbs, list.signature)
  return verdict === 'valid' ? null : notByIssuer
}

/** What a list can revoke, with the words that a finding uses for it. */
export interface Revocable {
  readonly who: string
  readonly serial: bigint
}

/** Whether any of `certificates` is on the authentic list of their issuer; serial numbers are compared as numbers (TDX-120). */
export function judgeRevocation<
  Id extends RevocationCheckId & ('tdx.pck.caRevocation' | 'tdx.signers.revocation' | 'tdx.pck.revocation'),
>(checklist: Recorder<Id>, id: Id, list: RevocationList, certificates: readonly Revocable[]): boolean {
  const revoked = certificates.find(({ serial }) => list.revokedSerials.has(serialText(serial)))
  return checklist.judge(id, revoked === undefined, () => `${revoked?.who} is on the list of its issuer`)
}
