import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { readdir } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setFlagsFromString } from 'node:v8'
import { runInNewContext } from 'node:vm'
import { afterEach, describe, expect, it } from 'vitest'
import { execute } from '../../mocks/swtpm/execute.ts'
import { loadTctildr } from '../../native/tctildr.ts'
import { openPtyDevice } from '../../test/support/pty-device.ts'
import { haveSwtpm, useSwtpm } from '../../test/support/swtpm.ts'
import { tpm2 } from '../evidence/tpm/commands.ts'
import { SystemClock } from './system-clock.ts'
import { TpmConnection } from './tpm-connection.ts'
import { openDeviceChannel } from './tpm-device.ts'
import { planTpm, type TpmSettings } from './tpm-plan.ts'

const haveTctildr = (() => {
  try {
    return loadTctildr() !== undefined
  } catch {
    return false
  }
})()

const never = new AbortController().signal
const openDescriptors = async () => (await readdir('/proc/self/fd')).length

const kinds = [
  { transport: 'swtpm', possible: haveSwtpm },
  { transport: 'tcti', possible: haveSwtpm && haveTctildr },
] as const

describe.each(kinds)('over $transport (NAT-209)', ({ transport, possible }) => {
  describe.skipIf(!possible)('with a simulated TPM', () => {
    const { tpm, restart } = useSwtpm()
    const open: TpmConnection[] = []
    const connect = (timeoutMs = 10_000, tcti = tpm().tcti) => {
      const settings: TpmSettings = { tcti, transport, simulator: true, allowTcti: [] }
      const connection = new TpmConnection({
        plan: planTpm(settings),
        clock: new SystemClock(null),
        random: randomBytes,
        timeoutMs,
      })
      open.push(connection)
      return connection
    }
    afterEach(async () => {
      await Promise.all(open.splice(0).map((connection) => connection.close()))
    })

    it('commands have answers of every size', async () => {
      const { send, kind, simulated } = connect()
      expect([kind, simulated]).toEqual([transport, true])
      const { randomBytes: drawn } = await execute(send, tpm2.getRandom, { bytes: 16 })
      expect(drawn).toHaveLength(16)
      const { publicArea } = await execute(send, tpm2.readPublic, { object: 0x81010001 })
      expect(publicArea.type).toBe('rsa')
      const { values } = await execute(send, tpm2.pcrRead, {
        selection: [{ hash: 0x0b, pcrs: [0, 1, 2, 3, 4, 5, 6, 7] }],
      })
      expect(values).toHaveLength(8)
    })

    it('a refusal is an answer, and the channel stays', async () => {
      const connection = connect()
      await expect(execute(connection.send, tpm2.readPublic, { object: 0x81ffffff })).rejects.toThrow('0x18b')
      await execute(connection.send, tpm2.getRandom, { bytes: 1 })
      expect(connection.generation).toBe(1)
    })

    it('50 commands asked for at once are answered, each with its own answer', async () => {
      const { send } = connect()
      const sizes = Array.from({ length: 50 }, (_, at) => 1 + (at % 32))
      const drawn = await Promise.all(sizes.map((bytes) => execute(send, tpm2.getRandom, { bytes })))
      expect(drawn.map(({ randomBytes: bytes }) => bytes.length)).toEqual(sizes)
    })

    it('a TPM that is killed and started again is found again, with another generation', async () => {
      const connection = connect()
      await execute(connection.send, tpm2.getRandom, { bytes: 8 })
      await tpm().kill()
      await restart()
      const draw = () => execute(connection.send, tpm2.getRandom, { bytes: 8 })
      // A channel that notices the loss at the next command fails that one command, never a later one.
      await draw().catch((error: unknown) => expect(error).toMatchObject({ code: 'TPM_IO' }))
      await draw()
      // The C library connects again by itself; its caller learns from the TPM that its handles are gone.
      expect(connection.generation).toBe(transport === 'tcti' ? 1 : 2)
    })

    it('a TPM that is away is unavailable, and the next attempts are held back', async () => {
      const connection = connect()
      await tpm().kill()
      const draw = () => execute(connection.send, tpm2.getRandom, { bytes: 8 })
      await expect(draw()).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' })
      await expect(draw()).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE', facts: { cause_code: 'TPM_UNAVAILABLE' } })
      await restart()
    })

    it('a TPM that serves somebody else does not answer in time; it is found again when it is free', async () => {
      const client = await tpm().connect()
      await execute(client.send, tpm2.getRandom, { bytes: 1 })
      const connection = connect(400)
      const draw = () => execute(connection.send, tpm2.getRandom, { bytes: 8 })
      await expect(draw()).rejects.toMatchObject({ code: 'TPM_TIMEOUT' })
      await client.close()
      await expect.poll(() => draw().then(Boolean, () => false), { timeout: 20_000 }).toBe(true)
    })

    it('300 answers are right although memory is collected while commands are in flight (NAT-203)', async () => {
      setFlagsFromString('--expose-gc')
      const collect = runInNewContext('gc') as () => void
      const { send } = connect()
      const selection = [{ hash: 0x0b, pcrs: [0, 1, 2, 3, 16, 17, 18, 23] }]
      const expected = await execute(send, tpm2.pcrRead, { selection })
      for (let round = 0; round < 300; round++) {
        const answer = execute(send, tpm2.pcrRead, { selection })
        if (round % 5 === 0) {
          await new Promise((resolve) => setImmediate(resolve))
          for (let junk = 0; junk < 50; junk++) Buffer.alloc(4096, 0xee)
          collect()
        }
        expect((await answer).values).toEqual(expected.values)
      }
    })

    it('opening and closing 20 times leaves no descriptor', async () => {
      await execute(connect().send, tpm2.getRandom, { bytes: 1 })
      await open.pop()?.close()
      const before = await openDescriptors()
      for (let round = 0; round < 20; round++) {
        await using connection = connect()
        await execute(connection.send, tpm2.getRandom, { bytes: 1 })
      }
      expect(await openDescriptors()).toBe(before)
    })
  })
})

describe.skipIf(!haveTctildr)('libtss2-tctildr', () => {
  const connect = (tcti: string) =>
    new TpmConnection({
      plan: planTpm({ tcti, transport: 'tcti', simulator: true, allowTcti: ['nonexistent'] }),
      clock: new SystemClock(null),
      random: randomBytes,
      timeoutMs: 5_000,
    })
  const command = Uint8Array.from([0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8])

  it.each([
    ['device:/dev/no-such-tpm', 'TPM_UNAVAILABLE'],
    ['nonexistent:x', 'TPM_TCTI_UNAVAILABLE'],
    ['swtpm:path=/nowhere/tpm', 'TPM_UNAVAILABLE'],
  ])('%s', async (tcti, code) => {
    await using connection = connect(tcti)
    await expect(connection.send(command)).rejects.toMatchObject({ code })
  })

  it.skipIf(process.getuid?.() === 0)('tells a forbidden device from an absent one', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'attestd-device-'))
    const path = join(folder, 'tpm')
    writeFileSync(path, '')
    chmodSync(path, 0)
    await using connection = connect(`device:${path}`)
    await expect(connection.send(command)).rejects.toMatchObject({ code: 'TPM_PERMISSION' })
    rmSync(folder, { recursive: true })
  })
})

describe('over a device', () => {
  const command = Uint8Array.from([0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8])
  const response = Uint8Array.from([0x80, 0x01, 0, 0, 0, 14, 0, 0, 0, 0, 0, 2, 0xaa, 0xbb])

  it('one write carries the command, one read the response', async () => {
    const device = openPtyDevice()
    const channel = await openDeviceChannel(device.path)
    for (let round = 0; round < 3; round++) {
      const answer = channel.exchange(command, never)
      expect(await device.take()).toEqual(command)
      await device.give(response)
      expect(await answer).toEqual(response)
    }
    await channel.close()
    await device.close()
  })

  it('a device that does not answer stops nobody else, and its end is awaited before it is closed', async () => {
    const device = openPtyDevice()
    const connection = new TpmConnection({
      plan: planTpm({ tcti: `device:${device.path}`, transport: 'device', simulator: false, allowTcti: [] }),
      clock: new SystemClock(null),
      random: randomBytes,
      timeoutMs: 100,
    })
    await expect(connection.send(command)).rejects.toMatchObject({ code: 'TPM_TIMEOUT' })
    expect(connection.state()).toMatchObject({ open: false, generation: 2 })
    await device.take()
    await device.give(response)
    await connection.close()
    await device.close()
  })

  it('is unavailable where it is absent', async () => {
    await expect(openDeviceChannel('/dev/no-such-tpm')).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      facts: { errno: 'ENOENT' },
    })
  })

  it('that refuses writing is an I/O error with its errno', async () => {
    const channel = await openDeviceChannel('/dev/full')
    await expect(channel.exchange(command, never)).rejects.toMatchObject({ code: 'TPM_IO', facts: { errno: 'ENOSPC' } })
    await channel.close()
  })

  it('that answers nothing gives no bytes: the connection refuses that', async () => {
    const channel = await openDeviceChannel('/dev/null')
    expect(await channel.exchange(command, never)).toEqual(new Uint8Array())
    await channel.close()
  })
})
