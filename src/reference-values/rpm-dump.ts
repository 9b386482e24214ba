import { MalformedError } from '../base/errors.ts'
import { digestSet, parseDigest, type ReferenceAlgorithm } from './digest-set.ts'
import type { PackagedFile } from './package-file.ts'

/** path size mtime digest mode owner group isconfig isdoc rdev symlink; the path may have blanks. */
const lineForm =
  /^(\/.*) [0-9]+ [0-9]+ ([0-9a-f]+|X?) (0[0-7]{4,6}) \S+ \S+ [01] [01] (?:[0-9]+|0x[0-9a-f]+) (?:X|\S.*)$/

const byLength: ReadonlyMap<number, ReferenceAlgorithm> = new Map([
  [40, 'sha1'],
  [56, 'sha224'],
  [64, 'sha256'],
  [96, 'sha384'],
  [128, 'sha512'],
])
const md5Length = 32

function digestsOf(hex: string, path: string): string {
  const algorithm = byLength.get(hex.length)
  if (algorithm !== undefined) return parseDigest(algorithm, hex, path)
  if (hex.length === md5Length) return digestSet([])
  throw new MalformedError({ path }, `has a digest of ${hex.length} digits`)
}

/** A file that the package names but does not bring has no digest, or one of zeros. */
const isAbsent = (hex: string) => /^(?:X|0*)$/.test(hex)

/**
 * The regular file of one line of `rpm -q --dump`, in one character a byte; null for links, folders, devices, and files
 * that a package does not bring. `path` names the line. Throws `MalformedError` for a line of another form; the text of
 * a path with a line feed has such lines.
 */
export function parseRpmDumpLine(line: string, path: string): PackagedFile | null {
  const [, name = '', hex = '', mode = ''] = lineForm.exec(line) ?? []
  if (name === '') throw new MalformedError({ path }, 'is not a line of rpm -q --dump')
  const bits = Number.parseInt(mode, 8)
  if ((bits & 0o170000) !== 0o100000 || isAbsent(hex)) return null
  return { path: name, digests: digestsOf(hex, path), executable: (bits & 0o111) !== 0 }
}
