/** Attributes of a report entry that a TDX quote needs (TDX 1.1). */
export type TsmAttribute = 'provider' | 'inblob' | 'outblob' | 'generation'

/**
 * The report folder of configfs (`/sys/kernel/config/tsm/report`), operation by operation (TDX-014). Each rejects with
 * an error whose `code` is the name of the errno ("EBUSY") and whose `syscall` is the call that failed, as Node's own
 * file errors do; anything else that is thrown is a bug. Operations cannot be taken back, and run one after another.
 */
export interface TsmFiles {
  /** Makes the entry `name`; its attributes appear by themselves. `EEXIST` where there is one. */
  mkdir(name: string): Promise<void>
  /**
   * One open for writing only, one write of all `bytes`, close (TDX-003). That it resolves does not say that the kernel
   * took the bytes: configfs commits at close and drops the error (TDX-004).
   */
  writeOnce(name: string, attribute: TsmAttribute, bytes: Uint8Array): Promise<void>
  /**
   * One open, read to the end whatever `stat` says of the size (TDX-005). `EFBIG` when there are more than `limit`
   * bytes. The read of `outblob` blocks for 1 to 30 seconds, and must not hold up the event loop (TDX-013).
   */
  readAll(name: string, attribute: TsmAttribute, limit: number): Promise<Uint8Array>
  /** Removes an entry; the only way to remove one (TDX-008). */
  rmdir(name: string): Promise<void>
  /** Names of all entries, of any program. */
  list(): Promise<readonly string[]>
}
