import type { DigestSet } from './digest-set.ts'
import type { MeasuredName } from './reference-values.ts'

/** A regular file as the manifest of a package names it: its path with a `/` first, one character a byte. */
export interface PackagedFile {
  readonly path: MeasuredName
  /** Empty where the package names a digest that is too weak to be a reference value, or none. */
  readonly digests: DigestSet
  /** Has an execute bit. */
  readonly executable: boolean
}

const merged = /^\/(?:bin|sbin|lib|lib32|lib64|libx32)\//

/** The path on a system on which `/bin`, `/sbin` and `/lib*` are links into `/usr`. */
export function mergedUsrPath(path: MeasuredName): MeasuredName {
  return merged.test(path) ? `/usr${path}` : path
}
