/**
 * Contents that a measured buffer may have (IMA-17): `kexec-cmdline`, tables of the device mapper, critical data of the
 * kernel. Plain data: it can be given to another thread.
 */
export interface ImaBufferList {
  /** Name as in the log, escaped (`escapedName`): `kexec-cmdline`, `dm_table_load`, `selinux-state`. */
  readonly name: string
  /** SHA-256 of each content, 64 lower-case hexadecimal digits; whatever algorithm the log names. */
  readonly sha256: readonly string[]
}

/** All names with a list; a name without one has no reference values, which is not the same as an empty list. */
export type ImaBufferReferences = readonly ImaBufferList[]
