import { AttestdError } from '../../base/errors.ts'
import { anchorOf } from '../../base/pki/trust-anchor.ts'
import { intelSgxRootAnchors } from '../../endorsements/tdx/intel-root.ts'
import type { EventLogPolicy } from '../../verifier/tdx/event-log-policy.ts'
import type { TdxPolicy, TdxReferences, TdxTrustAnchor } from '../../verifier/tdx/inputs.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedFile } from '../configuration/read.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import type { tdxVerifierKeys } from '../configuration/tdx-sections.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { baseOf } from './collateral.ts'
import { readCertificates } from './trust-files.ts'

/** What configurations say of TDs that are appraised. */
export interface TdConfiguration {
  readonly tdx: Pick<Configuration['tdx'], 'simulator'>
  readonly verifier: Pick<Configuration['verifier'], keyof typeof tdxVerifierKeys>
}

type Measurements = Configuration['verifier']['td']

const fieldOf = {
  mr_td: 'mrTd',
  mr_seam: 'mrSeam',
  mr_signer_seam: 'mrSignerSeam',
  mr_config_id: 'mrConfigId',
  mr_owner: 'mrOwner',
  mr_owner_config: 'mrOwnerConfig',
  rtmr_0: 'rtmr0',
  rtmr_1: 'rtmr1',
  rtmr_2: 'rtmr2',
  rtmr_3: 'rtmr3',
  td_attributes: 'tdAttributes',
  xfam: 'xfam',
  mr_servicetd: 'mrServiceTd',
} as const satisfies Readonly<Record<keyof Measurements, keyof TdxReferences>>

const logRequirements = {
  required: 'required',
  'if-present': 'ifPresent',
  optional: 'optional',
} as const satisfies Readonly<Record<Configuration['verifier']['cc_event_log'], EventLogPolicy['requirement']>>

const fromHex = (hex: string) => new Uint8Array(Buffer.from(hex, 'hex'))

function referencesOf(measurements: Measurements): TdxReferences {
  const named = Object.entries(fieldOf) as [keyof Measurements, keyof TdxReferences][]
  const given = named.flatMap(([key, field]) => {
    const values = measurements[key]
    return values === undefined ? [] : [[field, values.map(fromHex)] as const]
  })
  return Object.fromEntries(given)
}

function policyOf({ verifier }: TdConfiguration): Partial<TdxPolicy> {
  return {
    acceptDebug: verifier.debug,
    tcbStatuses: verifier.tcb_statuses,
    collateralGraceSeconds: Math.floor(requireDuration(verifier.collateral_grace) / 1000),
    minTcbEvalNum: verifier.tcb_minimum_evaluation,
  }
}

/** A root of one's own vouches for simulated TDs and for nothing else: every token under it says so (TDX-098, TDX-287). */
async function readAnchors({
  file,
  text,
  configuration,
}: LoadedFile<TdConfiguration>): Promise<readonly TdxTrustAnchor[]> {
  const { tdx, verifier } = configuration
  if (verifier.tdx_anchors.length > 0 && !tdx.simulator) {
    throw invalidAt(
      file,
      text,
      ['verifier', 'tdx_anchors'],
      'need tdx.simulator = true: hardware is vouched for by Intel',
    )
  }
  const certificates = await readCertificates(verifier.tdx_anchors)
  const simulators = certificates.map((certificate) => ({ ...anchorOf(certificate), simulator: true }))
  return [...intelSgxRootAnchors, ...simulators]
}

/** Found with the rest of the file, so that the line is named and a reload takes all or nothing. */
export function requireCollateralServers({
  file,
  text,
  configuration,
}: LoadedFile<Pick<Configuration, 'collateral'>>): void {
  const { pccs, allow_http_loopback: allowHttpLoopback } = configuration.collateral
  for (const [index, url] of pccs.entries()) {
    try {
      baseOf(url, allowHttpLoopback)
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      throw invalidAt(file, text, ['collateral', 'pccs', index], error.message)
    }
  }
}

/** What the configuration asks of a TD. Throws `CONFIGURATION_INVALID` or `INPUT_UNREADABLE`. */
export async function readTdRequirements(loaded: LoadedFile<TdConfiguration>): Promise<TdRequirements> {
  const { configuration } = loaded
  return {
    trustAnchors: await readAnchors(loaded),
    references: referencesOf(configuration.verifier.td),
    policy: policyOf(configuration),
    simulator: configuration.tdx.simulator,
    eventLog: { requirement: logRequirements[configuration.verifier.cc_event_log] },
  }
}
