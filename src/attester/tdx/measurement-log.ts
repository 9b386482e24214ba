import { createHash } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { type AaelEvent, encodeAaelHeader, encodeAaelRecord } from '../../evidence/tdx/aael.ts'
import { ccEventLogLimits } from '../../evidence/tdx/cc-event-log.ts'
import { attesterErrors } from '../errors.ts'
import { type LogShare, type RecordedExtension, RecordedExtensions } from '../recorded-extensions.ts'
import { attempt, refused } from '../refused-step.ts'
import type { BootLogFiles, RuntimeLogFiles } from './event-log-sources.ts'
import type { ExtendableRtmr, MeasurementRegisters } from './measurement-registers.ts'
import { systemRefusal } from './system-refusal.ts'

export interface MeasurementLogOptions {
  readonly registers: MeasurementRegisters | null
  readonly runtimeLog: RuntimeLogFiles
  readonly bootLog: BootLogFiles
}

export interface Extension extends RecordedExtension {
  readonly register: ExtendableRtmr
  /** SHA-384 of the event data: what the register was extended with. */
  readonly digest: Uint8Array
}

const cannot = ['ENOENT', 'ENOTTY', 'ENODEV', 'ENXIO', 'ENOSYS', 'ENOTSUP', 'EOPNOTSUPP']
const mayNot = ['EACCES', 'EPERM', 'EROFS']

function registerCode(cause: unknown) {
  const errno = systemRefusal(cause)?.errno ?? ''
  if (cannot.includes(errno)) return 'rtmr_unsupported'
  return mayNot.includes(errno) ? 'rtmr_permission' : 'rtmr_not_extended'
}

/** What the arithmetic of the TDX module makes of a register: SHA-384 over both (TDX-031). */
export function extendedValue(register: Uint8Array, digest: Uint8Array): Uint8Array {
  return new Uint8Array(createHash('sha384').update(register).update(digest).digest())
}

/** The runtime registers of a TD and their log (TDX-030 to 036). For one caller at a time. */
export class MeasurementLog {
  #options: MeasurementLogOptions
  #extensions: RecordedExtensions

  constructor(options: MeasurementLogOptions) {
    const { runtimeLog, registers } = options
    const read = (index: number) => readRegister(registers, index)
    this.#options = options
    this.#extensions = new RecordedExtensions({ read, runtimeLog, longestLog: ccEventLogLimits.bytes })
  }

  /** As `RecordedExtensions.recover`; without registers there is nothing that could be done. */
  async recover(): Promise<boolean> {
    const idle = this.#options.registers === null && (await this.#extensions.isPending())
    return idle || this.#extensions.recover()
  }

  /** Extends and logs, both or neither; errors as `TdxAttester.extend` says. */
  async extend(register: ExtendableRtmr, event: AaelEvent, share?: LogShare): Promise<Extension> {
    const { registers } = this.#options
    const { entry, digest } = encodeAaelRecord(register, event)
    if (registers === null) throw unsupported()
    const plan = async (log: Uint8Array) => ({
      entry: log.length > 0 || (await this.#hasBootLog()) ? entry : concatBytes(encodeAaelHeader(), entry),
      after: (before: Uint8Array) => extendedValue(before, digest),
      extend: () => registers.extend(register, digest),
      failed: (failure: { readonly cause: unknown } | null) => notExtended(register, failure),
      // The end marker needs eight bytes, and the log of the firmware the better part of the room (TDX-235).
      room: ccEventLogLimits.bytes / 2,
    })
    const extension = await this.#extensions.extend(register, plan, share)
    return { register, digest, ...extension }
  }

  async #hasBootLog(): Promise<boolean> {
    const { bootLog } = this.#options
    return (await attempt('tdx_log_unreadable', 'the CCEL table', () => bootLog.readTable())) !== null
  }
}

const unsupported = () => attesterErrors.error('rtmr_unsupported', 'there is no way to extend a register')

async function readRegister(registers: MeasurementRegisters | null, index: number): Promise<Uint8Array> {
  if (registers === null || (index !== 2 && index !== 3)) throw unsupported()
  const value = await registers.read(index).catch((cause: unknown) => {
    throw refused(cause, registerCode(cause), `register ${index}`)
  })
  if (value.length === 48) return value
  throw attesterErrors.error('rtmr_not_extended', `register ${index} reads as ${value.length} bytes, must have 48`)
}

function notExtended(register: ExtendableRtmr, failure: { readonly cause: unknown } | null): unknown {
  if (failure === null) {
    const says = `the kernel took the digest and left register ${register} as it was`
    return attesterErrors.error('rtmr_not_extended', says)
  }
  return refused(failure.cause, registerCode(failure.cause), `register ${register}`)
}
