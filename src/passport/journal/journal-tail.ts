import { firstSeqOf, type JournalFiles, longestFile } from './journal-files.ts'
import { beginning, type JournalHead, readRecord } from './record.ts'

/** Where a journal ends, and what of its end is not as it was written. */
export interface JournalTail {
  readonly head: JournalHead
  /** What to go on in, up to its last whole line; null: in a new file. */
  readonly file: { readonly name: string; readonly size: number } | null
  /** Bytes behind the last whole line: a crash left them (BRK-122). */
  readonly tornBytes: number
  /** The last whole line is not a record: somebody else wrote there, or the disk lost it. */
  readonly broken: boolean
}

const lineFeed = 0x0a

/** Finds the end of the journal. Only its last line is judged: all of it is for `attestd journal verify`. */
export async function findTail(files: JournalFiles): Promise<JournalTail> {
  const names = await files.list()
  const last = names.at(-1)
  if (last === undefined) return { head: beginning, file: null, tornBytes: 0, broken: false }
  const bytes = await contentOf(files, last)
  const size = bytes.lastIndexOf(lineFeed) + 1
  const tornBytes = bytes.length - size
  const before = names.at(-2)
  if (size > 0) return { ...tailOf(last, bytes.subarray(0, size)), tornBytes }
  // The process ended before the first record of a new file was whole.
  const file = { name: last, size: 0 }
  if (before === undefined) return { head: headBefore(last), file, tornBytes, broken: firstSeqOf(last) !== 1 }
  const { head, broken } = tailOf(before, wholeLines(await contentOf(files, before)))
  return { head, file: firstSeqOf(last) === head.seq + 1 ? file : null, tornBytes, broken }
}

const contentOf = async (files: JournalFiles, name: string) => (await files.read(name, longestFile)) ?? new Uint8Array()

const headBefore = (name: string): JournalHead => ({ seq: firstSeqOf(name) - 1, hash: beginning.hash })

const wholeLines = (bytes: Uint8Array) => bytes.subarray(0, bytes.lastIndexOf(lineFeed) + 1)

function tailOf(name: string, lines: Uint8Array): Omit<JournalTail, 'tornBytes'> {
  const start = lines.lastIndexOf(lineFeed, lines.length - 2) + 1
  const read = readRecord(lines.subarray(start, lines.length - 1))
  if (read.ok) return { head: read.head, file: { name, size: lines.length }, broken: false }
  const seq = firstSeqOf(name) + countLines(lines) - 1
  return { head: { seq, hash: beginning.hash }, file: null, broken: true }
}

function countLines(lines: Uint8Array): number {
  let count = 0
  for (let at = lines.indexOf(lineFeed); at !== -1; at = lines.indexOf(lineFeed, at + 1)) count++
  return count
}
