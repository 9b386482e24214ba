import { createHash, randomBytes } from 'node:crypto'
import { afterAll, beforeEach, describe, expect, it } from 'vitest'
import { activeBanks, execute, readPcr } from '../../mocks/swtpm/execute.ts'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import type { SimulatedBoot } from '../../mocks/swtpm/measured-events.ts'
import type { TpmAttester, TpmIdentity } from '../../src/attester/tpm/tpm-attester.ts'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { hexDigest } from '../../src/reference-values/digest-set.ts'
import { ReferenceCollector } from '../../src/reference-values/reference-collector.ts'
import { type TpmReferences, tpmReferences } from '../../src/reference-values/tpm-references.ts'
import { appraiseTpm, type TpmAppraisal } from '../../src/verifier/tpm/appraise-tpm.ts'
import { defaultTpmRequirements, type TpmEnrolment, type TpmRequirements } from '../../src/verifier/tpm/inputs.ts'
import { type GeneratedRecord, type ImaBank, imaLogOf, imaRecord } from '../support/ima-logs.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'
import { SwtpmConnection } from '../support/swtpm-connection.ts'
import { attestingMachine } from '../support/tpm-attesting.ts'

/**
 * A machine whose firmware and kernel measure into a real TPM, quoted by the attester and appraised against reference
 * values; then one thing is changed, in the machine or in what it says, and exactly these checks fail.
 */

const draw = (size: number) => new Uint8Array(randomBytes(size))
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 14]
const installed: Readonly<Record<string, string>> = {
  '/init': 'init',
  '/usr/lib/systemd/systemd': 'service manager',
  '/usr/bin/bash': 'shell',
  '/usr/bin/attestd': 'agent',
}

/** What the machine says of itself. */
interface Said {
  eventLog: Uint8Array
  ima: Uint8Array
}

describe.skipIf(!haveSwtpm)('a measured boot', () => {
  const { tpm } = useSwtpm('measured-boot')
  const connection = new SwtpmConnection(tpm)
  const said: Said = { eventLog: new Uint8Array(), ima: new Uint8Array() }
  let records: GeneratedRecord[] = []
  let attester: TpmAttester
  let identity: TpmIdentity | null = null
  let references: TpmReferences
  afterAll(() => connection[Symbol.asyncDispose]())

  /** The kernel measures: the log grows, and PCR 10 of every bank is extended. */
  async function measure(...made: readonly GeneratedRecord[]): Promise<void> {
    for (const record of made) {
      const banks = (await activeBanks(connection.send)) as ImaBank[]
      const digests = banks.map((hash) => ({ hash, digest: new Uint8Array(record.extension(hash)) }))
      await execute(connection.send, tpm2.pcrExtend, { pcr: 10, digests })
    }
    records.push(...made)
    said.ima = imaLogOf(records).bytes
  }

  const file = (path: string, content: string, violation = false) =>
    imaRecord('ima-ng', Buffer.from(path), { content: Buffer.from(content), violation })

  async function bootAggregate(): Promise<GeneratedRecord> {
    const values: Uint8Array[] = []
    for (let pcr = 0; pcr < 10; pcr++) values.push(await readPcr(connection.send, hashAlgorithms.sha256.id, pcr))
    return imaRecord('ima-ng', Buffer.from('boot_aggregate'), { content: Buffer.from(concatBytes(...values)) })
  }

  /** Switches the machine off and on; nothing is measured yet but the boot. */
  async function start(boot: SimulatedBoot = {}): Promise<void> {
    await tpm().powerCycle(await connection.client(), { orderly: true })
    said.eventLog = (await simulateFirmware(connection.send, boot)).eventLog
    records = []
  }

  async function boot(options: SimulatedBoot = {}): Promise<void> {
    await start(options)
    await measure(await bootAggregate(), ...Object.entries(installed).map(([path, content]) => file(path, content)))
  }

  /** What is learnt from a machine in the wanted state: digests of its files, and its PCRs. */
  async function learn(): Promise<TpmReferences> {
    const collector = new ReferenceCollector()
    for (const [path, content] of Object.entries(installed)) {
      collector.addFile(path, hexDigest('sha256', sha256(content)))
    }
    const golden = []
    for (const pcr of [0, 4, 7]) {
      golden.push({ pcr, accepted: [toHex(await readPcr(connection.send, hashAlgorithms.sha256.id, pcr))] })
    }
    collector.add({ kind: 'pcrs', image: 'wanted', banks: [{ hash: 'sha256', pcrs: golden }] })
    return tpmReferences(collector.build(), [1, 2])
  }

  function enrolmentOf({ ak, ek, simulated }: TpmIdentity): TpmEnrolment {
    return {
      akName: ak.name,
      akTrust: 'ek-pinned',
      akParent: { under: 'ek', ekName: ek.name },
      ...{ ekSpkiSha256: null, ekCertSha256: null, ekNotAfter: null, anchor: null, instanceId: null },
      ...{ crlStatus: null, crlFreshUntil: null, simulated, counters: null, imaCheckpoint: null },
    }
  }

  async function appraise(
    requirements: Partial<TpmRequirements> = {},
    before: Partial<TpmEnrolment> = {},
  ): Promise<TpmAppraisal> {
    if (identity === null) throw new Error('the machine was not started')
    const qualifyingData = draw(32)
    const evidence = await attester.collect(qualifyingData)
    return appraiseTpm(evidence, {
      now: 0,
      expected: { qualifyingData, selection: 'any' },
      enrolment: { ...enrolmentOf(identity), ...before },
      requirements: { ...defaultTpmRequirements, pcrs, ima: 'required', ...requirements },
      references,
      simulator: true,
    })
  }

  const failed = ({ findings }: TpmAppraisal) =>
    findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)
  const detailOf = ({ findings }: TpmAppraisal, wanted: string) => findings.find(({ id }) => id === wanted)?.detail

  beforeEach(async () => {
    await boot()
    if (identity !== null) return
    attester = attestingMachine(connection, {
      ek: { template: 'p-384-high' },
      pcrs,
      readEventLog: async () => said.eventLog,
      readImaLog: async () => said.ima,
    }).attester
    identity = await attester.identity()
    references = await learn()
  })

  it('in the wanted state is affirmed, and says so', async () => {
    const appraisal = await appraise()
    expect(failed(appraisal)).toEqual([])
    expect(appraisal.affirmed).toBe(true)
    expect(appraisal.claims).toMatchObject({
      tpm: { eventlog_verified: true, secure_boot: true },
      ima: { verified: true, boot_aggregate_matched: true, entry_count: 5, pending_count: 0, not_allowed_count: 0 },
    })
  })

  it('that goes on while it is quoted has records that are pending, and nothing is said of them', async () => {
    const before = said.ima
    const { attester: busy } = attestingMachine(connection, {
      ek: { template: 'p-384-high' },
      pcrs,
      readEventLog: async () => said.eventLog,
      readImaLog: async () => {
        await measure(file('/tmp/after-the-quote', 'unknown'))
        return said.ima
      },
    })
    ;[attester, identity] = [busy, await busy.identity()]
    const appraisal = await appraise()
    expect(said.ima.length).toBeGreaterThan(before.length)
    expect(failed(appraisal)).toEqual([])
    expect(appraisal.claims['ima']).toMatchObject({ entry_count: 5, pending_count: 1, not_allowed_count: 0 })
    identity = null
  })

  type Change = () => Promise<void> | void
  /** What the machine did, or what it says instead; the checks that fail; what the first of them tells. */
  const changes: Readonly<Record<string, readonly [Change, readonly string[], RegExp]>> = {
    'an allow-listed file has other content': [
      () => measure(file('/usr/bin/bash', 'another shell')),
      ['tpm.ima.files'],
      /\/usr\/bin\/bash/,
    ],
    'a file ran that no list names': [() => measure(file('/tmp/miner', 'x')), ['tpm.ima.files'], /\/tmp\/miner/],
    'a file was written while it was measured': [
      () => measure(file('/var/log/wtmp', '', true)),
      ['tpm.ima.violations'],
      /1 violation.*\/var\/log\/wtmp/,
    ],
    'one entry of the log is dropped': [() => say(records.toSpliced(2, 1)), ['tpm.ima.replay'], /none of the prefixes/],
    'two entries of the log are exchanged': [
      () => say([...records.slice(0, 2), ...records.slice(2, 4).reverse(), ...records.slice(4)]),
      ['tpm.ima.replay'],
      /none of the prefixes/,
    ],
    'an entry of the log is doubled': [
      () => say([...records.slice(0, 3), ...records.slice(2)]),
      ['tpm.ima.replay'],
      /none of the prefixes/,
    ],
    'an entry is renamed, and its column fits': [
      () => say(records.with(3, file('/usr/bin/dash', 'shell'))),
      ['tpm.ima.replay'],
      /none of the prefixes/,
    ],
    'the column of one entry is forged': [() => flip(recordAt(3) + 4), ['tpm.ima.column'], /record 3/],
    'the digest of one entry is forged, and not its column': [
      () => flip(recordAt(4) - 20),
      ['tpm.ima.replay', 'tpm.ima.column'],
      /none of the prefixes/,
    ],
    'the log lacks its last entry': [() => say(records.slice(0, -1)), ['tpm.ima.replay'], /prefixes of 4 records/],
    'the log is cut inside an entry': [
      () => {
        said.ima = said.ima.subarray(0, -1)
      },
      ['tpm.ima.wellFormed'],
      /needs|has/,
    ],
    'the log is that of another boot': [
      async () => {
        const { ima } = said
        await boot({ commandLine: 'root=/dev/vdb' })
        said.ima = ima
      },
      ['tpm.ima.replay', 'tpm.ima.bootAggregate'],
      /none of the prefixes/,
    ],
    'PCR 10 was extended behind the log': [
      async () => {
        await measure(file('/tmp/hidden', 'x'))
        say(records.slice(0, -1))
      },
      ['tpm.ima.replay'],
      /none of the prefixes/,
    ],
    'the kernel began with the registers of another boot': [
      async () => {
        const before = await bootAggregate()
        await start({ commandLine: 'root=/dev/vdb' })
        await measure(before, file('/init', 'init'))
      },
      ['tpm.ima.bootAggregate'],
      /./,
    ],
    'the log begins with a file': [
      async () => {
        await start()
        await measure(file('/init', 'init'), file('/usr/bin/bash', 'shell'))
      },
      ['tpm.ima.firstRecord', 'tpm.ima.bootAggregate'],
      /./,
    ],
    'secure boot is off': [() => boot({ secureBoot: false }), ['tpm.references.pcrs'], /7/],
    'the firmware is another one': [() => boot({ firmware: 'other code' }), ['tpm.references.pcrs'], /0/],
    'an event of the firmware is dropped': [
      () => {
        const from = eventAt(3)
        said.eventLog = concatBytes(said.eventLog.subarray(0, from), said.eventLog.subarray(eventAt(4)))
      },
      ['tpm.eventlog.replay'],
      /PCR/,
    ],
    'the event log is that of another boot': [
      async () => {
        const { eventLog } = said
        await boot({ commandLine: 'root=/dev/vdb' })
        said.eventLog = eventLog
      },
      ['tpm.eventlog.replay'],
      /PCR 8/,
    ],
    'the event log is cut inside an event': [
      () => {
        said.eventLog = said.eventLog.subarray(0, -1)
      },
      ['tpm.eventlog.wellFormed'],
      /./,
    ],
    'the event log says another text than was measured': [
      () => {
        const at = Buffer.from(said.eventLog).indexOf('Exit Boot Services Invocation')
        said.eventLog = said.eventLog.with(at, 0x58)
      },
      ['tpm.eventlog.payloads'],
      /./,
    ],
    'the firmware measured something that no log knows': [
      async () => {
        const digests = [{ hash: 'sha256' as const, digest: draw(32) }]
        await execute(connection.send, tpm2.pcrExtend, { pcr: 2, digests })
      },
      ['tpm.eventlog.replay', 'tpm.ima.bootAggregate'],
      /PCR 2/,
    ],
  }

  it.each(Object.entries(changes))('%s', async (_what, [change, expected, says]) => {
    await change()
    const appraisal = await appraise()
    expect(failed(appraisal)).toEqual(expected)
    expect(detailOf(appraisal, expected[0] ?? '')).toMatch(says)
    expect([appraisal.affirmed, appraisal.claims, appraisal.counters]).toEqual([false, {}, null])
  })

  it('on which another kernel was started says so, and is refused where policy does not allow it', async () => {
    await measure(await bootAggregate())
    expect((await appraise()).claims['ima']).toMatchObject({ kexec_count: 1 })
    expect(failed(await appraise({ imaPolicy: { kexec: 'refuse' } }))).toEqual(['tpm.ima.kexec'])
  })

  /** What the log says then; the checks that fail; what the appraisal tells beside a verifier that judged it before. */
  const troubles: readonly (readonly [string, Change, RegExp])[] = [
    [
      'an entry that was judged is dropped',
      () => say(records.toSpliced(2, 1)),
      /first 5 records are not those .* dropped, exchanged or changed$/,
    ],
    [
      'two entries that were judged are exchanged',
      () => say([...records.slice(0, 2), ...records.slice(2, 4).reverse(), ...records.slice(4)]),
      /first 5 records are not those .* dropped, exchanged or changed$/,
    ],
    [
      'the log is cut to what it was long ago',
      () => say(records.slice(0, 3)),
      /was cut: 5 records were judged earlier/,
    ],
    [
      'an entry that is new is missing',
      () => say(records.slice(0, -1)),
      /first 5 records are as they were .* something else extended the PCR$/,
    ],
  ]
  it.each(troubles)('that was judged before tells where the trouble is: %s', async (_, change, tells) => {
    const { imaCheckpoint } = await appraise()
    await measure(file('/init', 'init'), file('/init', 'init'))
    await change()
    const appraisal = await appraise({}, { imaCheckpoint })
    expect(failed(appraisal)).toEqual(['tpm.ima.replay'])
    expect(detailOf(appraisal, 'tpm.ima.replay')).toMatch(tells)
    say(records)
    expect(failed(await appraise({}, { imaCheckpoint }))).toEqual([])
  })

  it('without secure boot claims that, where no reference value asks for it', async () => {
    const kept = references
    references = { ...kept, pcrs: [] }
    await boot({ secureBoot: false })
    const appraisal = await appraise()
    references = kept
    expect(failed(appraisal)).toEqual([])
    expect(appraisal.claims['tpm']).toMatchObject({ secure_boot: false })
  })

  function say(instead: readonly GeneratedRecord[]): void {
    said.ima = imaLogOf(instead).bytes
  }

  /** Offset of a record. */
  function recordAt(index: number): number {
    return imaLogOf(records.slice(0, index)).bytes.length
  }

  function flip(at: number): void {
    said.ima = said.ima.with(at, (said.ima[at] ?? 0) ^ 1)
  }

  /** Offset of an event behind the header: u32 pcr, type, count, digests of the three banks, u32 size, data. */
  function eventAt(index: number): number {
    const view = new DataView(said.eventLog.buffer, said.eventLog.byteOffset)
    let at = 32 + view.getUint32(28, true)
    for (let passed = 0; passed < index; passed++) {
      const data = at + 12 + 3 * 2 + 20 + 32 + 48
      at = data + 4 + view.getUint32(data, true)
    }
    return at
  }
})
