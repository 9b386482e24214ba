import { parseCertificate } from '../../src/base/pki/certificate.ts'
import { parsePem } from '../../src/base/pki/pem.ts'
import { anchorOf, type TrustAnchor } from '../../src/base/pki/trust-anchor.ts'
import { type Collateral, parseCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../src/endorsements/tdx/intel-root.ts'
import type { QuoteAppraisal } from '../../src/verifier/index.ts'
import { vector, vectorJson } from './vectors.ts'

/** What a recorded case says of the verdict; names are those of its file. */
export interface RecordedVerdict {
  readonly accept: boolean
  readonly classes?: readonly string[]
  readonly status?: string
  readonly launch?: string
  readonly current?: string
  readonly platform?: string
  readonly module?: string | null
  readonly qe?: string
  readonly tcb_date?: string
  readonly current_tcb_date?: string
  readonly advisory_ids?: readonly string[]
  readonly current_advisory_ids?: readonly string[]
  readonly debug?: boolean
  readonly tcb_eval_num?: number
  readonly pck_crl_num?: number
  readonly root_ca_crl_num?: number
  readonly earliest_issue_date?: string
  readonly latest_issue_date?: string
  readonly earliest_expiration_date?: string
  readonly root_key_id?: string
}

export interface RecordedCase {
  readonly name: string
  readonly quote: Uint8Array
  readonly collateral: Collateral
  readonly trustAnchors: readonly TrustAnchor[]
  /** Milliseconds since the epoch. */
  readonly now: number
  readonly expected: RecordedVerdict
}

const anchorOfPem = (pem: string) => anchorOf(parseCertificate(parsePem(pem, 'CERTIFICATE')))
const text = (path: string) => new TextDecoder().decode(vector(`tdx/${path}`))

export const recordedCollateral = (file: string): Collateral => parseCollateral(vector(`tdx/${file}`))
export const recordedQuote = (file: string): Uint8Array => vector(`tdx/${file}`)

function anchorsNamed(name: string): readonly TrustAnchor[] {
  return name.startsWith('anchors/') ? intelSgxRootAnchors : [anchorOfPem(text(name))]
}

interface ManifestEntry {
  readonly file: string
  readonly evaluateAt: string | null
  // biome-ignore lint/suspicious/noExplicitAny: the manifest is read as it is
  readonly expected: any
}

export function manifestEntries(folder: string): ManifestEntry[] {
  return vectorJson('tdx/MANIFEST.json').filter(({ file }: ManifestEntry) => file.startsWith(`${folder}/`))
}

/** Every evaluation of every recorded quote. */
export function recordedCases(): RecordedCase[] {
  return manifestEntries('quotes').flatMap(({ file, expected }) =>
    (expected.evaluations ?? []).map((evaluation: RecordedVerdict & Record<string, string>) => ({
      name: `${file} with ${evaluation['collateral']} at ${evaluation['at']}`,
      quote: recordedQuote(file),
      collateral: recordedCollateral(evaluation['collateral'] ?? ''),
      trustAnchors: anchorsNamed(evaluation['trustAnchor'] ?? ''),
      now: Date.parse(evaluation['at'] ?? ''),
      expected: evaluation,
    })),
  )
}

/** The generated cases under an injected anchor. */
export function syntheticCases(): RecordedCase[] {
  const { pool, cases } = vectorJson('tdx/synthetic/cases.json')
  // biome-ignore lint/suspicious/noExplicitAny: the cases are read as they are
  return cases.map((one: any) => ({
    name: one.name,
    quote: new Uint8Array(Buffer.from(one.quote_b64, 'base64')),
    collateral: parseCollateral(JSON.stringify(pool[one.collateral])),
    trustAnchors: one.anchors.map((id: string) => anchorOfPem(pool[id])),
    now: one.now * 1000,
    expected: one.expected,
  }))
}

const date = (time: number) => `${new Date(time).toISOString().slice(0, 19)}Z`
const asSet = (ids: readonly string[]) => [...ids].sort()

/** The appraisal in the names of the recorded verdicts; lists of advisories are sets. */
export function verdictOf({ tcb, collateral, debug }: QuoteAppraisal): Readonly<Record<string, unknown>> {
  return {
    status: tcb?.status,
    launch: tcb?.launch,
    current: tcb?.current,
    platform: tcb?.platform,
    module: tcb?.module,
    qe: tcb?.qe,
    tcb_date: tcb && date(tcb.tcbDate),
    current_tcb_date: tcb && date(tcb.tcbDateCurrent),
    advisory_ids: tcb && asSet(tcb.advisoryIds),
    current_advisory_ids: tcb && asSet(tcb.advisoryIdsCurrent),
    tcb_eval_num: tcb?.evaluationNumber,
    pck_crl_num: collateral && Number(collateral.pckCrlNumber),
    root_ca_crl_num: collateral && Number(collateral.rootCaCrlNumber),
    earliest_issue_date: collateral && date(collateral.earliestIssueDate),
    latest_issue_date: collateral && date(collateral.latestIssueDate),
    earliest_expiration_date: collateral && date(collateral.earliestExpirationDate),
    root_key_id: collateral?.rootKeyId,
    debug,
  }
}

/** What a recorded verdict says, in the form of `verdictOf`: members that it does not have are not compared. */
export function expectedVerdict(expected: RecordedVerdict): Readonly<Record<string, unknown>> {
  const names = Object.keys(verdictOf({ tcb: null, collateral: null, debug: null } as QuoteAppraisal))
  const given = Object.entries(expected).filter(([name]) => names.includes(name))
  return Object.fromEntries(given.map(([name, value]) => [name, Array.isArray(value) ? asSet(value) : value]))
}
