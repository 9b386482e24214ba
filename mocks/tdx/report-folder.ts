import type { Clock } from '../../src/base/clock.ts'
import { Turns } from '../../src/base/turns.ts'
import { SystemError } from '../../src/platform/system-error.ts'
import type { Faults } from './faults.ts'

export interface ReportFolderOptions {
  /** Asks the host: 64 bytes of report data to a quote, which may be empty. */
  readonly quote: (reportData: Uint8Array) => Uint8Array
  readonly clock: Pick<Clock, 'sleep'>
  readonly faults: Faults
}

interface Entry {
  inblob: Uint8Array
  /** Writes to any option. */
  written: number
  /** The value of `written` for which `outblob` was made. */
  readonly quoted: { generation: number; outblob: Uint8Array }
}

/** Both are root's alone: the one cannot be read, the other not written. */
const writeOnly = 'inblob'
const readOnly = new Set(['provider', 'generation', 'outblob'])
/** The kernel's buffer for report data. */
const longestInblob = 64

const text = (value: string) => new TextEncoder().encode(`${value}\n`)

/**
 * `/sys/kernel/config/tsm/report` as Linux 6.7 and later has it, in memory (TDX-284): entries appear and go with mkdir and
 * rmdir; a write counts when the file is closed; the length of the report data is judged when the quote is read; all
 * readers of all entries wait for one lock; a quote is kept until an option is written again.
 */
export class SimulatedReportFolder {
  readonly #options: ReportFolderOptions
  readonly #entries = new Map<string, Entry>()
  readonly #lock = new Turns()
  /** How long the host takes for a quote; the real kernel looks once a second (TDX-012). */
  quoteDelayMs = 0
  provider = 'tdx_guest'
  /** False: configfs-tsm is not there. */
  present = true
  /** False: the module has no way to a quote, and mostly says so (`ENXIO`). */
  providerRegistered = true
  /** Another program, which acts behind our write to an entry, or while its quote is made (TDX-004, 007). */
  interference: ((name: string, when: 'written' | 'quoted') => void) | undefined

  constructor(options: ReportFolderOptions) {
    this.#options = options
  }

  async mkdir(name: string): Promise<void> {
    this.#options.faults.meet('mkdir')
    if (!this.present) throw new SystemError('ENOENT', 'mkdir', name)
    if (name === '' || name.includes('/') || name.startsWith('.')) throw new SystemError('EINVAL', 'mkdir', name)
    if (this.#entries.has(name)) throw new SystemError('EEXIST', 'mkdir', name)
    const quoted = { generation: -1, outblob: new Uint8Array() }
    this.#entries.set(name, { inblob: new Uint8Array(), written: 0, quoted })
  }

  async rmdir(name: string): Promise<void> {
    this.#options.faults.meet('rmdir')
    if (!this.#entries.delete(name)) throw new SystemError('ENOENT', 'rmdir', name)
  }

  async list(): Promise<readonly string[]> {
    this.#options.faults.meet('list')
    if (!this.present) throw new SystemError('ENOENT', 'scandir', 'report')
    return [...this.#entries.keys()]
  }

  /** Open, write, close. Bytes beyond the buffer are refused at the write; what the commit thinks is not told. */
  async writeOnce(name: string, attribute: string, bytes: Uint8Array): Promise<void> {
    this.#entry(name, 'open')
    if (readOnly.has(attribute)) throw new SystemError('EACCES', 'open', attribute)
    if (attribute !== writeOnly) throw new SystemError('ENOENT', 'open', attribute)
    this.#options.faults.meet('inblob')
    if (bytes.length > longestInblob) throw new SystemError('EFBIG', 'write', attribute)
    // A write of no bytes never reaches the kernel's buffer, so that nothing is committed.
    if (bytes.length === 0) return
    this.overwrite(name, bytes)
    this.interference?.(name, 'written')
  }

  /** What a write by anybody does to an entry. */
  overwrite(name: string, bytes: Uint8Array): void {
    const entry = this.#entry(name, 'open')
    entry.inblob = Uint8Array.from(bytes)
    entry.written += 1
  }

  async readAll(name: string, attribute: string, limit: number): Promise<Uint8Array> {
    const entry = this.#entry(name, 'open')
    const bytes = await this.#read(name, entry, attribute)
    if (bytes.length > limit) throw new SystemError('EFBIG', 'read', attribute)
    return bytes
  }

  async #read(name: string, entry: Entry, attribute: string): Promise<Uint8Array> {
    if (attribute === 'provider') {
      this.#options.faults.meet('provider')
      return text(this.provider)
    }
    if (attribute === 'generation') {
      this.#options.faults.meet('generation')
      return text(String(entry.written))
    }
    if (attribute === 'outblob') return this.#lock.take(() => this.#readQuote(name, entry))
    throw new SystemError(attribute === writeOnly ? 'EACCES' : 'ENOENT', 'open', attribute)
  }

  async #readQuote(name: string, entry: Entry): Promise<Uint8Array> {
    const { faults, quote, clock } = this.#options
    faults.meet('outblob')
    if (!this.providerRegistered) throw new SystemError('ENXIO', 'read', 'outblob')
    if (entry.inblob.length !== 64) throw new SystemError('EINVAL', 'read', 'outblob')
    if (entry.quoted.generation !== entry.written) {
      const { written, inblob } = entry
      const outblob = quote(inblob)
      if (this.quoteDelayMs > 0) await clock.sleep(this.quoteDelayMs)
      this.interference?.(name, 'quoted')
      Object.assign(entry.quoted, { generation: written, outblob })
    }
    return entry.quoted.outblob
  }

  #entry(name: string, syscall: string): Entry {
    const entry = this.#entries.get(name)
    if (!entry) throw new SystemError('ENOENT', syscall, name)
    return entry
  }
}
