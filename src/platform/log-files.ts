import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { concatBytes } from '../base/bytes.ts'
import { AttestdError } from '../base/errors.ts'
import { readImaLog } from '../evidence/ima/ima-log.ts'
import type { HashName } from '../evidence/tpm/algorithms.ts'
import type { ImaLogPart } from '../evidence/tpm/evidence.ts'
import { platformErrors } from './errors.ts'
import { isAbsent } from './file-errors.ts'
import { readToEnd } from './protected-file.ts'

/** Where the kernel shows the logs. */
const logPaths = {
  eventLog: '/sys/kernel/security/tpm0/binary_bios_measurements',
  ima: '/sys/kernel/security/ima/binary_runtime_measurements',
} as const

/** In bytes. Firmware writes some ten kilobytes; IMA about 150 bytes a record. */
const logLimits = { eventLog: 8 << 20, ima: 512 << 20 } as const

type LogCode = 'eventlog_unreadable' | 'ima_unreadable'

function unreadable(code: LogCode, path: string, cause: unknown): unknown {
  const { code: errno, syscall } = cause as NodeJS.ErrnoException
  if (cause instanceof AttestdError || errno === undefined || syscall === undefined) return cause
  return platformErrors.error(code, `${path}: ${syscall} failed with ${errno}`, { cause, facts: { path, errno } })
}

function tooLong(code: LogCode, path: string, limit: number): AttestdError {
  const remedy = 'a log of this size is not sent; find out what writes so much into it'
  return platformErrors.error(code, `${path}: has more than ${limit} bytes`, { remedy, facts: { path, limit } })
}

/** Without O_NONBLOCK the opening of a named pipe would wait for its writer, and hold a thread of the pool as long. */
async function openLog(path: string, code: LogCode): Promise<FileHandle | null> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw platformErrors.error(code, `${path}: is not a regular file`, { facts: { path } })
}

/**
 * Reads the event log of the firmware to its end; its `stat` says size 0 (TPM-08). Null where the machine has none.
 * Throws `eventlog_unreadable` where it may not be read, cannot be read, or is longer than `limit` bytes.
 */
export async function readEventLog(
  path: string = logPaths.eventLog,
  limit: number = logLimits.eventLog,
): Promise<Uint8Array | null> {
  try {
    await using file = await openLog(path, 'eventlog_unreadable')
    if (file === null) return null
    const log = await readToEnd(file, limit)
    if (log === null) throw tooLong('eventlog_unreadable', path, limit)
    return log
  } catch (error) {
    throw unreadable('eventlog_unreadable', path, error)
  }
}

export interface ImaLogOptions {
  readonly path?: string
  /** Digest of the template-hash column in this file: `_sha256` and the like have another than SHA-1. */
  readonly column?: HashName
  readonly limit?: number
}

/**
 * The measurement list of the kernel, through one descriptor that stays open: a later read gives exactly the records
 * that were added (TPM-09). What was read is kept, so that any record can be asked for again.
 */
export class ImaLogFile implements AsyncDisposable {
  #path: string
  #column: HashName
  #limit: number
  #file: FileHandle | null = null
  #parts: Uint8Array[] = []
  #size = 0
  /** Byte offset behind each record. */
  #ends: number[] = []
  #turn: Promise<unknown> = Promise.resolve()

  constructor({ path = logPaths.ima, column = 'sha1', limit = logLimits.ima }: ImaLogOptions = {}) {
    this.#path = path
    this.#column = column
    this.#limit = limit
  }

  /**
   * All records from number `from` on (counted since boot), as they are now; the whole log where there are fewer,
   * since then the counting was about another boot. Null where the kernel keeps no log. Throws `ima_unreadable`, or
   * `MalformedError` for what is not a measurement list.
   */
  readFrom(from: number): Promise<ImaLogPart | null> {
    const part = this.#turn.then(() => this.#readFrom(from))
    this.#turn = part.catch(() => undefined)
    return part
  }

  async close(): Promise<void> {
    await this.#turn
    await this.#forget()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  async #readFrom(from: number): Promise<ImaLogPart | null> {
    try {
      this.#file ??= await openLog(this.#path, 'ima_unreadable')
      if (this.#file === null) return null
      await this.#readOn(this.#file)
    } catch (error) {
      // The descriptor has moved on over bytes that are not kept: the next read begins again.
      await this.#forget()
      throw unreadable('ima_unreadable', this.#path, error)
    }
    const start = from <= this.#ends.length ? from : 0
    const whole = this.#whole()
    return { from: start, column: this.#column, data: whole.subarray(start === 0 ? 0 : this.#ends[start - 1]) }
  }

  async #readOn(file: FileHandle): Promise<void> {
    const added = await readToEnd(file, this.#limit - this.#size)
    if (added === null) throw tooLong('ima_unreadable', this.#path, this.#limit)
    for (const { data } of readImaLog(added, this.#column)) {
      this.#ends.push(this.#size + data.byteOffset + data.length - added.byteOffset)
    }
    this.#size += added.length
    this.#parts.push(added)
  }

  async #forget(): Promise<void> {
    const file = this.#file
    this.#file = null
    this.#parts = []
    this.#ends = []
    this.#size = 0
    await file?.close()
  }

  #whole(): Uint8Array {
    const [first] = this.#parts
    if (this.#parts.length === 1 && first) return first
    const whole = concatBytes(...this.#parts)
    this.#parts = [whole]
    return whole
  }
}
