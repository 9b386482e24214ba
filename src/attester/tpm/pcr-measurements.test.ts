import { describe, expect, it } from 'vitest'
import { execute } from '../../../mocks/swtpm/execute.ts'
import { haveSwtpm, useSwtpm } from '../../../test/support/swtpm.ts'
import { SwtpmConnection } from '../../../test/support/swtpm-connection.ts'
import { attestingMachine } from '../../../test/support/tpm-attesting.ts'
import { toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import { countRuntimeRecords } from '../../evidence/event-log/runtime-records.ts'
import { parseAaelData } from '../../evidence/tdx/aael.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { replayEventLog } from '../../verifier/event-log/replay-event-log.ts'

const event = { domain: 'app', operation: 'load', content: 'x' }

/** The process ends at one step, before it or after it; the files stay. */
class Killed extends Error {}

class MemoryRuntimeLog {
  log: Uint8Array | null = null
  record: Uint8Array | null = null
  steps = 0
  /** The step at which the process ends; odd numbers end it after the step was done. */
  killAt = -1

  #step(act: () => void): void {
    const at = this.steps++
    if (this.killAt === 2 * at) throw new Killed()
    act()
    if (this.killAt === 2 * at + 1) throw new Killed()
  }

  read = async () => this.log
  readRecord = async () => this.record
  writeAt = async (offset: number, bytes: Uint8Array) =>
    this.#step(() => {
      this.log = new Uint8Array(Buffer.concat([(this.log ?? new Uint8Array()).subarray(0, offset), bytes]))
    })
  writeRecord = async (record: Uint8Array) => this.#step(() => (this.record = record))
  removeRecord = async () => this.#step(() => (this.record = null))
}

describe.skipIf(!haveSwtpm)('PCRs that are extended through us', () => {
  const { tpm } = useSwtpm('measuring-host')

  async function rig(runtimeLog = new MemoryRuntimeLog()) {
    const connection = new SwtpmConnection(tpm)
    await execute(connection.send, tpm2.pcrReset, { pcr: 23 })
    const machine = () => attestingMachine(connection, { pcrs: [0, 23], runtimeLog }).attester
    const read = async () => {
      const selection = [{ hash: 0x000b, pcrs: [23] }]
      return (await execute(connection.send, tpm2.pcrRead, { selection })).values[0] ?? new Uint8Array()
    }
    const replayed = () =>
      replayEventLog(parseEventLog(runtimeLog.log ?? new Uint8Array()))
        .registers.get('sha256')
        ?.get(23)
    return { connection, runtimeLog, machine, read, replayed }
  }

  it('have a log that leads to them, in every active bank, and the evidence has it (TDX-036, BRK-84)', async () => {
    const { connection, runtimeLog, machine, read, replayed } = await rig()
    const attester = machine()
    expect((await attester.extend({ ...event, pcr: 23 })).logIndex).toBe(0)
    const second = await attester.extend({ ...event, content: 'y', pcr: 23 })
    expect(second.logIndex).toBe(1)
    expect(second.digests.size).toBeGreaterThan(1)
    expect(toHex(await read())).toBe(toHex(replayed() ?? new Uint8Array()))
    await attester.identity()
    const { eventLog } = await attester.collect(new Uint8Array(32).fill(3))
    expect(eventLog).toEqual(runtimeLog.log)
    expect(runtimeLog.record).toBeNull()
    await connection[Symbol.asyncDispose]()
  })

  it('are not extended beyond the share of their domains', async () => {
    const { connection, runtimeLog, machine, read } = await rig()
    const attester = machine()
    const share = { bytes: 1024, covers: (domain: string) => domain === event.domain }
    await attester.extend({ ...event, pcr: 23, share })
    const [log, value] = [runtimeLog.log, toHex(await read())]
    const more = { ...event, content: 'x'.repeat(1024), pcr: 23, share }
    await expect(attester.extend(more)).rejects.toMatchObject({ code: 'rtmr_log_share' })
    expect([runtimeLog.log, toHex(await read())]).toEqual([log, value])
    expect((await attester.extend({ ...more, share: undefined })).logIndex).toBe(1)
    await connection[Symbol.asyncDispose]()
  })

  it('and their log are together again after a kill at every step (TDX-036)', async () => {
    let killed = 0
    for (let killAt = 0; killAt < 8; killAt++) {
      const { connection, runtimeLog, machine, read, replayed } = await rig()
      await machine().extend({ ...event, content: 'before', pcr: 23 })
      runtimeLog.steps = 0
      runtimeLog.killAt = killAt
      await machine()
        .extend({ ...event, pcr: 23 })
        .catch((error: unknown) => {
          if (!(error instanceof Killed)) throw error
          killed++
        })
      runtimeLog.killAt = -1
      const next = await machine().extend({ ...event, content: 'after', pcr: 23 })
      expect(toHex(await read()), `killed at ${killAt}`).toBe(toHex(replayed() ?? new Uint8Array()))
      expect(next.logIndex).toBe(countRuntimeRecords(runtimeLog.log ?? new Uint8Array()) - 1)
      const last = parseEventLog(runtimeLog.log ?? new Uint8Array()).events.at(-1)
      expect(parseAaelData(last?.data ?? new Uint8Array()).content).toBe('after')
      await connection[Symbol.asyncDispose]()
    }
    expect(killed).toBeGreaterThanOrEqual(6)
  })

  it('are not extended twice where the connection failed after the TPM had done it (NAT-58)', async () => {
    const { connection, runtimeLog, read, replayed } = await rig()
    let sent = 0
    const failing = {
      kind: 'swtpm' as const,
      simulated: connection.simulated,
      get generation() {
        return connection.generation
      },
      send: async (command: Uint8Array) => {
        const answer = await connection.send(command)
        if (new DataView(command.buffer, command.byteOffset).getUint32(6) !== tpm2.pcrExtend.code) return answer
        sent++
        throw new AttestdError('TPM_IO', { kind: 'unavailable', title: 't', remedy: 'r' }, 'gone')
      },
      [Symbol.asyncDispose]: async () => undefined,
    }
    const { attester } = attestingMachine(failing, { pcrs: [0, 23], runtimeLog })
    await attester.extend({ ...event, pcr: 23 })
    expect(sent).toBe(1)
    expect(toHex(await read())).toBe(toHex(replayed() ?? new Uint8Array()))
    await connection[Symbol.asyncDispose]()
  })

  it('are left alone where no verifier could follow: foreign extensions, PCRs of others, no log', async () => {
    const { connection, machine, runtimeLog } = await rig()
    for (const pcr of [0, 7, 10, 17, 22]) {
      await expect(machine().extend({ ...event, pcr })).rejects.toMatchObject({ code: 'pcr_unsupported' })
    }
    const without = attestingMachine(connection, { pcrs: [0, 23] }).attester
    await expect(without.extend({ ...event, pcr: 23 })).rejects.toMatchObject({ code: 'pcr_unsupported' })
    const digests = [{ hash: 'sha256' as const, digest: new Uint8Array(32) }]
    await execute(connection.send, tpm2.pcrExtend, { pcr: 23, digests })
    await expect(machine().extend({ ...event, pcr: 23 })).rejects.toMatchObject({ code: 'rtmr_log_diverged' })
    expect([runtimeLog.log, runtimeLog.record]).toEqual([null, null])
    await connection[Symbol.asyncDispose]()
  })
})
