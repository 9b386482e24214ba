import type { VerifiedTrees } from '../claims/verified-trees.ts'
import type { RegoClass } from './trust-claims.ts'

type Members = Readonly<Record<string, unknown>>

/** One device with its claims of version 3 (gpu.md section 11). */
export interface RegoDevice {
  readonly kind: 'gpu' | 'switch'
  readonly claims: object
}

/** Everything that a Rego policy may judge. */
export interface RegoEvidence {
  /** Nested, as the verifier gives them (section 4); the documents `tdx.events` and `tpm.events` are read. */
  readonly trees: VerifiedTrees
  readonly devices?: readonly RegoDevice[]
  /** What `init_data` is the digest of, if it was given, verified and is a JSON object. */
  readonly initDataClaims?: object
  /** Runtime data that the evidence binds, if it is a JSON object; the workload wrote it. */
  readonly runtimeDataClaims?: object
}

/** Names of digests in documents of ours, and in event logs as Trustee gives them. */
const digestNames: readonly (readonly [ours: string, theirs: string])[] = [
  ['SHA1', 'SHA-1'],
  ['SHA256', 'SHA-256'],
  ['SHA384', 'SHA-384'],
  ['SHA512', 'SHA-512'],
]

const membersOf = (value: unknown): Members =>
  typeof value === 'object' && value !== null && !Array.isArray(value) ? (value as Members) : {}

function digestsOf(digests: unknown): readonly object[] {
  const given = membersOf(digests)
  return digestNames.flatMap(([ours, theirs]) => {
    const digest = given[ours]
    return typeof digest === 'string' ? [{ alg: theirs, digest }] : []
  })
}

/** Standard base64, as Trustee has it, of base64url. */
function base64Of(text: unknown): string | undefined {
  if (typeof text !== 'string') return undefined
  const digits = text.replaceAll('-', '+').replaceAll('_', '/')
  return digits.padEnd(4 * Math.ceil(digits.length / 4), '=')
}

/** Only what the digest of the event binds has details; a label that nobody measured is no fact. */
function detailsOf({ DigestBound, ProcessedData }: Members): object | undefined {
  if (DigestBound !== true || ProcessedData === undefined) return undefined
  const { VariableGuid, UnicodeName, VariableData, String: string, DevicePath } = membersOf(ProcessedData)
  return {
    variable_name: VariableGuid,
    unicode_name: UnicodeName,
    variable_data: base64Of(VariableData),
    string,
    device_paths: DevicePath === undefined ? undefined : [DevicePath].flat(),
  }
}

function eventOf(event: unknown): object {
  const members = membersOf(event)
  return {
    index: members['PcrIndex'],
    type_name: members['EventTypeString'],
    digests: digestsOf(members['Digests']),
    digest_bound: members['DigestBound'],
    unbound_label: members['UnboundLabel'],
    details: detailsOf(members),
  }
}

/** Undefined, and so in Rego, where there is no verified log. */
function eventLogOf({ documents }: VerifiedTrees, name: 'tdx.events' | 'tpm.events'): readonly object[] | undefined {
  const { Events } = membersOf(documents?.[name])
  return Array.isArray(Events) ? Events.map(eventOf) : undefined
}

function registersOf({ pcr }: Members): object {
  const values = Object.entries(membersOf(pcr))
  return Object.fromEntries(values.map(([index, value]) => [`pcr${index.padStart(2, '0')}`, value]))
}

function guestInput({ trees, initDataClaims, runtimeDataClaims }: RegoEvidence): object {
  const { attestation, evidence, tdx, sgx, tpm, ima, report_data, init_data } = trees
  return {
    attestation,
    evidence,
    tdx: tdx && { ...tdx, uefi_event_logs: eventLogOf(trees, 'tdx.events') },
    sgx,
    tpm: tpm && { ...tpm, ...registersOf(tpm), uefi_event_logs: eventLogOf(trees, 'tpm.events') },
    ima,
    report_data,
    init_data,
    init_data_claims: initDataClaims,
    runtime_data_claims: runtimeDataClaims,
  }
}

/**
 * The input documents of one appraisal (POL-962): one of the guest for class `cpu`, else one for each device of the class;
 * none where the evidence has no such device. Members that nothing is known of are undefined. Nothing is verified here.
 */
export function regoInputs(regoClass: RegoClass, evidence: RegoEvidence): readonly object[] {
  if (regoClass === 'cpu') return [guestInput(evidence)]
  const isMeant = ({ kind }: RegoDevice) => regoClass === 'ppcie' || kind === regoClass
  return (evidence.devices ?? []).filter(isMeant).map(({ claims }) => ({ nvidia: claims }))
}
