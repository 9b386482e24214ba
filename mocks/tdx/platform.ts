import { createHash } from 'node:crypto'

/** The simulated machine as its maker's documents describe it. Byte fields are hexadecimal unless they say otherwise. */
export interface SimulatedPlatform {
  /** 16 bytes: a stable name of the machine. */
  readonly ppid: string
  /** 16 values: what the PCK certificate says of the TCB. */
  readonly components: readonly number[]
  readonly pceSvn: number
  /** 2 bytes. */
  readonly pceId: string
  /** 6 bytes. */
  readonly fmspc: string
  /** 16 bytes; only certificates of the platform authority carry it. */
  readonly platformInstanceId: string
}

const namedBytes = (text: string, size: number) =>
  createHash('sha256')
    .update(text)
    .digest('hex')
    .slice(0, 2 * size)

export const defaultPlatform: SimulatedPlatform = {
  ppid: namedBytes('attestd simulator: PPID', 16),
  components: [3, 3, 2, 2, 4, 1, 0, 5, 0, 0, 0, 0, 0, 0, 0, 0],
  pceSvn: 13,
  pceId: '0000',
  fmspc: '51d0ac000000',
  platformInstanceId: namedBytes('attestd simulator: platform instance', 16),
}

/** A quoting enclave as its identity document describes it. */
export interface SimulatedEnclave {
  readonly id: 'TD_QE' | 'QE'
  /** 32 bytes. */
  readonly mrSigner: string
  readonly mrEnclave: string
  readonly isvProdId: number
  /** The newest, and the one that quotes have by default. */
  readonly isvSvn: number
  /** 16 bytes, as in the report. */
  readonly attributes: string
}

function enclave(id: SimulatedEnclave['id'], isvProdId: number): SimulatedEnclave {
  return {
    id,
    mrSigner: namedBytes('attestd simulator: signer of the quoting enclaves', 32),
    mrEnclave: namedBytes(`attestd simulator: ${id}`, 32),
    isvProdId,
    isvSvn: 4,
    attributes: '1100000000000000e700000000000000',
  }
}

export const quotingEnclaves = { tdx: enclave('TD_QE', 2), sgx: enclave('QE', 1) } as const

/** SVNs of TDX modules and of quoting enclaves, by what TCB info and QE identity say of them. */
export const enclaveSvns = { UpToDate: 4, OutOfDate: 3, Revoked: 2 } as const

/** SVNs of the SEAM loader, tee_tcb_svn[2], by what TCB info says of a platform that has it. SVN 0 has no level. */
export const loaderSvns = {
  UpToDate: 7,
  SWHardeningNeeded: 6,
  ConfigurationNeeded: 5,
  ConfigurationAndSWHardeningNeeded: 4,
  OutOfDate: 3,
  OutOfDateConfigurationNeeded: 2,
  Revoked: 1,
} as const

export type PlatformStatus = keyof typeof loaderSvns
export type EnclaveStatus = keyof typeof enclaveSvns

/** Module versions that TCB info has an identity for, `TDX_01` and `TDX_03` (TDX-281). */
export const moduleVersions = [1, 3] as const

/**
 * The 16 bytes of tee_tcb_svn for which the documents of this simulator give these statuses: minor SVN and version of
 * the module, SVN of the loader. `version` 0 is a module before versions were counted; others than 0, 1 and 3 are
 * unknown to TCB info.
 */
export function teeTcbSvn(
  of: { readonly platform?: PlatformStatus; readonly module?: EnclaveStatus; readonly version?: number } = {},
): Uint8Array {
  const { platform = 'UpToDate', module = 'UpToDate', version = 1 } = of
  return Uint8Array.of(enclaveSvns[module], version, loaderSvns[platform], ...new Uint8Array(13))
}
