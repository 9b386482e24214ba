import { samePublicBytes, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parsePem } from '../../base/pki/pem.ts'
import type { Quote } from '../../evidence/tdx/quote.ts'
import { anchorOfRoot } from './chain-rules.ts'
import { anchorsKey, contentKey } from './content-key.ts'
import type { QuoteInputs } from './inputs.ts'
import { authenticatePckChain, type ChainContext, type PckChain, pckChainChecks } from './pck-chain.ts'
import type { QuoteChecklist } from './quote-form.ts'

/** Certification data of a quote that hold the chain, or the leaf alone. */
const chainType = 5
const leafType = 4

/**
 * TDX-109: what stands in the quote in place of the chain. PPID and SVNs of types 1 to 3 are unsigned, in several
 * lengths, and not used: the signature over the report of the quoting enclave shows whose platform it is.
 */
function certificationProblem({ certification: { type, data } }: Quote, chain: PckChain | null): string | null {
  if (type !== leafType || chain === null || isLeaf(data, chain)) return null
  return 'the PCK certificate of the quote is not the leaf of the chain that was given'
}

/** The leaf stands in the quote as DER or as one PEM block. */
function isLeaf(data: Uint8Array, { leaf }: PckChain): boolean {
  const { der } = leaf.certificate
  if (samePublicBytes(data, der)) return true
  try {
    return samePublicBytes(parsePem(toLatin1(data), 'CERTIFICATE'), der)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return false
  }
}

/** TDX-109: the chain in the quote is used, and only quotes without one take that of the collateral. */
function chainTextOf({ certification }: Quote, { collateral }: QuoteInputs): string | null {
  if (certification.type === chainType) return toLatin1(certification.data)
  return collateral?.pckCertificateChain ?? null
}

function recall(
  checklist: QuoteChecklist,
  text: string,
  { memo }: QuoteInputs,
  context: ChainContext,
): PckChain | null {
  const key = memo === undefined ? null : contentKey(anchorsKey(context.anchors), text)
  const known = key === null ? undefined : memo?.pckChains.get(key)
  // The anchor that the inputs name, not an equal one of an earlier appraisal: they may differ in their name and mark.
  const anchor = known && anchorOfRoot(known.root, context.anchors)
  if (known && anchor) {
    for (const id of pckChainChecks) checklist.pass(id)
    return { ...known, anchor }
  }
  const chain = authenticatePckChain(checklist, text, context)
  if (chain !== null && key !== null) memo?.pckChains.set(key, chain)
  return chain
}

/**
 * Section 3.1 of tdx.md without revocation and dates: finds the PCK chain of a quote and authenticates it. Null if there
 * is none.
 */
export function judgePck(
  checklist: QuoteChecklist,
  quote: Quote,
  inputs: QuoteInputs,
  context: ChainContext,
): PckChain | null {
  const text = chainTextOf(quote, inputs)
  if (text === null) {
    checklist.fail('tdx.pck.present', `certification data of type ${quote.certification.type}, and no chain was given`)
    return null
  }
  const chain = recall(checklist, text, inputs, context)
  const problem = certificationProblem(quote, chain)
  checklist.judge('tdx.pck.present', problem === null, () => problem ?? '', `type ${quote.certification.type}`)
  return problem === null ? chain : null
}
