import type { GuestEvidence } from '../../evidence/composite.ts'
import type { ClaimDocuments, ClaimTree, EvidenceKind, VerifiedTrees } from '../../policies/index.ts'
import type { Tee } from '../../results/acr.ts'
import type { Freshness } from '../../results/token-claims.ts'
import type { GuestAppraisal } from '../composite/appraise-guest.ts'
import { tdxEventsDocument, tpmEventsDocument } from './event-documents.ts'
import { imaDocument, pcrsDocument } from './tpm-documents.ts'

/** As much of an appraisal as policies are told: that of a guest, or that of a quote alone with `tdx` and `tpm` null. */
export type AppraisedEvidence = Pick<GuestAppraisal, 'affirmed' | 'claims' | 'simulated' | 'tdx' | 'tpm'>

/** What a policy is told of the request beside the evidence. */
export interface RequestFacts {
  /** What was asked for. */
  readonly tee: Tee | 'sgx'
  readonly freshness: Freshness
  /** Of the appraisal: milliseconds since the epoch. */
  readonly now: number
  /** The verifier itself runs in simulator mode: then nothing that it says is about real hardware (TOK-04). */
  readonly simulator: boolean
  /**
   * False: no policy asks for `tdx.events`, `tpm.events`, `tpm.pcrs` or `ima.log`, and they are not made. `events`: the first
   * two are all that is asked for.
   */
  readonly documents: boolean | 'events'
}

function isTree(value: unknown): value is ClaimTree {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

const treeOf = (claims: GuestAppraisal['claims'], name: string): ClaimTree | null => {
  const tree = claims[name]
  return isTree(tree) ? tree : null
}

/**
 * Content is named by the document of the log; here is what policies ask for most, in a form that trees have (POL-431). A
 * quote that was appraised alone came without a log.
 */
function tdxTree({ eventlog, ...given }: ClaimTree): ClaimTree {
  const tree = { eventlog_present: false, ...given }
  if (!isTree(eventlog)) return tree
  if (eventlog['too_long'] === true) return { ...tree, eventlog_too_long: true }
  return { ...tree, kernel_cmdline: eventlog['kernel_cmdline'] }
}

/** What the guest logged of itself while it ran are objects: they are in the document. */
function tpmTree({ eventlog, ...tree }: ClaimTree): ClaimTree {
  if (!isTree(eventlog)) return tree
  const { aael: _objects, ...content } = eventlog
  return { ...tree, eventlog: content }
}

function kindsOf({ claims }: AppraisedEvidence): readonly EvidenceKind[] {
  return [
    ...(treeOf(claims, 'tdx') === null ? [] : ['tdx' as const]),
    ...(treeOf(claims, 'tpm') === null ? [] : ['tpm' as const]),
    ...(treeOf(claims, 'ima')?.['verified'] === true ? ['ima' as const] : []),
  ]
}

function tdxDocuments({ tdx, claims }: AppraisedEvidence): ClaimDocuments {
  const isVerified = treeOf(claims, 'tdx')?.['eventlog_verified'] === true
  const events = isVerified && tdx?.eventLog ? tdxEventsDocument(tdx.eventLog) : null
  return events === null ? {} : { 'tdx.events': events }
}

function tpmDocuments(
  { tpm, claims }: AppraisedEvidence,
  evidence: GuestEvidence,
  { documents }: RequestFacts,
): ClaimDocuments {
  const given = evidence.tpm?.evidence
  if (tpm === null || tpm.pcrs === null || given === undefined) return {}
  const isVerified = treeOf(claims, 'tpm')?.['eventlog_verified'] === true
  const events = isVerified ? tpmEventsDocument(given, tpm.pcrs) : null
  if (documents === 'events') return events === null ? {} : { 'tpm.events': events }
  const holds = treeOf(claims, 'ima')?.['verified'] === true
  const log = holds && tpm.ima && given.ima ? imaDocument(given.ima, tpm.ima.records, tpm.pcrs) : null
  return {
    'tpm.pcrs': pcrsDocument(tpm.pcrs),
    ...(events === null ? {} : { 'tpm.events': events }),
    ...(log === null ? {} : { 'ima.log': log }),
  }
}

function documentsOf(appraisal: AppraisedEvidence, evidence: GuestEvidence, facts: RequestFacts) {
  if (facts.documents === false) return {}
  return { documents: { ...tdxDocuments(appraisal), ...tpmDocuments(appraisal, evidence, facts) } }
}

function copiesOf(claims: GuestAppraisal['claims']): Pick<VerifiedTrees, 'report_data' | 'init_data'> {
  const { report_data, init_data } = claims
  return {
    ...(typeof report_data === 'string' ? { report_data } : {}),
    ...(typeof init_data === 'string' ? { init_data } : {}),
  }
}

/**
 * What an affirmed appraisal says to policies (POL-430 to POL-432): the trees of claims that its passed checks cover, and
 * the documents of logs and registers as far as quotes prove them. `evidence` is what was appraised, unchanged.
 *
 * To be called where the appraisal was made: what it knows of an event log does not go from thread to thread. The result
 * does. Pure. `TypeError` for an appraisal that is not affirmed: nothing of it is verified.
 */
export function verifiedClaims(
  appraisal: AppraisedEvidence,
  evidence: GuestEvidence,
  facts: RequestFacts,
): VerifiedTrees {
  if (!appraisal.affirmed) throw new TypeError('an appraisal that is not affirmed has no claims')
  const { claims } = appraisal
  const [tdx, sgx] = [treeOf(claims, 'tdx'), treeOf(claims, 'sgx')]
  const [tpm, ima] = [treeOf(claims, 'tpm'), treeOf(claims, 'ima')]
  return {
    attestation: {
      type: facts.tee,
      time: Math.floor(facts.now / 1000),
      simulated: facts.simulator || appraisal.simulated !== false,
      freshness: facts.freshness,
    },
    evidence: { kinds: kindsOf(appraisal) },
    ...(tdx === null ? {} : { tdx: tdxTree(tdx) }),
    ...(sgx === null ? {} : { sgx }),
    ...(tpm === null ? {} : { tpm: tpmTree(tpm) }),
    ...(ima === null ? {} : { ima }),
    ...copiesOf(claims),
    ...documentsOf(appraisal, evidence, facts),
  }
}
