import type { Checks } from '../../results/appraisal.ts'
import {
  type QeIdentityCheckId,
  qeIdentityChecks,
  type RevocationCheckId,
  revocationChecks,
  type TcbInfoCheckId,
  tcbInfoChecks,
} from './collateral-checks.ts'
import { type EventLogCheckId, eventLogChecks, type QuotePolicyCheckId, quotePolicyChecks } from './policy-checks.ts'
import {
  type PckCheckId,
  pckChecks,
  type QuoteFormCheckId,
  type QuoteSignatureCheckId,
  quoteFormChecks,
  quoteSignatureChecks,
} from './quote-checks.ts'

/** What sections 2 and 3 of tdx.md demand of every quote, whatever the policy says. */
export type QuoteCoreCheckId =
  | QuoteFormCheckId
  | PckCheckId
  | QuoteSignatureCheckId
  | Exclude<RevocationCheckId, 'tdx.collateral.present'>
  | QeIdentityCheckId
  | TcbInfoCheckId

export type QuoteCheckId = QuoteCoreCheckId | 'tdx.collateral.present' | QuotePolicyCheckId
export type TdxCheckId = QuoteCheckId | EventLogCheckId

/** The checks of `appraiseQuote`: the form first, then the chain and the signatures, the collateral, the policy. */
export const quoteChecks: Checks<QuoteCheckId> = {
  ...quoteFormChecks,
  ...pckChecks,
  ...quoteSignatureChecks,
  ...revocationChecks,
  ...qeIdentityChecks,
  ...tcbInfoChecks,
  ...quotePolicyChecks,
}

/** The checks of `appraiseTdx`: those of its quote, then those of its event log. */
export const tdxChecks: Checks<TdxCheckId> = { ...quoteChecks, ...eventLogChecks }

/** Why a quote is not verified (table of tdx.md section 3). */
export type VerdictClass =
  | 'verified'
  | 'malformed'
  | 'untrusted_chain'
  | 'revoked'
  | 'collateral_invalid'
  | 'not_current'
  | 'collateral_mismatch'
  | 'signature_invalid'
  | 'qe_identity_mismatch'
  | 'tdx_module_mismatch'
  | 'tcb_not_supported'

/** The class of a quote for which the check does not hold; the first failed check in this order decides. */
export const classOfCheck: Readonly<Record<QuoteCoreCheckId, Exclude<VerdictClass, 'verified'>>> = {
  'tdx.quote.size': 'malformed',
  'tdx.quote.version': 'malformed',
  'tdx.quote.keyType': 'malformed',
  'tdx.quote.teeType': 'malformed',
  'tdx.quote.vendor': 'malformed',
  'tdx.quote.body': 'malformed',
  'tdx.quote.lengths': 'malformed',
  'tdx.quote.certification': 'malformed',
  'tdx.quote.padding': 'malformed',
  'tdx.pck.present': 'untrusted_chain',
  'tdx.pck.chainForm': 'untrusted_chain',
  'tdx.pck.certificates': 'untrusted_chain',
  'tdx.pck.anchor': 'untrusted_chain',
  'tdx.pck.signatures': 'untrusted_chain',
  'tdx.pck.names': 'untrusted_chain',
  'tdx.pck.roles': 'untrusted_chain',
  'tdx.pck.validity': 'not_current',
  'tdx.pck.extension': 'untrusted_chain',
  'tdx.qe.signature': 'signature_invalid',
  'tdx.qe.binding': 'signature_invalid',
  'tdx.qe.reportData': 'signature_invalid',
  'tdx.quote.key': 'signature_invalid',
  'tdx.quote.signature': 'signature_invalid',
  'tdx.rootCrl.authentic': 'collateral_invalid',
  'tdx.rootCrl.validity': 'not_current',
  'tdx.pck.caRevocation': 'revoked',
  'tdx.signers.revocation': 'revoked',
  'tdx.pckCrl.authentic': 'collateral_invalid',
  'tdx.pckCrl.validity': 'not_current',
  'tdx.pckCrl.chain': 'collateral_invalid',
  'tdx.pckCrl.chainValidity': 'not_current',
  'tdx.pck.revocation': 'revoked',
  'tdx.qeIdentity.chain': 'collateral_invalid',
  'tdx.qeIdentity.chainValidity': 'not_current',
  'tdx.qeIdentity.signature': 'collateral_invalid',
  'tdx.qeIdentity.wellFormed': 'collateral_invalid',
  'tdx.qeIdentity.validity': 'not_current',
  'tdx.qeIdentity.kind': 'collateral_mismatch',
  'tdx.qe.miscSelect': 'qe_identity_mismatch',
  'tdx.qe.attributes': 'qe_identity_mismatch',
  'tdx.qe.mrSigner': 'qe_identity_mismatch',
  'tdx.qe.product': 'qe_identity_mismatch',
  'tdx.qe.level': 'tcb_not_supported',
  'tdx.tcbInfo.chain': 'collateral_invalid',
  'tdx.tcbInfo.chainValidity': 'not_current',
  'tdx.tcbInfo.signature': 'collateral_invalid',
  'tdx.tcbInfo.wellFormed': 'collateral_invalid',
  'tdx.tcbInfo.validity': 'not_current',
  'tdx.tcbInfo.kind': 'collateral_mismatch',
  'tdx.tcbInfo.fmspc': 'collateral_mismatch',
  'tdx.tcbInfo.pceId': 'collateral_mismatch',
  'tdx.module.known': 'tdx_module_mismatch',
  'tdx.module.signer': 'tdx_module_mismatch',
  'tdx.module.attributes': 'tdx_module_mismatch',
  'tdx.tcb.level': 'tcb_not_supported',
  'tdx.module.level': 'tcb_not_supported',
  'tdx.tcb.current': 'tcb_not_supported',
}
