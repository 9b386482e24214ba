import {
  type EnclaveStatus,
  enclaveSvns,
  loaderSvns,
  moduleVersions,
  type PlatformStatus,
  quotingEnclaves,
  type SimulatedPlatform,
} from './platform.ts'

/** Levels of a quoting enclave or a TDX module, as in the documents of Intel's PCS. */
export interface EnclaveLevelDocument {
  readonly tcb: { readonly isvsvn: number }
  readonly tcbDate: string
  readonly tcbStatus: string
  readonly advisoryIDs: readonly string[]
}

export interface ModuleDocument {
  readonly mrsigner: string
  readonly attributes: string
  readonly attributesMask: string
}

export interface PlatformLevelDocument {
  readonly tcb: Readonly<Record<string, unknown>>
  readonly tcbDate: string
  readonly tcbStatus: string
  readonly advisoryIDs: readonly string[]
}

interface Dated {
  readonly version: number
  readonly issueDate: string
  readonly nextUpdate: string
  readonly tcbEvaluationDataNumber: number
}

/** TCB info before it is signed: tests change what they need. */
export interface TcbInfoDocument extends Dated {
  /** Version 2 has none. */
  readonly id?: string
  readonly fmspc: string
  readonly pceId: string
  readonly tcbType: number
  readonly tdxModule?: ModuleDocument
  readonly tdxModuleIdentities?: readonly (ModuleDocument & {
    readonly id: string
    readonly tcbLevels: readonly EnclaveLevelDocument[]
  })[]
  readonly tcbLevels: readonly PlatformLevelDocument[]
}

/** The identity of a quoting enclave before it is signed. */
export interface QeIdentityDocument extends Dated {
  readonly id: string
  readonly miscselect: string
  readonly miscselectMask: string
  readonly attributes: string
  readonly attributesMask: string
  readonly mrsigner: string
  readonly isvprodid: number
  readonly tcbLevels: readonly EnclaveLevelDocument[]
}

/** When a document or list was issued and until when it may be used: milliseconds since the epoch, whole seconds. */
export interface Period {
  readonly issued: number
  readonly nextUpdate: number
}

export interface Edition extends Period {
  readonly evaluationNumber: number
}

const date = (milliseconds: number) => `${new Date(milliseconds).toISOString().slice(0, 19)}Z`
const upper = (hex: string) => hex.toUpperCase()

function dated({ issued, nextUpdate, evaluationNumber }: Edition): Omit<Dated, 'version'> {
  return { issueDate: date(issued), nextUpdate: date(nextUpdate), tcbEvaluationDataNumber: evaluationNumber }
}

/** Since when each status holds, and by which advisories; the older a level, the worse its status. */
const levelFacts: Readonly<
  Record<PlatformStatus, { readonly tcbDate: string; readonly advisoryIDs: readonly string[] }>
> = {
  UpToDate: { tcbDate: '2025-05-14T00:00:00Z', advisoryIDs: [] },
  SWHardeningNeeded: { tcbDate: '2025-05-14T00:00:00Z', advisoryIDs: ['SIM-SA-00001'] },
  ConfigurationNeeded: { tcbDate: '2025-05-14T00:00:00Z', advisoryIDs: ['SIM-SA-00002'] },
  ConfigurationAndSWHardeningNeeded: {
    tcbDate: '2025-05-14T00:00:00Z',
    advisoryIDs: ['SIM-SA-00001', 'SIM-SA-00002'],
  },
  OutOfDate: { tcbDate: '2024-03-13T00:00:00Z', advisoryIDs: ['SIM-SA-00003'] },
  OutOfDateConfigurationNeeded: { tcbDate: '2024-03-13T00:00:00Z', advisoryIDs: ['SIM-SA-00002', 'SIM-SA-00003'] },
  Revoked: { tcbDate: '2023-08-09T00:00:00Z', advisoryIDs: ['SIM-SA-00004'] },
}

const entriesOf = <K extends string>(table: Readonly<Record<K, number>>) => Object.entries(table) as [K, number][]

function enclaveLevels(): EnclaveLevelDocument[] {
  return entriesOf<EnclaveStatus>(enclaveSvns).map(([status, isvsvn]) => ({
    tcb: { isvsvn },
    tcbStatus: status,
    ...levelFacts[status],
  }))
}

function platformLevels(tcbOf: (status: PlatformStatus) => Readonly<Record<string, unknown>>): PlatformLevelDocument[] {
  return entriesOf<PlatformStatus>(loaderSvns).map(([status]) => ({
    tcb: tcbOf(status),
    tcbStatus: status,
    ...levelFacts[status],
  }))
}

/** PCESVN of an SGX platform with the status that a SEAM loader of this SVN has. The platform's own is up to date. */
export const pceSvnFor = ({ pceSvn }: SimulatedPlatform, status: PlatformStatus): number =>
  pceSvn - loaderSvns.UpToDate + loaderSvns[status]

const components = (values: readonly number[]) => values.map((svn) => ({ svn }))

function flatComponents(values: readonly number[]): Record<string, number> {
  return Object.fromEntries(values.map((svn, at) => [`sgxtcbcomp${String(at + 1).padStart(2, '0')}svn`, svn]))
}

const module: ModuleDocument = {
  mrsigner: '00'.repeat(48),
  attributes: '00'.repeat(8),
  attributesMask: 'FF'.repeat(8),
}

function platformMembers({ fmspc, pceId }: SimulatedPlatform) {
  return { fmspc: upper(fmspc), pceId: upper(pceId), tcbType: 0 }
}

/**
 * TCB info v3 for TDX. The SEAM loader decides the status of the platform (`loaderSvns`), the minor SVN that of the
 * module: every status of a quote can be had under one and the same document.
 */
export function tdxTcbInfo(platform: SimulatedPlatform, edition: Edition): TcbInfoDocument {
  return {
    id: 'TDX',
    version: 3,
    ...dated(edition),
    ...platformMembers(platform),
    tdxModule: module,
    tdxModuleIdentities: moduleVersions.map((version) => ({
      id: `TDX_0${version}`,
      ...module,
      tcbLevels: enclaveLevels(),
    })),
    tcbLevels: platformLevels((status) => ({
      sgxtcbcomponents: components(platform.components),
      pcesvn: platform.pceSvn,
      tdxtcbcomponents: components([0, 0, loaderSvns[status], ...new Array<number>(13).fill(0)]),
    })),
  }
}

/** TCB info v3 for SGX: the PCESVN decides the status (`pceSvnFor`). */
export function sgxTcbInfo(platform: SimulatedPlatform, edition: Edition): TcbInfoDocument {
  return {
    id: 'SGX',
    version: 3,
    ...dated(edition),
    ...platformMembers(platform),
    tcbLevels: platformLevels((status) => ({
      sgxtcbcomponents: components(platform.components),
      pcesvn: pceSvnFor(platform, status),
    })),
  }
}

/** The same in version 2, which the paths of v3 serve. */
export function sgxTcbInfoV2(platform: SimulatedPlatform, edition: Edition): TcbInfoDocument {
  return {
    version: 2,
    ...dated(edition),
    ...platformMembers(platform),
    tcbLevels: platformLevels((status) => ({
      ...flatComponents(platform.components),
      pcesvn: pceSvnFor(platform, status),
    })),
  }
}

export function qeIdentity(tee: keyof typeof quotingEnclaves, edition: Edition): QeIdentityDocument {
  const { id, mrSigner, isvProdId } = quotingEnclaves[tee]
  return {
    id,
    version: 2,
    ...dated(edition),
    miscselect: '00000000',
    miscselectMask: 'FFFFFFFF',
    attributes: '11000000000000000000000000000000',
    attributesMask: 'FBFFFFFFFFFFFFFF0000000000000000',
    mrsigner: upper(mrSigner),
    isvprodid: isvProdId,
    tcbLevels: enclaveLevels(),
  }
}
