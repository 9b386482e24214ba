import { samePublicBytes } from '../../base/bytes.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { serialText } from '../../base/pki/serial-number.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import type { TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import {
  type AuthenticDocument,
  authenticateQeIdentity,
  authenticateTcbInfo,
  type IssuerChain,
  judgeChainValidity,
  qeIdentityDocumentChecks,
  readIssuerChain,
  type SignedText,
  tcbInfoDocumentChecks,
} from './collateral-chains.ts'
import { anchorsKey, contentKey } from './content-key.ts'
import type { ChainContext, PckChain } from './pck-chain.ts'
import type { QuoteChecklist } from './quote-form.ts'
import type { QuoteMemo, RecentMap } from './quote-memo.ts'
import { type AuthenticList, authenticateList, judgeRevocation } from './revocation.ts'
import { judgePeriod, type Moment } from './validity.ts'

/** What an appraisal judges collateral with. */
export interface CollateralContext extends ChainContext {
  readonly memo: QuoteMemo | undefined
  readonly moment: Moment
}

/** Authentic collateral; its periods, and what it says of this quote, are recorded apart. */
export interface JudgedCollateral {
  readonly rootCrl: AuthenticList | null
  readonly pckCrl: AuthenticList | null
  /** That came with the PCK list; null if there was none or it is not authentic. */
  readonly pckCrlChain: IssuerChain | null
  readonly tcbInfo: AuthenticDocument<TcbInfo> | null
  readonly qeIdentity: AuthenticDocument<QeIdentity> | null
}

/** Takes what the memo knows of these bytes, and keeps what is found authentic (TDX-216). */
function recall<Value>(
  known: RecentMap<Value> | undefined,
  key: () => string | null,
  { onKnown, find }: { readonly onKnown: () => void; readonly find: () => Value | null },
): Value | null {
  const name = known === undefined ? null : key()
  if (known === undefined || name === null) return find()
  const value = known.get(name)
  if (value !== undefined) {
    onKnown()
    return value
  }
  const found = find()
  if (found !== null) known.set(name, found)
  return found
}

function documentKey({ text, signature, issuerChain }: SignedText, { anchors }: ChainContext): string | null {
  return contentKey(anchorsKey(anchors), text, signature, issuerChain)
}

function judgeTcbInfo(
  checklist: QuoteChecklist,
  { tcbInfo, tcbInfoSignature, tcbInfoIssuerChain }: Collateral,
  context: CollateralContext,
) {
  const signed = { text: tcbInfo, signature: tcbInfoSignature, issuerChain: tcbInfoIssuerChain }
  const authentic = recall(context.memo?.tcbInfos, () => documentKey(signed, context), {
    onKnown: () => {
      for (const id of tcbInfoDocumentChecks) checklist.pass(id)
    },
    find: () => authenticateTcbInfo(checklist, signed, context),
  })
  if (authentic === null) return null
  const { document, signer, root } = authentic
  judgeChainValidity(checklist, 'tdx.tcbInfo.chainValidity', [signer, root], context.moment.now)
  judgePeriod(
    checklist,
    'tdx.tcbInfo.validity',
    { start: document.issueDate, end: document.nextUpdate },
    context.moment,
  )
  return authentic
}

function judgeQeIdentity(
  checklist: QuoteChecklist,
  { qeIdentity, qeIdentitySignature, qeIdentityIssuerChain }: Collateral,
  context: CollateralContext,
) {
  const signed = { text: qeIdentity, signature: qeIdentitySignature, issuerChain: qeIdentityIssuerChain }
  const authentic = recall(context.memo?.qeIdentities, () => documentKey(signed, context), {
    onKnown: () => {
      for (const id of qeIdentityDocumentChecks) checklist.pass(id)
    },
    find: () => authenticateQeIdentity(checklist, signed, context),
  })
  if (authentic === null) return null
  const { document, signer, root } = authentic
  judgeChainValidity(checklist, 'tdx.qeIdentity.chainValidity', [signer, root], context.moment.now)
  const period = { start: document.issueDate, end: document.nextUpdate }
  judgePeriod(checklist, 'tdx.qeIdentity.validity', period, context.moment)
  return authentic
}

const listIds = {
  root: { authentic: 'tdx.rootCrl.authentic', validity: 'tdx.rootCrl.validity' },
  pck: { authentic: 'tdx.pckCrl.authentic', validity: 'tdx.pckCrl.validity' },
} as const

/** A list is judged under one certificate, so that the key names that one as well. */
function judgeList(
  checklist: QuoteChecklist,
  kind: keyof typeof listIds,
  { der, issuer }: { readonly der: Uint8Array; readonly issuer: Certificate },
  { memo, moment, work }: CollateralContext,
): AuthenticList | null {
  const ids = listIds[kind]
  const list = recall(memo?.lists, () => contentKey(der, issuer.der), {
    onKnown: () => checklist.pass(ids.authentic),
    find: () => authenticateList(checklist, ids.authentic, { der, issuer, work }),
  })
  if (list !== null) {
    judgePeriod(checklist, ids.validity, { start: list.thisUpdate, end: list.nextUpdate }, moment)
  }
  return list
}

/** The chain beside the PCK list proves nothing that the quote's own chain does not; its dates are claims (TDX-180). */
function judgeListChain(
  checklist: QuoteChecklist,
  { pckCrlIssuerChain }: Collateral,
  { ca }: PckChain,
  context: CollateralContext,
): IssuerChain | null {
  if (pckCrlIssuerChain === null) {
    checklist.pass('tdx.pckCrl.chain', 'no chain was given')
    checklist.pass('tdx.pckCrl.chainValidity', 'no chain was given')
    return null
  }
  const key = () => contentKey(anchorsKey(context.anchors), pckCrlIssuerChain)
  const chain = recall(context.memo?.issuerChains, key, {
    onKnown: () => undefined,
    find: () => {
      const reading = readIssuerChain(pckCrlIssuerChain, 'pckCa', context)
      if (typeof reading !== 'string') return reading
      checklist.fail('tdx.pckCrl.chain', reading)
      return null
    },
  })
  if (chain === null) return null
  const isSame = samePublicBytes(chain.issuer.publicKey, ca.publicKey)
  checklist.judge('tdx.pckCrl.chain', isSame, () => 'it is of another authority than that of the PCK chain')
  judgeChainValidity(checklist, 'tdx.pckCrl.chainValidity', [chain.issuer, chain.root], context.moment.now)
  return isSame ? chain : null
}

function judgeSigners(
  checklist: QuoteChecklist,
  rootCrl: AuthenticList,
  documents: readonly (AuthenticDocument<unknown> | null)[],
) {
  const signers = documents.flatMap((document) => document?.signer ?? [])
  const revocable = signers.map(({ serial }) => ({ who: 'a TCB signer', serial }))
  const complete = signers.length === documents.length
  const isRevoked = revocable.some(({ serial }) => rootCrl.revokedSerials.has(serialText(serial)))
  // One signer that is not known leaves the check open, and does not hide that the other one is revoked.
  if (complete || isRevoked) judgeRevocation(checklist, 'tdx.signers.revocation', rootCrl, revocable)
}

/** TDX-119 and TDX-120, under the chain of the quote. */
function judgeLists(checklist: QuoteChecklist, collateral: Collateral, chain: PckChain, context: CollateralContext) {
  const { leaf, ca, root } = chain
  const rootCrl = judgeList(checklist, 'root', { der: collateral.rootCaCrl, issuer: root }, context)
  const pckCrl = judgeList(checklist, 'pck', { der: collateral.pckCrl, issuer: ca }, context)
  const pckCrlChain = judgeListChain(checklist, collateral, chain, context)
  if (rootCrl !== null) {
    judgeRevocation(checklist, 'tdx.pck.caRevocation', rootCrl, [{ who: 'the PCK authority', serial: ca.serial }])
  }
  if (pckCrl !== null) {
    const { serial } = leaf.certificate
    judgeRevocation(checklist, 'tdx.pck.revocation', pckCrl, [{ who: 'the PCK certificate', serial }])
  }
  return { rootCrl, pckCrl, pckCrlChain }
}

/**
 * Judges the collateral of a quote: revocation lists under its PCK chain, TCB info and QE identity with their signers.
 * Without an authentic PCK chain nothing is said of the lists.
 */
export function judgeCollateral(
  checklist: QuoteChecklist,
  collateral: Collateral,
  chain: PckChain | null,
  context: CollateralContext,
): JudgedCollateral {
  // Collateral under one root says nothing of platforms under another.
  const ofChain = chain === null ? context : { ...context, anchors: [chain.anchor] }
  const nothing = { rootCrl: null, pckCrl: null, pckCrlChain: null }
  const lists = chain === null ? nothing : judgeLists(checklist, collateral, chain, ofChain)
  const tcbInfo = judgeTcbInfo(checklist, collateral, ofChain)
  const qeIdentity = judgeQeIdentity(checklist, collateral, ofChain)
  if (lists.rootCrl !== null) judgeSigners(checklist, lists.rootCrl, [tcbInfo, qeIdentity])
  return { ...lists, tcbInfo, qeIdentity }
}
