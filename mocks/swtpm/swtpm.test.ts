import { X509Certificate } from 'node:crypto'
import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseEventLog } from '../../src/evidence/event-log/event-log.ts'
import { type HashName, hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { matchRegisters, replayEventLog } from '../../src/verifier/event-log/replay-event-log.ts'
import { replayImaLog } from '../../src/verifier/ima/replay-ima-log.ts'
import { haveSwtpm, useSwtpm } from '../../test/support/swtpm.ts'
import { activeBanks, execute, readPcr, type TpmTransport } from './execute.ts'
import { simulateFirmware } from './measured-boot.ts'
import { simulateIma } from './measured-files.ts'
import { startSwtpm } from './swtpm.ts'

async function registers(send: TpmTransport): Promise<Map<HashName, Map<number, Uint8Array>>> {
  const all = new Map<HashName, Map<number, Uint8Array>>()
  for (const bank of await activeBanks(send)) {
    const values = new Map<number, Uint8Array>()
    for (let pcr = 0; pcr < 24; pcr++) values.set(pcr, await readPcr(send, hashAlgorithms[bank].id, pcr))
    all.set(bank, values)
  }
  return all
}

describe.skipIf(!haveSwtpm)('a simulated TPM', () => {
  const { made, tpm, restart } = useSwtpm('simulated-host-7')

  it('has an EK certificate that its own maker signed, with the name of the machine', async () => {
    await using client = await tpm().connect()
    const { nvPublic } = await execute(client.send, tpm2.nvReadPublic, { index: 0x01c00002 })
    const parts: Uint8Array[] = []
    for (let offset = 0; offset < nvPublic.dataSize; offset += 512) {
      const size = Math.min(512, nvPublic.dataSize - offset)
      const { data } = await execute(client.send, tpm2.nvRead, {
        authority: 0x40000001,
        index: 0x01c00002,
        size,
        offset,
      })
      parts.push(data)
    }
    const certificate = new X509Certificate(Buffer.concat(parts))
    const issuer = new X509Certificate(readFileSync(made().issuerCertificate))
    const root = new X509Certificate(readFileSync(made().rootCertificate))
    expect(certificate.subject).toContain('CN=simulated-host-7')
    expect(certificate.verify(issuer.publicKey)).toBe(true)
    expect(issuer.verify(root.publicKey)).toBe(true)
    expect(root.verify(root.publicKey)).toBe(true)
  })

  it('listens where only its owner can connect', () => {
    expect(statSync(dirname(tpm().path)).mode & 0o777).toBe(0o700)
    expect(statSync(tpm().path).mode & 0o777).toBe(0o600)
    expect(existsSync(`${tpm().path}.ctrl`)).toBe(true)
  })

  it('boots: the event log leads to the registers of every bank, and IMA continues from there', async () => {
    await using client = await tpm().connect()
    await tpm().powerCycle(client)
    const { eventLog } = await simulateFirmware(client.send)
    const ima = await simulateIma(client.send)
    const quoted = await registers(client.send)
    const replay = replayEventLog(parseEventLog(eventLog))
    expect([...quoted.keys()]).toEqual(['sha1', 'sha256', 'sha384'])
    expect(matchRegisters(replay, quoted)).toEqual({ mismatches: [], missingBanks: [], unaccounted: [10] })
    const measured = [...(replay.registers.get('sha256') ?? new Map()).keys()].sort((a, b) => a - b)
    expect(measured).toEqual([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14])

    const pcr10 = new Map([...quoted].map(([bank, values]) => [bank, values.get(10) ?? new Uint8Array()]))
    const replayed = replayImaLog(ima.log(), { quoted: pcr10, pcr: 10, column: 'sha1', acceptSha1Padded: false })
    expect(replayed).toMatchObject({ matched: 5, pending: 0, records: 5, violations: 0, wrongColumn: null })
    expect(ima.records()).toBe(5)
  })

  it('boots differently with another command line or without secure boot', async () => {
    await using client = await tpm().connect()
    const boot = async (options: object) => {
      await tpm().powerCycle(client)
      await simulateFirmware(client.send, options)
      return (await registers(client.send)).get('sha256') ?? new Map<number, Uint8Array>()
    }
    const usual = await boot({})
    const differing = async (options: object) => {
      const other = await boot(options)
      return [...usual]
        .filter(([pcr, value]) => !Buffer.from(value).equals(other.get(pcr) ?? Buffer.alloc(0)))
        .map(([pcr]) => pcr)
    }
    expect(await differing({})).toEqual([])
    expect(await differing({ commandLine: 'root=/dev/evil' })).toEqual([8])
    expect(await differing({ secureBoot: false })).toEqual([7])
    expect(await differing({ firmware: 'other code' })).toEqual([0])
  })

  it('keeps its keys over a power cycle, a kill and a restart', async () => {
    const name = async () => {
      await using client = await tpm().connect()
      return Buffer.from((await execute(client.send, tpm2.readPublic, { object: 0x81010001 })).name).toString('hex')
    }
    const before = await name()
    await tpm().kill()
    await expect(tpm().connect()).rejects.toMatchObject({ code: 'TPM_UNAVAILABLE' })
    await restart()
    expect(await name()).toBe(before)
    const folder = tpm().socketDirectory
    await tpm().stop()
    expect(existsSync(folder)).toBe(true)
  })

  it('removes the folder of its sockets only where it made it', async () => {
    const given = mkdtempSync(join(tmpdir(), 'attestd-given-'))
    onTestFinished(() => rmSync(given, { recursive: true }))
    const own = await startSwtpm(made())
    await own.stop()
    expect(existsSync(own.socketDirectory)).toBe(false)
    await (await startSwtpm({ ...made(), socketDirectory: given })).stop()
    expect(existsSync(given)).toBe(true)
  })
})
