/** The log of the firmware and the boot loader (TDX-020). Null where the machine has none. Rejects like `TsmFiles`. */
export interface BootLogFiles {
  /** The CCEL ACPI table, 56 bytes where it is well formed. */
  readTable(): Promise<Uint8Array | null>
  /** The log that the table describes, padding included; `EFBIG` above `limit` bytes. */
  readLog(limit: number): Promise<Uint8Array | null>
}

/**
 * The log of what was extended while the system ran (TDX-021), and beside it the write-ahead record of the extension
 * that is under way (TDX-036). Every method resolves when what it did would survive a crash. Rejects like `TsmFiles`.
 */
export interface RuntimeLogFiles {
  /** All bytes of the log; null where there is none yet. `EFBIG` above `limit` bytes. */
  read(limit: number): Promise<Uint8Array | null>
  /** Cuts the log at `offset` if it is longer, then appends `bytes`. Makes the log where there is none. */
  writeAt(offset: number, bytes: Uint8Array): Promise<void>
  readRecord(): Promise<Uint8Array | null>
  /** Puts `record` in place of the one before, whole or not at all. */
  writeRecord(record: Uint8Array): Promise<void>
  removeRecord(): Promise<void>
}
