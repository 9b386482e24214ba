import { firstSeqOf, type JournalFiles, longestFile } from './journal-files.ts'
import { readRecord } from './record.ts'

export interface JournalPage {
  /** Whole lines, each a JSON object. */
  readonly lines: readonly string[]
  /** Ask for what comes behind this record; equal to what was asked for at the end. */
  readonly next: number
  /** A line that cannot be read stands behind `next`. */
  readonly broken: boolean
}

const lineFeed = 0x0a
const mostLines = 500
const mostBytes = 1024 * 1024

/** Records behind the record `since`, oldest first, as many as one answer holds. */
export async function readJournal(files: JournalFiles, since: number): Promise<JournalPage> {
  const names = await files.list()
  const at = names.findLastIndex((name) => firstSeqOf(name) <= since + 1)
  const page = new Page(since)
  for (const name of names.slice(Math.max(0, at))) {
    if (page.isFull) break
    const bytes = await files.read(name, longestFile)
    if (bytes !== null) page.take(bytes)
  }
  return page
}

class Page implements JournalPage {
  readonly lines: string[] = []
  next: number
  broken = false
  #bytes = 0

  constructor(since: number) {
    this.next = since
  }

  get isFull(): boolean {
    return this.broken || this.lines.length >= mostLines || this.#bytes >= mostBytes
  }

  take(bytes: Uint8Array): void {
    let start = 0
    for (let end = bytes.indexOf(lineFeed); end !== -1 && !this.isFull; end = bytes.indexOf(lineFeed, start)) {
      this.#takeLine(bytes.subarray(start, end))
      start = end + 1
    }
  }

  #takeLine(line: Uint8Array): void {
    const seq = seqOf(line)
    if (seq !== null && seq <= this.next) return
    const read = readRecord(line)
    if (!read.ok) {
      this.broken = true
      return
    }
    this.lines.push(new TextDecoder().decode(line))
    this.#bytes += line.length
    this.next = read.head.seq
  }
}

/** A glance at the number, without reading the record: what was given already is passed over. */
function seqOf(line: Uint8Array): number | null {
  const text = Buffer.from(line.buffer, line.byteOffset, line.length).toString('latin1')
  const found = /"seq":([0-9]{1,15})[,}]/.exec(text)
  return found ? Number(found[1]) : null
}
