import { toHex } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'

/**
 * Digests of files by the names that Linux gives their algorithms, with their length in bytes. The order is that of
 * documents; a code in a `DigestSet` is the place in it, so that new ones go to the end.
 */
export const referenceAlgorithms = {
  sha1: 20,
  sha224: 28,
  sha256: 32,
  sha384: 48,
  sha512: 64,
  sm3: 32,
} as const

export type ReferenceAlgorithm = keyof typeof referenceAlgorithms

export const referenceAlgorithmNames = Object.keys(referenceAlgorithms) as ReferenceAlgorithm[]

export function isReferenceAlgorithm(name: string): name is ReferenceAlgorithm {
  return Object.hasOwn(referenceAlgorithms, name)
}

/**
 * Some digests as one text of one character a byte: code of the algorithm, digest, and so on, ascending and each once.
 * Equal sets are equal texts, and a million of them take a third of the memory of hexadecimal.
 */
export type DigestSet = string

/** Digests of one algorithm in one line of a document. */
export const maximumDigests = 4096

export interface FileDigest {
  readonly algorithm: ReferenceAlgorithm
  /** As long as `referenceAlgorithms` says. */
  readonly digest: Uint8Array
}

const piecesOf = (set: DigestSet): string[] => {
  const pieces: string[] = []
  for (let at = 0; at < set.length; ) {
    const name = referenceAlgorithmNames[set.charCodeAt(at)]
    if (name === undefined) throw new TypeError('a digest set begins with the code of an algorithm')
    const end = at + 1 + referenceAlgorithms[name]
    pieces.push(set.slice(at, end))
    at = end
  }
  return pieces
}

const setOfPieces = (pieces: Iterable<string>): DigestSet => [...new Set(pieces)].sort().join('')

/** The set of one digest in lower-case hexadecimal. */
export function hexDigest(algorithm: ReferenceAlgorithm, hex: string): DigestSet {
  // Decoded in one piece: a text that is put together of two keeps both and a third object for good.
  return Buffer.from(`0${referenceAlgorithmNames.indexOf(algorithm)}${hex}`, 'hex').toString('latin1')
}

export function digestSet(digests: Iterable<FileDigest>): DigestSet {
  return setOfPieces(Array.from(digests, ({ algorithm, digest }) => hexDigest(algorithm, toHex(digest))))
}

/** All digests of a set, by algorithm, then ascending. */
export function digestsOf(set: DigestSet): FileDigest[] {
  return piecesOf(set).flatMap((piece) => {
    const algorithm = referenceAlgorithmNames[piece.charCodeAt(0)]
    return algorithm === undefined ? [] : [{ algorithm, digest: new Uint8Array(Buffer.from(piece.slice(1), 'latin1')) }]
  })
}

/** Whether a set has a digest of this algorithm. */
export function hasAlgorithm(set: DigestSet, algorithm: ReferenceAlgorithm): boolean {
  for (let at = 0; at < set.length; ) {
    const name = referenceAlgorithmNames[set.charCodeAt(at)]
    if (name === undefined) throw new TypeError('a digest set begins with the code of an algorithm')
    if (name === algorithm) return true
    at += 1 + referenceAlgorithms[name]
  }
  return false
}

/** Zero if the piece stands there, positive if a later one does. */
function compareAt(set: DigestSet, at: number, piece: string): number {
  for (let index = 0; index < piece.length; index++) {
    const difference = set.charCodeAt(at + index) - piece.charCodeAt(index)
    if (difference !== 0) return difference
  }
  return 0
}

/** The set with one more digest, in the time of one pass over it: a path may come with a new digest in every line. */
function withPiece(set: DigestSet, piece: string): DigestSet {
  for (let at = 0; at < set.length; ) {
    const name = referenceAlgorithmNames[set.charCodeAt(at)]
    if (name === undefined) throw new TypeError('a digest set begins with the code of an algorithm')
    const order = compareAt(set, at, piece)
    if (order === 0) return set
    if (order > 0) return `${set.slice(0, at)}${piece}${set.slice(at)}`
    at += 1 + referenceAlgorithms[name]
  }
  return set + piece
}

/** Digests that are in one of the sets, or in several. */
export function uniteDigests(...sets: readonly DigestSet[]): DigestSet {
  const [first = '', ...others] = sets.filter((set, index) => sets.indexOf(set) === index)
  if (others.length === 0) return first
  const [second = '', ...more] = others
  const pieces = piecesOf(second)
  const [piece] = pieces
  if (more.length === 0 && pieces.length === 1 && piece !== undefined) return withPiece(first, piece)
  return setOfPieces([first, ...others].flatMap(piecesOf))
}

/** The same digests in sets of `maximum` at most. */
export function splitDigests(set: DigestSet, maximum: number): DigestSet[] {
  const pieces = piecesOf(set)
  return Array.from({ length: Math.ceil(pieces.length / maximum) }, (_none, index) =>
    pieces.slice(index * maximum, (index + 1) * maximum).join(''),
  )
}

/** The digests of `set` that are not in `others`. */
export function withoutDigests(set: DigestSet, others: DigestSet): DigestSet {
  const away = new Set(piecesOf(others))
  return setOfPieces(piecesOf(set).filter((piece) => !away.has(piece)))
}

/** Parses one digest strictly: lower-case hexadecimal of the length of its algorithm. */
export function parseDigest(algorithm: ReferenceAlgorithm, hex: unknown, path: string): DigestSet {
  const length = 2 * referenceAlgorithms[algorithm]
  if (typeof hex !== 'string' || hex.length !== length || !/^[0-9a-f]*$/.test(hex)) {
    throw new MalformedError({ path }, `is not a ${algorithm} digest of ${length} lower-case hexadecimal digits`)
  }
  return hexDigest(algorithm, hex)
}
