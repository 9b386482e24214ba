import type { Members } from './members.ts'
import { openSignedDocument } from './signed-document.ts'
import { type EnclaveTcbLevel, readEnclaveTcbLevels, type TcbStatus, tcbStatuses } from './tcb-level.ts'

/** One level of a platform. */
export interface TcbLevel {
  /** 16 values of 0 to 255. */
  readonly sgxComponents: readonly number[]
  readonly pceSvn: number
  /** 16 values of 0 to 255; null in TCB info for SGX. */
  readonly tdxComponents: readonly number[] | null
  /** Milliseconds since the epoch. */
  readonly tcbDate: number
  readonly status: TcbStatus
  readonly advisoryIds: readonly string[]
}

/** Who signs the TDX module and with which attributes it runs. */
export interface TdxModule {
  /** 48 bytes. */
  readonly mrSigner: Uint8Array
  /** 8 bytes. */
  readonly attributes: Uint8Array
  readonly attributesMask: Uint8Array
}

export interface TdxModuleIdentity extends TdxModule {
  /** `TDX_` and two hexadecimal digits as in the document: the module version (TDX-170). */
  readonly id: string
  /** At least one, in the order of the document (`sortEnclaveTcbLevels`). */
  readonly levels: readonly EnclaveTcbLevel[]
}

/** Which TCB levels a platform can have: the document `tcbInfo` of Intel's PCS, version 3, or 2 for SGX. Nothing is verified. */
export interface TcbInfo {
  /** Version 2 does not name the TEE; it is SGX. */
  readonly id: 'SGX' | 'TDX'
  readonly version: 2 | 3
  /** Milliseconds since the epoch; both bounds belong to the period. */
  readonly issueDate: number
  readonly nextUpdate: number
  /** 12 lower-case hexadecimal digits. */
  readonly fmspc: string
  /** 4 lower-case hexadecimal digits. */
  readonly pceId: string
  readonly tcbEvaluationDataNumber: number
  /** Set for TDX, null for SGX. */
  readonly tdxModule: TdxModule | null
  readonly tdxModuleIdentities: readonly TdxModuleIdentity[]
  /** At least one, in the order of the document (`sortTcbLevels`). */
  readonly levels: readonly TcbLevel[]
}

const componentCount = 16

/**
 * Parses the exact text that the maker signed (TDX-162, TDX-179): strict JSON without repeated members, sizes and
 * ranges exact, levels and module identities distinct. Members that are not known are ignored. Throws only `MalformedError`.
 */
export function parseTcbInfo(text: string): TcbInfo {
  const document = openSignedDocument(text, 'tcbInfo')
  const version = versionOf(document)
  const id = version === 2 ? 'SGX' : document.oneOf('id', ['SGX', 'TDX'])
  if (document.integer('tcbType', 65_535) !== 0) throw document.malformed('tcbType', 'is not 0')
  return {
    id,
    version,
    issueDate: document.date('issueDate'),
    nextUpdate: document.date('nextUpdate'),
    fmspc: document.hex('fmspc', 6),
    pceId: document.hex('pceId', 2),
    tcbEvaluationDataNumber: document.integer('tcbEvaluationDataNumber', Number.MAX_SAFE_INTEGER),
    tdxModule: id === 'TDX' ? readModule(document.object('tdxModule')) : null,
    tdxModuleIdentities: id === 'TDX' ? readModuleIdentities(document) : [],
    levels: readLevels(document, version === 2 ? readFlatComponents : componentReader(id)),
  }
}

function versionOf(document: Members): 2 | 3 {
  const version = document.integer('version', 65_535)
  if (version !== 2 && version !== 3) throw document.malformed('version', 'is not 2 or 3')
  if (version === 2 && document.has('id')) throw document.malformed('id', 'does not occur in version 2')
  return version
}

function readModule(module: Members): TdxModule {
  return {
    mrSigner: module.bytes('mrsigner', 48),
    attributes: module.bytes('attributes', 8),
    attributesMask: module.bytes('attributesMask', 8),
  }
}

function readModuleIdentities(document: Members): TdxModuleIdentity[] {
  if (!document.has('tdxModuleIdentities')) return []
  const identities = document.objects('tdxModuleIdentities', 0).map((identity) => {
    const id = identity.text('id')
    if (!/^TDX_[0-9A-Fa-f]{2}$/.test(id)) throw identity.malformed('id', 'is not TDX_ and two hexadecimal digits')
    return { id, ...readModule(identity), levels: readEnclaveTcbLevels(identity, 255) }
  })
  if (new Set(identities.map(({ id }) => id.toUpperCase())).size < identities.length) {
    throw document.malformed('tdxModuleIdentities', 'has one id twice')
  }
  return identities
}

type Components = Pick<TcbLevel, 'sgxComponents' | 'tdxComponents'>

function readLevels(document: Members, readComponents: (tcb: Members) => Components): TcbLevel[] {
  const levels = document.objects('tcbLevels', 1).map((level) => {
    const tcb = level.object('tcb')
    return {
      ...readComponents(tcb),
      pceSvn: tcb.integer('pcesvn', 65_535),
      tcbDate: level.date('tcbDate'),
      status: level.oneOf('tcbStatus', tcbStatuses),
      advisoryIds: level.texts('advisoryIDs'),
    }
  })
  if (hasEqualLevels(levels)) {
    throw document.malformed('tcbLevels', 'has two levels with the same components and pcesvn')
  }
  return levels
}

function readFlatComponents(tcb: Members): Components {
  const member = (at: number) => `sgxtcbcomp${String(at + 1).padStart(2, '0')}svn`
  return {
    sgxComponents: Array.from({ length: componentCount }, (_, at) => tcb.integer(member(at), 255)),
    tdxComponents: null,
  }
}

function componentReader(id: 'SGX' | 'TDX'): (tcb: Members) => Components {
  return (tcb) => ({
    // Exactly 16: a comparison that stops at the end of a shorter list raises the level of the platform.
    sgxComponents: tcb.integersOf('sgxtcbcomponents', componentCount, 'svn', 255),
    tdxComponents: id === 'TDX' ? tcb.integersOf('tdxtcbcomponents', componentCount, 'svn', 255) : null,
  })
}

function compareComponents(left: readonly number[], right: readonly number[]): number {
  for (let at = 0; at < left.length; at++) {
    const difference = (left[at] ?? 0) - (right[at] ?? 0)
    if (difference !== 0) return difference
  }
  return left.length - right.length
}

/**
 * Above 0 where `left` is the higher level, below 0 where `right` is, 0 for equal ones: lexicographically by SGX
 * components, pcesvn and TDX components (TDX-173).
 */
export function compareTcbLevels(left: TcbLevel, right: TcbLevel): number {
  const sgx = compareComponents(left.sgxComponents, right.sgxComponents)
  if (sgx !== 0) return sgx
  if (left.pceSvn !== right.pceSvn) return left.pceSvn - right.pceSvn
  return compareComponents(left.tdxComponents ?? [], right.tdxComponents ?? [])
}

/** The highest first. */
export function sortTcbLevels(levels: readonly TcbLevel[]): TcbLevel[] {
  return [...levels].sort((left, right) => compareTcbLevels(right, left))
}

function hasEqualLevels(levels: readonly TcbLevel[]): boolean {
  const sorted = sortTcbLevels(levels)
  return sorted.some((level, at) => {
    const next = sorted[at + 1]
    return next !== undefined && compareTcbLevels(level, next) === 0
  })
}
