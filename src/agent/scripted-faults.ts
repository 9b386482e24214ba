import type { MeasurementRegisters } from '../attester/tdx/measurement-registers.ts'
import type { TsmFiles } from '../attester/tdx/tsm-files.ts'
import type { Clock } from '../base/clock.ts'
import { SystemError } from '../platform/system-error.ts'
import { type TpmChannel, tpmSystemError } from '../platform/tpm-channel.ts'
import type { TpmPlan } from '../platform/tpm-plan.ts'
import type { DeviceFault, FaultStep } from '../workload-api/test-routes.ts'

const syscalls: Readonly<Partial<Record<FaultStep, string>>> = {
  mkdir: 'mkdir',
  rmdir: 'rmdir',
  inblob: 'write',
  extend: 'write',
  tpm: 'write',
}

/** Kinds that do not refuse the operation. */
const lenient = ['slow', 'empty', 'other_report_data'] as const
type Met = (typeof lenient)[number] | null

/**
 * Faults of simulated devices, one script a step, as whoever tests has set them (BRK-170). They are met between the agent and the
 * device, so that everything above behaves as with a device that fails by itself.
 */
export class ScriptedFaults {
  readonly #clock: Pick<Clock, 'sleep'>
  readonly #due = new Map<FaultStep, DeviceFault>()

  constructor(clock: Pick<Clock, 'sleep'>) {
    this.#clock = clock
  }

  inject(fault: DeviceFault): void {
    if (fault.kind === 'none') this.#due.delete(fault.step)
    else this.#due.set(fault.step, fault)
  }

  /**
   * To be called by each operation before it is done: takes one fault that is due, waits as long as that says, and throws a
   * `SystemError` where it refuses. Gives how the operation is to go wrong otherwise; null: not at all.
   */
  async meet(step: FaultStep, signal?: AbortSignal): Promise<Met> {
    const fault = this.#due.get(step)
    if (fault === undefined) return null
    if (fault.times > 1) this.#due.set(step, { ...fault, times: fault.times - 1 })
    else this.#due.delete(step)
    if (fault.latencyMs > 0) await this.#clock.sleep(fault.latencyMs, signal)
    const met = lenient.find((kind) => kind === fault.kind)
    if (met === undefined) throw new SystemError(fault.kind, syscalls[step] ?? 'read', 'a scripted fault')
    return met
  }
}

/** The report folder of a simulated TD, with its faults. */
export function faultyTsmFiles(files: TsmFiles, faults: ScriptedFaults): TsmFiles {
  return {
    list: () => files.list(),
    mkdir: async (name) => {
      await faults.meet('mkdir')
      await files.mkdir(name)
    },
    writeOnce: async (name, attribute, bytes) => {
      const met = await faults.meet(attribute)
      await files.writeOnce(name, attribute, met === 'other_report_data' ? bytes.map((byte) => byte ^ 0xff) : bytes)
    },
    readAll: async (name, attribute, limit) => {
      const met = await faults.meet(attribute)
      return met === 'empty' ? new Uint8Array() : files.readAll(name, attribute, limit)
    },
    rmdir: async (name) => {
      await faults.meet('rmdir')
      await files.rmdir(name)
    },
  }
}

export function faultyRegisters(registers: MeasurementRegisters, faults: ScriptedFaults): MeasurementRegisters {
  return {
    read: (index) => registers.read(index),
    extend: async (index, digest) => {
      await faults.meet('extend')
      await registers.extend(index, digest)
    },
  }
}

/** The way to a simulated TPM, with faults of its commands. */
export function faultyTpmPlan(plan: TpmPlan, faults: ScriptedFaults): TpmPlan {
  const faulty = (channel: TpmChannel): TpmChannel => ({
    usable: () => channel.usable(),
    close: () => channel.close(),
    exchange: async (command, signal) => {
      await faults.meet('tpm', signal).catch((cause: unknown) => {
        throw tpmSystemError(cause, 'write', plan.place)
      })
      return channel.exchange(command, signal)
    },
  })
  return { ...plan, open: async (signal) => faulty(await plan.open(signal)) }
}
