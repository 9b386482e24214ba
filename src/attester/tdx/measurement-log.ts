import { createHash } from 'node:crypto'
import { concatBytes, equalBytes } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { type AaelEvent, encodeAaelHeader, encodeAaelRecord } from '../../evidence/tdx/aael.ts'
import { ccEventLogLimits } from '../../evidence/tdx/cc-event-log.ts'
import { attesterErrors } from '../errors.ts'
import type { BootLogFiles, RuntimeLogFiles } from './event-log-sources.ts'
import type { ExtendableRtmr, MeasurementRegisters } from './measurement-registers.ts'
import { encodePendingRecord, type PendingExtension, type PendingRecord, parsePendingRecord } from './pending-record.ts'
import { describeFailure, systemRefusal } from './system-refusal.ts'

export interface MeasurementLogOptions {
  readonly registers: MeasurementRegisters | null
  readonly runtimeLog: RuntimeLogFiles
  readonly bootLog: BootLogFiles
}

export interface Extension {
  readonly register: ExtendableRtmr
  /** SHA-384 of the event data: what the register was extended with. */
  readonly digest: Uint8Array
  /** The register afterwards, read back. */
  readonly value: Uint8Array
}

type Code = 'rtmr_unsupported' | 'rtmr_permission' | 'rtmr_not_extended' | 'rtmr_log_pending' | 'tdx_log_unreadable'

const cannot = ['ENOENT', 'ENOTTY', 'ENODEV', 'ENXIO', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']
const mayNot = ['EACCES', 'EPERM', 'EROFS']

/** `code` for what a port could not do; a bug is passed on as it is. */
function refused(cause: unknown, code: Code, doing: string): unknown {
  const failure = describeFailure(cause)
  if (failure === null) return cause
  return attesterErrors.error(code, `${doing}: ${failure.says}`, { cause, facts: failure.facts })
}

async function attempt<T>(code: Code, doing: string, run: () => Promise<T>): Promise<T> {
  try {
    return await run()
  } catch (cause) {
    throw refused(cause, code, doing)
  }
}

function registerCode(cause: unknown): Code {
  const errno = systemRefusal(cause)?.errno ?? ''
  if (cannot.includes(errno)) return 'rtmr_unsupported'
  return mayNot.includes(errno) ? 'rtmr_permission' : 'rtmr_not_extended'
}

/** What the arithmetic of the TDX module makes of a register: SHA-384 over both (TDX-031). */
export function extendedValue(register: Uint8Array, digest: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha384').update(register).update(digest).digest())
}

/**
 * Registers and the log of what they were extended with, kept together across crashes (TDX-036): a record of what is
 * to happen is forced to the disk first, then the register is extended, then the log gets its entry, then the record
 * goes. Which of these steps were done is told afterwards by the register alone. For one caller at a time.
 */
export class MeasurementLog {
  #options: MeasurementLogOptions

  constructor(options: MeasurementLogOptions) {
    this.#options = options
  }

  /**
   * Ends what an interruption left half done. Resolves with false when register and log have parted for good. Throws
   * `rtmr_log_pending`, `tdx_log_unreadable`, or why the register cannot be read.
   */
  async recover(): Promise<boolean> {
    const record = await this.#readRecord()
    if (record === null) return true
    if (record.kind === 'diverged') return false
    const { registers } = this.#options
    return registers === null || (await this.#settle(registers, record.extension)) !== 'diverged'
  }

  /** Extends and logs, both or neither; errors as `TdxAttester.extend` says. */
  async extend(register: ExtendableRtmr, event: AaelEvent): Promise<Extension> {
    const { registers, runtimeLog } = this.#options
    const { entry, digest } = encodeAaelRecord(register, event)
    if (registers === null) throw attesterErrors.error('rtmr_unsupported', 'there is no way to extend a register')
    if (!(await this.recover())) throw diverged()
    const extension = await this.#plan(registers, register, { entry, digest })
    await attempt('rtmr_not_extended', 'the write-ahead record', () =>
      runtimeLog.writeRecord(encodePendingRecord({ kind: 'extending', extension })),
    )
    const failure = await registers.extend(register, digest).then(
      () => null,
      (cause: unknown) => ({ cause }),
    )
    const settled = await this.#settle(registers, extension)
    if (settled === 'logged') return { register, digest, value: extension.after }
    if (settled === 'diverged') throw diverged()
    throw this.#notExtended(register, failure)
  }

  async #plan(
    registers: MeasurementRegisters,
    register: ExtendableRtmr,
    { entry, digest }: { readonly entry: Uint8Array; readonly digest: Uint8Array },
  ): Promise<PendingExtension> {
    const before = await this.#readRegister(registers, register)
    const log = await this.#readLog()
    const whole = log.length > 0 || (await this.#hasBootLog()) ? entry : concatBytes(encodeAaelHeader(), entry)
    // The end marker needs eight bytes, and the log of the firmware the better part of the room (TDX-235).
    if (log.length + whole.length > ccEventLogLimits.bytes / 2) {
      throw attesterErrors.error('rtmr_log_full', `the log has ${log.length} bytes`)
    }
    return { register, before, after: extendedValue(before, digest), offset: log.length, entry: whole }
  }

  /** The rule of TDX-036: the register alone tells how far it got. */
  async #settle(
    registers: MeasurementRegisters,
    extension: PendingExtension,
  ): Promise<'logged' | 'dropped' | 'diverged'> {
    const { runtimeLog } = this.#options
    const value = await this.#readRegister(registers, extension.register)
    if (equalBytes(value, extension.after)) return this.#append(extension)
    if (!equalBytes(value, extension.before)) return this.#diverge()
    await attempt('rtmr_log_pending', 'the write-ahead record', () => runtimeLog.removeRecord())
    return 'dropped'
  }

  async #append({ offset, entry }: PendingExtension): Promise<'logged' | 'diverged'> {
    const { runtimeLog } = this.#options
    const log = await this.#readLog()
    const tail = log.subarray(offset)
    // A crash may have left the beginning of our entry; anything else there was written by somebody else.
    if (log.length < offset || !equalBytes(tail, entry.subarray(0, tail.length))) return this.#diverge()
    await attempt('rtmr_log_pending', 'the event log', () => runtimeLog.writeAt(offset, entry))
    await attempt('rtmr_log_pending', 'the write-ahead record', () => runtimeLog.removeRecord())
    return 'logged'
  }

  async #diverge(): Promise<'diverged'> {
    const { runtimeLog } = this.#options
    await attempt('rtmr_log_pending', 'the write-ahead record', () =>
      runtimeLog.writeRecord(encodePendingRecord({ kind: 'diverged' })),
    )
    return 'diverged'
  }

  /** A record that does not parse says that something happened, and not what. */
  async #readRecord(): Promise<PendingRecord | null> {
    const { runtimeLog } = this.#options
    const bytes = await attempt('tdx_log_unreadable', 'the write-ahead record', () => runtimeLog.readRecord())
    if (bytes === null) return null
    try {
      return parsePendingRecord(bytes)
    } catch (error) {
      if (error instanceof AttestdError) return { kind: 'diverged' }
      throw error
    }
  }

  async #readLog(): Promise<Uint8Array> {
    const { runtimeLog } = this.#options
    const read = () => runtimeLog.read(ccEventLogLimits.bytes)
    return (await attempt('tdx_log_unreadable', 'the event log', read)) ?? new Uint8Array()
  }

  async #hasBootLog(): Promise<boolean> {
    const { bootLog } = this.#options
    return (await attempt('tdx_log_unreadable', 'the CCEL table', () => bootLog.readTable())) !== null
  }

  async #readRegister(registers: MeasurementRegisters, index: ExtendableRtmr): Promise<Uint8Array> {
    const value = await registers.read(index).catch((cause: unknown) => {
      throw refused(cause, registerCode(cause), `register ${index}`)
    })
    if (value.length === 48) return value
    throw attesterErrors.error('rtmr_not_extended', `register ${index} reads as ${value.length} bytes, must have 48`)
  }

  #notExtended(register: ExtendableRtmr, failure: { readonly cause: unknown } | null): unknown {
    if (failure === null) {
      return attesterErrors.error(
        'rtmr_not_extended',
        `the kernel took the digest and left register ${register} as it was`,
      )
    }
    return refused(failure.cause, registerCode(failure.cause), `register ${register}`)
  }
}

function diverged(): AttestdError {
  return attesterErrors.error('rtmr_log_diverged', 'an extension left the register at neither of its expected values')
}
