import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { verifyRawEcdsa } from '../../base/pki/signature.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import { intelCommonNames } from '../../endorsements/tdx/pck-certificate.ts'
import { parseQeIdentity, type QeIdentity } from '../../endorsements/tdx/qe-identity.ts'
import { longestSignedDocument } from '../../endorsements/tdx/signed-document.ts'
import { parseTcbInfo, type TcbInfo } from '../../endorsements/tdx/tcb-info.ts'
import {
  anchorOfRoot,
  authorityProblem,
  firstProblem,
  leafProblem,
  linkProblem,
  nameProblem,
  profileProblem,
  rootProblem,
  validityProblem,
} from './chain-rules.ts'
import type { ChainWork } from './chain-work.ts'
import type { QeIdentityCheckId, TcbInfoCheckId } from './collateral-checks.ts'
import type { ChainContext, Recorder } from './pck-chain.ts'

/** A certificate directly under a root: the TCB signer, or a PCK CA. */
export interface IssuerChain {
  readonly issuer: Certificate
  readonly root: Certificate
  readonly anchor: TrustAnchor
}

/** A document whose text a TCB signer signed; what follows from bytes and anchors alone. */
export interface AuthenticDocument<Document> {
  readonly document: Document
  readonly signer: Certificate
  readonly root: Certificate
}

/** A document as it is received. */
export interface SignedText {
  /** The exact text of the inner object (TDX-202). */
  readonly text: string
  /** 128 lower-case hexadecimal digits: raw r and s. */
  readonly signature: string
  /** PEM: TCB signer, root. */
  readonly issuerChain: string
}

/** The checks that `authenticateTcbInfo` and `authenticateQeIdentity` record, in order. */
export const tcbInfoDocumentChecks = [
  'tdx.tcbInfo.chain',
  'tdx.tcbInfo.signature',
  'tdx.tcbInfo.wellFormed',
] as const satisfies readonly TcbInfoCheckId[]
export const qeIdentityDocumentChecks = [
  'tdx.qeIdentity.chain',
  'tdx.qeIdentity.signature',
  'tdx.qeIdentity.wellFormed',
] as const satisfies readonly QeIdentityCheckId[]

/**
 * Authenticates TCB info (TDX-160 to TDX-162). `context.anchors` are those of the PCK chain that it is for: collateral
 * under one root says nothing of platforms under another. Never throws for bad input.
 */
export function authenticateTcbInfo(
  checklist: Recorder<(typeof tcbInfoDocumentChecks)[number]>,
  signed: SignedText,
  context: ChainContext,
): AuthenticDocument<TcbInfo> | null {
  return authenticateDocument(checklist, { signed, ids: tcbInfoDocumentChecks, parse: parseTcbInfo }, context)
}

/** As `authenticateTcbInfo`, for a QE identity (TDX-150 to TDX-152). */
export function authenticateQeIdentity(
  checklist: Recorder<(typeof qeIdentityDocumentChecks)[number]>,
  signed: SignedText,
  context: ChainContext,
): AuthenticDocument<QeIdentity> | null {
  return authenticateDocument(checklist, { signed, ids: qeIdentityDocumentChecks, parse: parseQeIdentity }, context)
}

interface DocumentCase<Id extends string, Document> {
  readonly signed: SignedText
  /** Of chain, signature and form. */
  readonly ids: readonly [Id, Id, Id]
  readonly parse: (text: string) => Document
}

/** The text is parsed only if the signature over its bytes holds: nobody else's JSON is worth the work. */
function authenticateDocument<Id extends string, Document>(
  checklist: Recorder<Id>,
  { signed, ids: [chainId, signatureId, formId], parse }: DocumentCase<Id, Document>,
  context: ChainContext,
): AuthenticDocument<Document> | null {
  const chain = readIssuerChain(signed.issuerChain, 'tcbSigner', context)
  if (typeof chain === 'string') {
    checklist.fail(chainId, chain)
    return null
  }
  checklist.pass(chainId)
  const { issuer: signer, root } = chain
  const isSigned = isSignedText(signed, signer, context.work)
  if (!checklist.judge(signatureId, isSigned, () => 'the signature is not by the signer over these bytes')) return null
  try {
    const document = parse(signed.text)
    checklist.pass(formId)
    return { document, signer, root }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    checklist.fail(formId, error.message)
    return null
  }
}

const loneSurrogate = /\p{Surrogate}/u

/** TDX-151, TDX-161: over the UTF-8 bytes of the text as received. A text that is not Unicode has no such bytes. */
function isSignedText({ text, signature }: SignedText, signer: Certificate, work: ChainWork): boolean {
  const raw = text.length > longestSignedDocument ? null : readSignature(signature)
  if (raw === null || loneSurrogate.test(text)) return false
  return verifyRawEcdsa(work.key(signer), Buffer.from(text, 'utf8'), raw)
}

function readSignature(hex: string): Uint8Array | null {
  try {
    return hex.length === 128 ? parseText(hex, 'hex', 'signature') : null
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** The TCB signer may sign documents only; a PCK CA issues PCK certificates and their revocation list. */
export type IssuerRole = 'tcbSigner' | 'pckCa'

const roles = {
  tcbSigner: { names: [intelCommonNames.tcbSigner], problemOf: leafProblem },
  pckCa: {
    names: [intelCommonNames.platform, intelCommonNames.processor],
    problemOf: (ca: Certificate) => authorityProblem(ca, 0),
  },
} as const

/**
 * Authenticates an issuer chain: exactly two certificates, the issuer and then a root that is an anchor (TDX-150,
 * TDX-160), by the grammar and the profile of PCK chains. Whether it is current is judged apart. A text says why not.
 */
export function readIssuerChain(pem: string, role: IssuerRole, context: ChainContext): IssuerChain | string {
  const { work } = context
  const reading = work.readPem(pem)
  if (reading.blocks === null) return reading.problem
  if (reading.blocks.length !== 2) return `has ${reading.blocks.length} certificates, must have 2`
  const chain = work.parse(reading.blocks)
  const [issuer, root] = chain.certificates ?? []
  if (!issuer || !root) return chain.problem ?? ''
  const anchor = anchorOfRoot(root, context.anchors)
  if (!anchor) return `no trust anchor is the root ${root.fingerprint}`
  return issuerProblem({ issuer, root, anchor }, role, work) ?? { issuer, root, anchor }
}

function issuerProblem({ issuer, root }: IssuerChain, role: IssuerRole, work: ChainWork): string | null {
  const { names, problemOf } = roles[role]
  return (
    firstProblem([issuer, root], (certificate) => profileProblem(certificate, work)) ??
    nameProblem(issuer, names) ??
    nameProblem(root, [intelCommonNames.root]) ??
    problemOf(issuer) ??
    authorityProblem(root, role === 'pckCa' ? 1 : 0) ??
    rootProblem(root, work, true) ??
    linkProblem(issuer, root, work)
  )
}

export type ChainValidityCheckId =
  | 'tdx.tcbInfo.chainValidity'
  | 'tdx.qeIdentity.chainValidity'
  | 'tdx.pckCrl.chainValidity'

/** TDX-118 for an issuer chain, at `now` (milliseconds since the epoch). */
export function judgeChainValidity<Id extends ChainValidityCheckId>(
  checklist: Recorder<Id>,
  id: Id,
  certificates: readonly Certificate[],
  now: number,
): boolean {
  const problem = validityProblem(certificates, now)
  return checklist.judge(id, problem === null, () => problem ?? '')
}
