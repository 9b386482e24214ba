import type { HashName } from './algorithms.ts'

/** One quote with the values that it is about; the container may hold up to four, by one key (EVD-04). */
export interface TpmQuote {
  /** TPMS_ATTEST, as the TPM gave it. */
  readonly attest: Uint8Array
  /** TPMT_SIGNATURE over exactly these bytes. */
  readonly signature: Uint8Array
  /** Bank → PCR index → value. */
  readonly pcrs: ReadonlyMap<HashName, ReadonlyMap<number, Uint8Array>>
}

/** Records of the kernel's binary IMA log, from the record `from` (counted since boot) on. */
export interface ImaLogPart {
  readonly from: number
  /** Digest of the template-hash column in this file (EVD-06). */
  readonly column: HashName
  readonly data: Uint8Array
}

/** TPM evidence, container version 1 (SVC-23): what the guest says, unverified. */
export interface TpmEvidence {
  readonly ak: {
    /** TPM2B_PUBLIC. */
    readonly publicArea: Uint8Array
    /** PEM, where the provider certified the key. */
    readonly certificate: string | null
  }
  readonly ek: {
    /** TPM2B_PUBLIC. */
    readonly publicArea: Uint8Array | null
    /** DER as in NV, padding included. */
    readonly certificate: Uint8Array | null
    /** DER, intermediates only. */
    readonly chain: readonly Uint8Array[]
  }
  readonly quotes: readonly TpmQuote[]
  /** `binary_bios_measurements`. */
  readonly eventLog: Uint8Array | null
  readonly ima: ImaLogPart | null
  /** The sender says that its TPM is a simulator (member `hints.simulated`); it can only lower the trust. */
  readonly simulated: boolean
  /**
   * The command line that the kernel was started with (member `hints.kernelCmdline`), if the sender says it; believed
   * only where the event log binds it (ELOG-20).
   */
  readonly kernelCmdline?: string
}
