import { AttestdError } from '../../src/base/errors.ts'
import type { JournalFiles } from '../../src/passport/journal/journal-files.ts'

const full = () =>
  new AttestdError('FILE_UNUSABLE', { kind: 'unavailable', title: 't', remedy: 'r' }, 'write failed with ENOSPC')

/** A folder of the journal in memory, whose disk can be full: a write that does not fit leaves its beginning. */
export class MemoryJournal implements JournalFiles {
  readonly files = new Map<string, Uint8Array>()
  /** Bytes that still fit. */
  room = Number.POSITIVE_INFINITY

  list = async () => [...this.files.keys()].sort()

  read = async (name: string, maxBytes: number) => {
    const bytes = this.files.get(name) ?? null
    if (bytes !== null && bytes.length > maxBytes) throw new Error('longer than the reader takes')
    return bytes
  }

  writeAt = async (name: string, offset: number, bytes: Uint8Array) => {
    const kept = (this.files.get(name) ?? new Uint8Array()).subarray(0, offset)
    const fits = bytes.subarray(0, Math.max(0, Math.min(bytes.length, this.room)))
    this.files.set(name, new Uint8Array(Buffer.concat([kept, fits])))
    this.room -= fits.length
    if (fits.length < bytes.length) throw full()
  }

  remove = async (name: string) => {
    this.files.delete(name)
  }
}
