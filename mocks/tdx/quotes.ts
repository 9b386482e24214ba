import { createHash, createPublicKey, type KeyObject } from 'node:crypto'
import { concatBytes } from '../../src/base/bytes.ts'
import { encodeQuote, encodeSignedPart, type QuoteParts } from '../../src/evidence/tdx/quote.ts'
import type { QuoteBody } from '../../src/evidence/tdx/quote-body.ts'
import { encodeSgxReport, type SgxReport } from '../../src/evidence/tdx/sgx-report.ts'
import { type QuoteHeader, qeVendorId, teeSgx, teeTdx } from '../../src/evidence/tdx/signed-part.ts'
import type { Rtmrs, TdReport, TdReport15, TdReportExtended } from '../../src/evidence/tdx/td-report.ts'
import { type Identity, newKey, type Validity } from './certificates.ts'
import { pemChain, signRaw } from './collateral.ts'
import { cpuSvnOf, type PckAuthority } from './pck-extension.ts'
import { caOf, issuePck, type SimulatedPki } from './pki.ts'
import { quotingEnclaves, type SimulatedPlatform, teeTcbSvn } from './platform.ts'

/** What a simulated quote says; everything that is left out is as a healthy platform has it. */
export interface QuoteOptions {
  /** Default 4. */
  readonly version?: 3 | 4 | 5
  /** As version 5 numbers bodies: 1 SGX, 2 to 4 TD. Default 1 in version 3, else 2; 3 and 4 need version 5. */
  readonly bodyType?: 1 | 2 | 3 | 4
  /** Up to 64 bytes; zeros are appended (TDX-041). */
  readonly reportData: Uint8Array
  readonly rtmr?: Rtmrs
  /** 48 bytes. */
  readonly mrTd?: Uint8Array
  readonly mrSignerSeam?: Uint8Array
  readonly mrConfigId?: Uint8Array
  /** 8 bytes. */
  readonly tdAttributes?: Uint8Array
  readonly seamAttributes?: Uint8Array
  /** 16 bytes; see `teeTcbSvn`. */
  readonly teeTcbSvn?: Uint8Array
  readonly teeTcbSvn2?: Uint8Array
  /** Of an SGX body. */
  readonly enclave?: Partial<SgxReport>
  /** Changes to the report of the quoting enclave; the binding to the attestation key stays unless it is among them. */
  readonly qeReport?: Partial<SgxReport>
  /** Default 32 bytes, as real quoting enclaves have. */
  readonly qeAuthData?: Uint8Array
  /** Which of the platform's PCK certificates; default that of the platform authority. */
  readonly ca?: PckAuthority
  /** Another platform than the one that the simulator was made for: a PCK certificate is issued for it. */
  readonly platform?: Partial<SimulatedPlatform>
  /** Of a PCK certificate that is issued for this quote; default the one of the platform, which holds for years. */
  readonly pckValidity?: Validity
  /** Zero bytes behind the quote, as some hosts append them (TDX-108). */
  readonly paddingBytes?: number
}

const named = (text: string, algorithm: 'sha256' | 'sha384') =>
  new Uint8Array(createHash(algorithm).update(`attestd simulator: ${text}`).digest())
const zeros = (size: number) => new Uint8Array(size)
const hex = (digits: string) => new Uint8Array(Buffer.from(digits, 'hex'))

/** SEPT_VE_DISABLE alone. */
const usualTdAttributes = hex('0000001000000000')
/** The same of a TD whose memory the host reads. */
export const debugAttributes: Uint8Array = hex('0100001000000000')
/** x87, SSE, AVX, AVX-512, PKRU, AMX. */
const usualXfam = hex('e702060000000000')
const usualAuthData = Uint8Array.from({ length: 32 }, (_, at) => at)

function padded(reportData: Uint8Array): Uint8Array {
  if (reportData.length > 64) throw new TypeError(`report data has ${reportData.length} bytes, may have 64`)
  return concatBytes(reportData, zeros(64 - reportData.length))
}

function tdReport(options: QuoteOptions): TdReport {
  return {
    teeTcbSvn: options.teeTcbSvn ?? teeTcbSvn(),
    mrSeam: named('TDX module', 'sha384'),
    mrSignerSeam: options.mrSignerSeam ?? zeros(48),
    seamAttributes: options.seamAttributes ?? zeros(8),
    tdAttributes: options.tdAttributes ?? usualTdAttributes,
    xfam: usualXfam,
    mrTd: options.mrTd ?? named('TD firmware', 'sha384'),
    mrConfigId: options.mrConfigId ?? zeros(48),
    mrOwner: zeros(48),
    mrOwnerConfig: zeros(48),
    rtmr: options.rtmr ?? [zeros(48), zeros(48), zeros(48), zeros(48)],
    reportData: padded(options.reportData),
  }
}

function tdReport15(options: QuoteOptions): TdReport15 {
  const report = tdReport(options)
  return { ...report, teeTcbSvn2: options.teeTcbSvn2 ?? report.teeTcbSvn, mrServiceTd: zeros(48) }
}

function tdReportExtended(options: QuoteOptions): TdReportExtended {
  const report = tdReport15(options)
  return {
    ...report,
    vmId: 0,
    tdId: named('TD', 'sha256'),
    devInfo: zeros(48),
    initServTdHash: zeros(48),
    initServTdAttr: zeros(8),
    initCpuSvn: zeros(16),
    initTeeTcbSvn: report.teeTcbSvn,
    initTeeFmspc: zeros(12),
    currServTdHash: zeros(48),
    currServTdAttr: zeros(8),
  }
}

function sgxReport(fields: Partial<SgxReport> & Pick<SgxReport, 'reportData' | 'mrEnclave' | 'mrSigner'>): SgxReport {
  return {
    cpuSvn: zeros(16),
    miscSelect: zeros(4),
    reserved1: zeros(12),
    isvExtProdId: zeros(16),
    attributes: hex('0500000000000000e700000000000000'),
    reserved2: zeros(32),
    reserved3: zeros(32),
    configId: zeros(64),
    isvProdId: 0,
    isvSvn: 0,
    configSvn: 0,
    reserved4: zeros(42),
    isvFamilyId: zeros(16),
    ...fields,
  }
}

function bodyOf(bodyType: 1 | 2 | 3 | 4, options: QuoteOptions): QuoteBody {
  if (bodyType === 2) return { kind: 'td-1.0', report: tdReport(options) }
  if (bodyType === 3) return { kind: 'td-1.5', report: tdReport15(options) }
  if (bodyType === 4) return { kind: 'td-1.5-extended', report: tdReportExtended(options) }
  const [mrEnclave, mrSigner] = [named('enclave', 'sha256'), named('signer of the enclave', 'sha256')]
  return {
    kind: 'sgx',
    report: sgxReport({ mrEnclave, mrSigner, reportData: padded(options.reportData), ...options.enclave }),
  }
}

/** The last 64 bytes of the SPKI: x‖y. */
const pointOf = (key: KeyObject) =>
  new Uint8Array(createPublicKey(key).export({ format: 'der', type: 'spki' }).subarray(-64))

const sha256 = (...parts: readonly Uint8Array[]) =>
  new Uint8Array(
    createHash('sha256')
      .update(concatBytes(...parts))
      .digest(),
  )

interface Pck {
  readonly identity: Identity
  readonly platform: SimulatedPlatform
}

function pckFor(pki: SimulatedPki, { ca = 'platform', platform: changed, pckValidity }: QuoteOptions): Pck {
  if (!changed && !pckValidity) {
    return { identity: ca === 'platform' ? pki.platformPck : pki.processorPck, platform: pki.platform }
  }
  const platform = { ...pki.platform, ...changed }
  return { identity: issuePck(pki, ca, platform, pckValidity), platform }
}

function headerOf(version: 3 | 4 | 5, isSgx: boolean, platform: SimulatedPlatform): QuoteHeader {
  const svns = Uint8Array.of(quotingEnclaves.sgx.isvSvn, 0, platform.pceSvn, 0)
  return {
    version,
    attestationKeyType: 2,
    teeType: isSgx ? teeSgx : teeTdx,
    reserved: version === 3 ? svns : zeros(4),
    qeVendorId: hex(qeVendorId),
    userData: concatBytes(sha256(hex(platform.ppid)).subarray(0, 16), zeros(4)),
  }
}

function quotingEnclaveOf(isSgx: boolean, { identity, platform }: Pck, key: KeyObject, options: QuoteOptions) {
  const { mrSigner, mrEnclave, isvProdId, isvSvn, attributes } = quotingEnclaves[isSgx ? 'sgx' : 'tdx']
  const authData = options.qeAuthData ?? usualAuthData
  const report = sgxReport({
    cpuSvn: cpuSvnOf(platform),
    attributes: hex(attributes),
    mrEnclave: hex(mrEnclave),
    mrSigner: hex(mrSigner),
    isvProdId,
    isvSvn,
    reportData: concatBytes(sha256(pointOf(key), authData), zeros(32)),
    ...options.qeReport,
  })
  return { report, authData, signature: signRaw(identity.key, encodeSgxReport(report)) }
}

/**
 * The parts of a quote as a quoting enclave of the simulated platform makes it (TDX-282): a fresh attestation key,
 * bound into a fresh report of the quoting enclave, which the PCK signed; the chain of the PCK as certification data
 * of type 5, ended by a NUL.
 */
export function simulateQuoteParts(pki: SimulatedPki, options: QuoteOptions): QuoteParts {
  const { version = 4, bodyType = version === 3 ? 1 : 2, ca = 'platform', paddingBytes = 0 } = options
  const pck = pckFor(pki, options)
  const key = newKey()
  const [header, body] = [headerOf(version, bodyType === 1, pck.platform), bodyOf(bodyType, options)]
  const chain = `${pemChain(pck.identity, caOf(pki, ca), pki.root)}\0`
  return {
    header,
    body,
    signature: signRaw(key, encodeSignedPart({ header, body })),
    attestationKey: pointOf(key),
    qe: quotingEnclaveOf(bodyType === 1, pck, key, options),
    certification: { type: 5, data: new TextEncoder().encode(chain) },
    paddingBytes,
  }
}

/** `simulateQuoteParts` as bytes. */
export function simulateQuote(pki: SimulatedPki, options: QuoteOptions): Uint8Array {
  return encodeQuote(simulateQuoteParts(pki, options))
}
