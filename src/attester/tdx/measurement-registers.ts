/** Number of a runtime measurement register; MR of a log entry is one more (TDX-032). */
export type RtmrIndex = 0 | 1 | 2 | 3
/** Registers that may be extended from outside of the firmware and the kernel (TDX-032). */
export type ExtendableRtmr = 2 | 3

/**
 * Runtime measurement registers of this guest (TDX-030, 031). Rejects with errors that carry `code` (the name of an
 * errno) and `syscall`: `ENOENT`, `ENOTTY`, `ENOTSUP` mean that this kernel cannot do it.
 */
export interface MeasurementRegisters {
  /** The 48 bytes of a register as they are now. */
  read(index: RtmrIndex): Promise<Uint8Array>
  /** Replaces the register by SHA-384(register ‖ digest); `digest` has 48 bytes. Whether it did, the caller checks. */
  extend(index: ExtendableRtmr, digest: Uint8Array): Promise<void>
}
