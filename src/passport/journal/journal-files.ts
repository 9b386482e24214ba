/**
 * Port to the folder of the journal. Names are those of `fileNameOf`; rejects with `AttestdError` for what the system
 * refuses, a full disk above all.
 */
export interface JournalFiles {
  /** Sorted. */
  list(): Promise<readonly string[]>
  /** Refuses a file of more than `maxBytes`; null: there is none, for the oldest are removed while others look. */
  read(name: string, maxBytes: number): Promise<Uint8Array | null>
  /** Cuts the file at `offset` if it is longer, appends, and waits for the disk. Makes the file where there is none. */
  writeAt(name: string, offset: number, bytes: Uint8Array): Promise<void>
  remove(name: string): Promise<void>
}

/** BRK-122. */
export const rotationBytes = 16 * 1024 * 1024

/** A file is longer than the bound by one batch at most. */
export const longestFile = rotationBytes + 8 * 1024 * 1024

const nameForm = /^[0-9]{16}\.jsonl$/

/** Files are named by their first record, so that nothing has to be renamed when one is full. */
export function fileNameOf(seq: number): string {
  return `${String(seq).padStart(16, '0')}.jsonl`
}

export const isFileName = (name: string) => nameForm.test(name)

export const firstSeqOf = (name: string) => Number(name.slice(0, 16))
