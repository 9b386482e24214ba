import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import type { TpmPlan } from '../platform/tpm-plan.ts'
import type { DeviceFault } from '../workload-api/test-routes.ts'
import { faultyRegisters, faultyTpmPlan, ScriptedFaults } from './scripted-faults.ts'

const fault = (about: Partial<DeviceFault>): DeviceFault => ({
  ...{ step: 'outblob', kind: 'EBUSY', latencyMs: 0, times: 1 },
  ...about,
})
const busy = expect.objectContaining({ code: 'EBUSY', syscall: 'read' })

describe('scripted faults of devices (BRK-170)', () => {
  it('are met as often as they are due, at their step alone', async () => {
    const faults = new ScriptedFaults(new FakeClock())
    faults.inject(fault({ times: 2 }))
    expect(await faults.meet('mkdir')).toBeNull()
    await expect(faults.meet('outblob')).rejects.toEqual(busy)
    await expect(faults.meet('outblob')).rejects.toEqual(busy)
    expect(await faults.meet('outblob')).toBeNull()
  })

  it('take the place of one another, and are taken back', async () => {
    const faults = new ScriptedFaults(new FakeClock())
    faults.inject(fault({ times: 9 }))
    faults.inject(fault({ kind: 'empty', times: 9 }))
    expect(await faults.meet('outblob')).toBe('empty')
    faults.inject(fault({ kind: 'none' }))
    expect(await faults.meet('outblob')).toBeNull()
  })

  it('hold an operation back for their latency, and no longer than it is wanted', async () => {
    const clock = new FakeClock()
    const faults = new ScriptedFaults(clock)
    faults.inject(fault({ latencyMs: 1000, times: 2 }))
    let told: unknown
    const slow = faults.meet('outblob').catch((error: unknown) => {
      told = error
    })
    await clock.advance(999)
    expect(told).toBeUndefined()
    await clock.advance(1)
    await slow
    expect(told).toEqual(busy)
    const gone = new AbortController()
    const left = faults.meet('outblob', gone.signal)
    gone.abort(new Error('the caller left'))
    await expect(left).rejects.toThrow('the caller left')
  })

  it('refuse an extension before the register has it', async () => {
    const faults = new ScriptedFaults(new FakeClock())
    const extended: number[] = []
    const registers = faultyRegisters(
      { read: async () => new Uint8Array(48), extend: async (index) => void extended.push(index) },
      faults,
    )
    faults.inject(fault({ step: 'extend', kind: 'EIO' }))
    await expect(registers.extend(3, new Uint8Array(48))).rejects.toMatchObject({ code: 'EIO', syscall: 'write' })
    expect(extended).toEqual([])
    await registers.extend(3, new Uint8Array(48))
    expect(extended).toEqual([3])
  })

  it('refuse a command to the TPM, or hold it back for as long as it is wanted, before the TPM has it', async () => {
    const clock = new FakeClock()
    const faults = new ScriptedFaults(clock)
    const sent: Uint8Array[] = []
    const exchange = async (command: Uint8Array) => {
      sent.push(command)
      return Uint8Array.of(1)
    }
    const open: TpmPlan['open'] = async () => ({ exchange, usable: () => true, close: async () => undefined })
    const plan = faultyTpmPlan({ kind: 'swtpm', simulated: true, place: 'swtpm at x', open }, faults)
    const { signal } = new AbortController()
    const channel = await plan.open(signal)
    faults.inject(fault({ step: 'tpm', kind: 'EIO' }))
    await expect(channel.exchange(Uint8Array.of(2), signal)).rejects.toMatchObject({ code: 'TPM_IO' })
    faults.inject(fault({ step: 'tpm', kind: 'slow', latencyMs: 1000 }))
    const gone = new AbortController()
    const left = channel.exchange(Uint8Array.of(3), gone.signal)
    gone.abort(new Error('nobody waits any more'))
    await expect(left).rejects.toThrow('nobody waits any more')
    expect([sent, clock.sleeping]).toEqual([[], 0])
    expect(await channel.exchange(Uint8Array.of(4), signal)).toEqual(Uint8Array.of(1))
    expect(sent).toEqual([Uint8Array.of(4)])
  })
})
