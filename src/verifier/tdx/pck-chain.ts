import type { KeyObject } from 'node:crypto'
import { MalformedError } from '../../base/errors.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { commonNameOf } from '../../base/pki/distinguished-name.ts'
import type { TrustAnchor } from '../../base/pki/trust-anchor.ts'
import {
  intelCommonNames,
  type PckCaKind,
  type PckCertificate,
  pckCaKindOf,
  readPckCertificate,
} from '../../endorsements/tdx/pck-certificate.ts'
import type { Checklist } from '../../results/checklist.ts'
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
import type { PckCheckId } from './quote-checks.ts'

/** Where outcomes are recorded; a `Checklist` that declares these checks. */
export type Recorder<Id extends string> = Pick<Checklist<Id>, 'pass' | 'fail' | 'judge'>

/** The checks that `authenticatePckChain` records, in order. Those that need an earlier one which failed stay unreached. */
export const pckChainChecks = [
  'tdx.pck.chainForm',
  'tdx.pck.certificates',
  'tdx.pck.anchor',
  'tdx.pck.names',
  'tdx.pck.roles',
  'tdx.pck.signatures',
  'tdx.pck.extension',
] as const satisfies readonly PckCheckId[]
export type PckChainCheckId = (typeof pckChainChecks)[number]

/** An authentic chain: everything that follows from bytes and anchors alone. Whether it is current is judged apart. */
export interface PckChain {
  readonly leaf: PckCertificate
  /** The key of the leaf, which signs reports of the quoting enclave. */
  readonly key: KeyObject
  readonly ca: Certificate
  readonly caKind: PckCaKind
  readonly root: Certificate
  readonly anchor: TrustAnchor
}

/** Certificates of a chain, leaf, CA, root. */
interface Three {
  readonly leaf: Certificate
  readonly ca: Certificate
  readonly root: Certificate
}

/** What chains are judged with. */
export interface ChainContext {
  readonly work: ChainWork
  readonly anchors: readonly TrustAnchor[]
}

/**
 * Authenticates the PEM text leaf, CA, root of a quote or of its collateral (TDX-110 to TDX-116, TDX-121). Records each
 * of `pckChainChecks` that can be judged; gives the chain if all of them hold. Never throws for bad input.
 */
export function authenticatePckChain(
  checklist: Recorder<PckChainCheckId>,
  pem: string,
  context: ChainContext,
): PckChain | null {
  const three = readThree(checklist, pem, context.work)
  if (!three) return null
  const { leaf, ca, root } = three
  const anchor = anchorOfRoot(root, context.anchors)
  checklist.judge('tdx.pck.anchor', anchor !== null, () => `no trust anchor is the root ${root.fingerprint}`)
  const caKind = judgeNames(checklist, three)
  const isLinked = judgeLinks(checklist, three, { work: context.work, isAnchored: anchor !== null })
  const pck = judgeExtension(checklist, leaf)
  const key = context.work.key(leaf)
  if (!anchor || !caKind || !isLinked || !pck || !key.usable) return null
  return { leaf: pck, key: key.publicKey.key, ca, caKind, root, anchor }
}

/** TDX-118: all three certificates are valid at `now` (milliseconds since the epoch). */
export function judgePckValidity(
  checklist: Recorder<'tdx.pck.validity'>,
  { leaf, ca, root }: Pick<PckChain, 'leaf' | 'ca' | 'root'>,
  now: number,
): boolean {
  const problem = validityProblem([leaf.certificate, ca, root], now)
  return checklist.judge('tdx.pck.validity', problem === null, () => problem ?? '')
}

/**
 * Exactly three certificates in the one order. Fewer, more or another order are refused even where a chain could be
 * found among them: a PCK leaf whose key was extracted must find no way to act as an authority.
 */
function readThree(checklist: Recorder<PckChainCheckId>, pem: string, work: ChainWork): Three | null {
  const reading = work.readPem(pem)
  const count = reading.blocks?.length ?? 0
  const problem = () => reading.problem ?? `has ${count} certificates, must have 3`
  if (!checklist.judge('tdx.pck.chainForm', count === 3, problem) || reading.blocks === null) return null
  const chain = work.parse(reading.blocks)
  const [leaf, ca, root] = chain.certificates ?? []
  if (!leaf || !ca || !root) {
    checklist.fail('tdx.pck.certificates', chain.problem ?? '')
    return null
  }
  const profile = firstProblem([leaf, ca, root], (certificate) => profileProblem(certificate, work))
  return checklist.judge('tdx.pck.certificates', profile === null, () => profile ?? '') ? { leaf, ca, root } : null
}

/** TDX-115 and TDX-116: what the certificates are called and what they may do. */
function judgeNames(checklist: Recorder<PckChainCheckId>, { leaf, ca, root }: Three): PckCaKind | null {
  const { platform, processor } = intelCommonNames
  const names =
    nameProblem(leaf, [intelCommonNames.pck]) ??
    nameProblem(ca, [platform, processor]) ??
    nameProblem(root, [intelCommonNames.root])
  const roles = authorityProblem(root, 1) ?? authorityProblem(ca, 0) ?? leafProblem(leaf)
  const isNamed = checklist.judge('tdx.pck.names', names === null, () => names ?? '')
  const isInRole = checklist.judge('tdx.pck.roles', roles === null, () => roles ?? '')
  return isNamed && isInRole ? pckCaKindOf(commonNameOf(ca.subject)) : null
}

function judgeLinks(
  checklist: Recorder<PckChainCheckId>,
  { leaf, ca, root }: Three,
  { work, isAnchored }: { readonly work: ChainWork; readonly isAnchored: boolean },
): boolean {
  const problem = rootProblem(root, work, isAnchored) ?? linkProblem(ca, root, work) ?? linkProblem(leaf, ca, work)
  return checklist.judge('tdx.pck.signatures', problem === null, () => problem ?? '')
}

function judgeExtension(checklist: Recorder<PckChainCheckId>, leaf: Certificate): PckCertificate | null {
  try {
    const pck = readPckCertificate(leaf)
    checklist.pass('tdx.pck.extension')
    return pck
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    checklist.fail('tdx.pck.extension', error.message)
    return null
  }
}
