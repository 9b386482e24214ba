import { InvalidArgumentError } from 'commander'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import type { Certificate } from '../../base/pki/certificate.ts'
import { commonNameOf } from '../../base/pki/distinguished-name.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import { type AcceptableTcbStatus, acceptableTcbStatuses, type TdxTrustAnchor } from '../../verifier/index.ts'
import { agentErrors } from '../errors.ts'
import type { EvidenceDocument } from '../evidence-document.ts'
import { readInput } from '../input-file.ts'
import { kindOfEvidence, type OfflineKind } from '../offline/appraise-offline.ts'
import type { OfflineQuestion, TdQuestion, TpmQuestion } from '../offline/question.ts'
import { type OfflineReferences, readOfflineReferences } from '../offline/references.ts'
import { readCertificates, readEkTrust } from '../wiring/trust-files.ts'
import { hexOption } from './options.ts'

/** The command line of `attestd appraise`. */
export interface AppraiseOptions {
  readonly nonce?: Uint8Array
  readonly verifier?: string
  readonly anyReportData?: boolean
  readonly trustAnchors?: string[]
  readonly intermediates?: string[]
  readonly crl?: string[]
  readonly pinnedEk?: string[]
  readonly akName?: Uint8Array
  readonly allowUnenrolled?: boolean
  readonly collateral?: string
  readonly references?: string[]
  readonly tcbStatus?: readonly AcceptableTcbStatus[]
  readonly allowDebug?: boolean
  readonly simulator?: boolean
  readonly requireEventLog?: boolean
  readonly requireIma?: boolean
  readonly at?: number
  readonly json?: boolean
}

const largestBundle = 16 << 20
const usage = (says: string) => agentErrors.error('USAGE', says)

const hasTpm = (kind: OfflineKind) => kind === 'tpm' || kind === 'tdx+tpm'

const whyNonce =
  '--nonce is missing: only who asked for the evidence knows what was to be signed; with a nonce taken from the evidence itself any old recording would pass'
const whyNonceOfTd = `${whyNonce}; --any-report-data waives that for a quote whose nonce nobody knows`

export function pinOption(text: string, before: string[] = []): string[] {
  if (!/^[0-9a-f]{64}$/.test(text))
    throw new InvalidArgumentError('must be a SHA-256 value: 64 lower-case hexadecimal digits.')
  return [...before, text]
}

/** A Name (TPM2 Part 1, section 16): u16 hash algorithm, digest of 32, 48 or 64 bytes. */
export function nameOption(text: string): Uint8Array {
  const name = hexOption(34, 66)(text)
  const sizes: Readonly<Record<string, number>> = { '000b': 34, '000c': 50, '000d': 66 }
  if (sizes[text.slice(0, 4)] === name.length) return name
  throw new InvalidArgumentError('must be a Name: 000b, 000c or 000d, and a digest of SHA-256, SHA-384 or SHA-512.')
}

/** As `POST /v1/evidence` takes it; '' for nobody in particular. */
export function verifierOption(text: string): string {
  if (Buffer.byteLength(text) <= 256 && !/[\p{Cc}\p{Cs}]/u.test(text)) return text
  throw new InvalidArgumentError('must have at most 256 bytes, and no control characters.')
}

/** Names joined by commas. */
export function tcbStatusOption(text: string): readonly AcceptableTcbStatus[] {
  return text.split(',').map((name) => {
    const status = acceptableTcbStatuses.find((known) => known === name)
    if (status) return status
    throw new InvalidArgumentError(`must be of these, joined by commas: ${acceptableTcbStatuses.join(', ')}.`)
  })
}

/** Files that do not parse are input here, not configuration. */
async function readAsInput<T>(read: Promise<T>): Promise<T> {
  try {
    return await read
  } catch (error) {
    if (!(error instanceof AttestdError) || !(error.cause instanceof MalformedError)) throw error
    throw new MalformedError({ path: String(error.facts['file']) }, error.cause.message, { cause: error })
  }
}

/** Roots of simulated TDs bear the name that every root of quotes must have (TDX-115); no maker of TPMs bears it. */
const isTdRoot = ({ subject }: Pick<Certificate, 'subject'>) => commonNameOf(subject) === 'Intel SGX Root CA'

function requireAnchored(anchors: readonly unknown[], { intermediates = [], crl = [] }: AppraiseOptions): void {
  if (anchors.length > 0 || intermediates.length + crl.length === 0) return
  throw usage('--intermediates and --crl say nothing without --trust-anchors')
}

async function ekTrustOf(options: AppraiseOptions, kind: OfflineKind): Promise<TpmQuestion['ekTrust']> {
  if (!hasTpm(kind)) return null
  const { trustAnchors = [], intermediates = [], crl = [], pinnedEk = [] } = options
  requireAnchored(trustAnchors, options)
  const files = { ek_vendors: [], ek_anchors: trustAnchors, ek_intermediates: intermediates, crls: crl }
  const trust = await readAsInput(readEkTrust(files))
  const anchors = kind === 'tpm' ? trust.anchors : trust.anchors.filter(({ authority }) => !isTdRoot(authority))
  requireAnchored(anchors, options)
  return anchors.length + pinnedEk.length === 0 ? null : { ...trust, anchors, pinned: pinnedEk }
}

async function tpmQuestion(
  options: AppraiseOptions,
  kind: OfflineKind,
  { tpm: references }: OfflineReferences,
): Promise<TpmQuestion> {
  const { akName = null, allowUnenrolled = false, requireIma = false } = options
  if (akName && allowUnenrolled) {
    throw usage('--ak-name and --allow-unenrolled contradict each other: is the key enrolled or not?')
  }
  return { ekTrust: await ekTrustOf(options, kind), akName, allowUnenrolled, requireIma, references }
}

/** Hardware is vouched for by Intel alone; a root of one's own makes every appraisal under it a simulated one (TDX-287). */
async function tdAnchors(options: AppraiseOptions, kind: OfflineKind): Promise<readonly TdxTrustAnchor[]> {
  const { trustAnchors = [], simulator } = options
  if (kind === 'tpm') return intelSgxRootAnchors
  const certificates = await readAsInput(readCertificates(trustAnchors))
  const roots = kind === 'tdx+tpm' ? certificates.filter(isTdRoot) : certificates
  if (roots.length > 0 && simulator !== true) {
    throw usage(
      '--trust-anchors names a root of simulated TDs, and needs --simulator: hardware is vouched for by Intel',
    )
  }
  return [...intelSgxRootAnchors, ...roots.map((each) => ({ ...anchorOf(each), simulator: true }))]
}

async function tdQuestion(
  options: AppraiseOptions,
  kind: OfflineKind,
  { td: references }: OfflineReferences,
): Promise<TdQuestion> {
  const { collateral, tcbStatus = null, allowDebug = false } = options
  return {
    collateral: collateral === undefined ? null : parseCollateral(await readInput(collateral, largestBundle)),
    references,
    trustAnchors: await tdAnchors(options, kind),
    tcbStatuses: tcbStatus,
    allowDebug,
  }
}

type Flag = { readonly [Name in keyof AppraiseOptions]?: string }

const aboutTpm: Flag = {
  intermediates: '--intermediates',
  crl: '--crl',
  pinnedEk: '--pinned-ek',
  akName: '--ak-name',
  allowUnenrolled: '--allow-unenrolled',
  requireIma: '--require-ima',
}
const aboutQuotes: Flag = {
  collateral: '--collateral',
  tcbStatus: '--tcb-status',
  allowDebug: '--allow-debug',
  anyReportData: '--any-report-data',
}

/**
 * What is asked about a part that is not there is refused: evidence without its TPM must not pass because nobody was left
 * to be judged.
 */
function requireAbout(options: AppraiseOptions, flags: Flag, part: string): void {
  const [given] = Object.entries(flags).filter(([name]) => options[name as keyof AppraiseOptions] !== undefined)
  if (given) throw usage(`${given[1]} is about ${part}, and this evidence has none`)
}

function requireFitting(options: AppraiseOptions, kind: OfflineKind): void {
  if (kind === 'tpm') requireAbout(options, aboutQuotes, 'the quote of a TD')
  if (hasTpm(kind)) return
  requireAbout(options, aboutTpm, 'a TPM')
  if (kind === 'sgx' && options.requireEventLog) throw usage('the quote of an SGX enclave has no event log')
}

function requireFittingReferences({ td, tpm }: OfflineReferences, kind: OfflineKind): void {
  const says = (part: string) => `--references names what is asked of ${part}, and this evidence has none`
  if (td !== null && kind === 'tpm') throw usage(says('a TD'))
  if (tpm !== null && !hasTpm(kind)) throw usage(says('a TPM'))
}

function nonceOf({ nonce, anyReportData }: AppraiseOptions, kind: OfflineKind): OfflineQuestion['nonce'] {
  if (nonce && anyReportData) throw usage('--nonce and --any-report-data contradict each other')
  if (anyReportData && hasTpm(kind)) {
    throw usage('--any-report-data is for a quote alone: the TPM beside it is asked by the nonce too')
  }
  if (nonce) return nonce
  if (anyReportData) return 'any'
  throw usage(hasTpm(kind) ? whyNonce : whyNonceOfTd)
}

const whyVerifier =
  'the document was made for a verifier: name with --verifier the one that you asked for; evidence for another one is not for you'

/**
 * That evidence was made through a transcript is taken from the document, for nothing can be gained by saying so: either way it must
 * carry the nonce. For whom it was made is not: evidence that was made for somebody else may be relayed (BRK-94).
 */
function verifierOf({ verifier }: AppraiseOptions, { transcript }: EvidenceDocument, kind: OfflineKind): string | null {
  if (verifier !== undefined && kind === 'sgx')
    throw usage('--verifier is about evidence of attestd, not of an enclave')
  if (verifier !== undefined) return verifier
  if (transcript === null) return null
  if (transcript.verifier !== '') throw usage(whyVerifier)
  return ''
}

/** What the command line asks of this evidence. Throws `USAGE`, `INPUT_UNREADABLE` and `MalformedError`. */
export async function questionOf(options: AppraiseOptions, evidence: EvidenceDocument): Promise<OfflineQuestion> {
  const kind = kindOfEvidence(evidence)
  requireFitting(options, kind)
  const references = await readOfflineReferences(options.references ?? [])
  requireFittingReferences(references, kind)
  return {
    now: options.at ?? Date.now(),
    nonce: nonceOf(options, kind),
    verifier: verifierOf(options, evidence, kind),
    simulator: options.simulator === true,
    requireEventLog: options.requireEventLog === true,
    tpm: await tpmQuestion(options, kind, references),
    td: await tdQuestion(options, kind, references),
  }
}
