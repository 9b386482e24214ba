import type { FieldCursor } from '../../evidence/ima/field-cursor.ts'
import { kernelHashOf } from '../../evidence/ima/kernel-hashes.ts'
import { digestsOf } from '../../reference-values/digest-set.ts'
import { DigestLookup, type DigestVerdict, digestCode } from '../../reference-values/digest-table.ts'
import { createPathMatcher, type PathMatcher } from '../../reference-values/path-matcher.ts'
import type { ImaReferences } from '../../reference-values/tpm-references.ts'

/** `excluded`: no digest allows the file, and a rule says that it is not judged (IMA-16). */
export type FileVerdict = DigestVerdict | 'excluded'

/** Digests of one pattern: code of the algorithm and digest, one character a byte. */
type Pieces = ReadonlySet<string>

const pieceOf = (code: number, digest: Uint8Array) => String.fromCharCode(code) + Buffer.from(digest).toString('latin1')

/**
 * Compares measured files with their reference values (IMA-15, IMA-16): exact bytes of the path, exact algorithm, exact
 * digest; no normalisation, no folding of case. The table of exact paths answers for nearly all records; patterns and
 * excludes are only asked where it does not allow the file.
 */
export class FileJudge {
  /** False where the reference values are about no file at all: then none is judged. */
  readonly hasFiles: boolean
  #lookup: DigestLookup
  #matcher: PathMatcher
  #pieces: readonly Pieces[]
  #log: Uint8Array
  #algorithm = ''
  #code = -1

  constructor({ files, patterns, exclude }: ImaReferences, log: Uint8Array) {
    this.hasFiles = files.entries + patterns.length > 0
    this.#lookup = new DigestLookup(files, log)
    this.#matcher = createPathMatcher([...patterns, ...exclude].map(({ pattern }) => pattern))
    this.#pieces = patterns.map(
      ({ digests }) =>
        new Set(digestsOf(digests).map(({ algorithm, digest }) => pieceOf(digestCode(algorithm), digest))),
    )
    this.#log = log
  }

  /** The record has a digest and a name. */
  judge({ algorithm, digestAt, nameAt, nameEnd }: FieldCursor): FileVerdict {
    if (algorithm !== this.#algorithm) {
      this.#algorithm = algorithm
      this.#code = digestCode(algorithm)
    }
    const verdict = this.#lookup.find(nameAt, nameEnd, this.#code, digestAt)
    return verdict === 'allowed' ? verdict : this.#byPatterns(verdict, digestAt, nameAt, nameEnd)
  }

  #byPatterns(verdict: DigestVerdict, digestAt: number, nameAt: number, nameEnd: number): FileVerdict {
    const matched = this.#matcher(this.#log, nameAt, nameEnd)
    if (matched.length === 0) return verdict
    const digest = this.#log.subarray(digestAt, digestAt + (kernelHashOf(this.#algorithm)?.size ?? 0))
    const piece = pieceOf(this.#code, digest)
    if (this.#code >= 0 && matched.some((index) => this.#pieces[index]?.has(piece) === true)) return 'allowed'
    if (matched.some((index) => index >= this.#pieces.length)) return 'excluded'
    return 'changed'
  }
}
