import { createHash } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { createConnection } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { concatBytes, toHex } from '../../src/base/bytes.ts'
import { parseAaelData } from '../../src/evidence/tdx/aael.ts'
import { composeCcEventLog, parseCcEventLog } from '../../src/evidence/tdx/cc-event-log.ts'
import { parseCcelTable } from '../../src/evidence/tdx/ccel-table.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { TsmSimulator } from '../../src/platform/tsm-simulator.ts'
import { bindEvent } from '../../src/verifier/event-log/event-binding.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { SimulatedKernel } from './kernel.ts'
import { serveKernel } from './kernel-server.ts'
import { createPki } from './pki.ts'
import { createSimulator } from './simulator.ts'

const clock = new FakeClock(Date.UTC(2026, 5, 1))
const sim = createSimulator({ clock, pki: createPki(clock.now()) })
const newKernel = (more: Partial<ConstructorParameters<typeof SimulatedKernel>[0]> = {}) =>
  new SimulatedKernel({ sim, clock, ...more })

const reportData = Uint8Array.from({ length: 64 }, (_, at) => at)
const limit = 65_536
const text = (bytes: Uint8Array) => Buffer.from(bytes).toString('latin1')

/** The errno with which an operation is refused; "resolved" where it is not. */
const errnoOf = (operation: Promise<unknown>): Promise<string> =>
  operation.then(
    () => 'resolved',
    (error: unknown) => (error instanceof Error && 'code' in error ? String(error.code) : 'thrown'),
  )

async function quoteIn(kernel: SimulatedKernel, name: string, data = reportData): Promise<Uint8Array> {
  await kernel.files.mkdir(name)
  await kernel.files.writeOnce(name, 'inblob', data)
  return kernel.files.readAll(name, 'outblob', limit)
}

describe('the report folder of the simulated kernel (TDX-284)', () => {
  it('has entries that come with mkdir and go with rmdir', async () => {
    const { files } = newKernel()
    await files.mkdir('a')
    expect(await files.list()).toEqual(['a'])
    expect(await errnoOf(files.mkdir('a'))).toBe('EEXIST')
    expect(text(await files.readAll('a', 'provider', limit))).toBe('tdx_guest\n')
    expect(text(await files.readAll('a', 'generation', limit))).toBe('0\n')
    await files.rmdir('a')
    expect(await errnoOf(files.rmdir('a'))).toBe('ENOENT')
    expect(await errnoOf(files.readAll('a', 'provider', limit))).toBe('ENOENT')
    expect(await errnoOf(files.mkdir('../a'))).toBe('EINVAL')
  })

  it('lets nobody read what is to be written, nor write what is to be read', async () => {
    const { files } = newKernel()
    await files.mkdir('a')
    expect(await errnoOf(files.readAll('a', 'inblob', limit))).toBe('EACCES')
    expect(await errnoOf(files.readAll('a', 'privlevel', limit))).toBe('ENOENT')
    for (const attribute of ['outblob', 'provider', 'generation']) {
      expect(await errnoOf(files.writeOnce('a', attribute, reportData))).toBe('EACCES')
    }
  })

  it('counts writes at close', async () => {
    const { files } = newKernel()
    await files.mkdir('a')
    const generation = async () => text(await files.readAll('a', 'generation', limit)).trim()
    await files.writeOnce('a', 'inblob', reportData)
    expect(await generation()).toBe('1')
    await files.writeOnce('a', 'inblob', new Uint8Array())
    expect(await generation()).toBe('1')
    await files.writeOnce('a', 'inblob', reportData)
    expect(await generation()).toBe('2')
    expect(await errnoOf(files.writeOnce('a', 'inblob', new Uint8Array(65)))).toBe('EFBIG')
    expect(await generation()).toBe('2')
  })

  it.each([0, 1, 63])(
    'takes %i bytes of report data in silence, and refuses at the read of the quote',
    async (size) => {
      const { files } = newKernel()
      await files.mkdir('a')
      expect(await errnoOf(files.writeOnce('a', 'inblob', new Uint8Array(size)))).toBe('resolved')
      expect(await errnoOf(files.readAll('a', 'outblob', limit))).toBe('EINVAL')
    },
  )

  it('gives a quote over the report data, the same one until the data are written again', async () => {
    const kernel = newKernel()
    const first = await quoteIn(kernel, 'a')
    expect(reportDataOf(parseQuote(first))).toEqual(reportData)
    expect(await kernel.files.readAll('a', 'outblob', limit)).toEqual(first)
    await kernel.files.writeOnce('a', 'inblob', reportData)
    expect(await kernel.files.readAll('a', 'outblob', limit)).not.toEqual(first)
    expect(await errnoOf(kernel.files.readAll('a', 'outblob', first.length - 1))).toBe('EFBIG')
  })

  it('makes all readers of all entries wait for one lock, a second each as the real kernel does', async () => {
    const kernel = newKernel()
    kernel.files.quoteDelayMs = 1000
    const done: string[] = []
    const readers = ['a', 'b', 'c'].map((name) => quoteIn(kernel, name).then(() => done.push(name)))
    await clock.advance(999)
    expect(done).toEqual([])
    await clock.advance(1)
    expect(done).toEqual(['a'])
    await clock.advance(1000)
    expect(done).toEqual(['a', 'b'])
    await clock.advance(1000)
    await Promise.all(readers)
    expect(done).toEqual(['a', 'b', 'c'])
  })

  it('fails as it is told to, in order, and then no more', async () => {
    const kernel = newKernel()
    kernel.faults.inject('outblob', 'EBUSY', 'EBUSY', 'ETIMEDOUT', 'EIO', 'EINTR')
    kernel.faults.inject('mkdir', 'EACCES')
    expect(await errnoOf(kernel.files.mkdir('a'))).toBe('EACCES')
    await kernel.files.mkdir('a')
    await kernel.files.writeOnce('a', 'inblob', reportData)
    const errnos: string[] = []
    for (let left = 6; left > 0; left--) errnos.push(await errnoOf(kernel.files.readAll('a', 'outblob', limit)))
    expect(errnos).toEqual(['EBUSY', 'EBUSY', 'ETIMEDOUT', 'EIO', 'EINTR', 'resolved'])
    expect(kernel.faults.pending('outblob')).toBe(0)
  })

  it('has a concurrent writer, whose write shows in the generation and, before the quote, in the quote', async () => {
    const kernel = newKernel()
    const others = new Uint8Array(64).fill(9)
    kernel.files.interference = (name, when) => when === 'quoted' && kernel.files.overwrite(name, others)
    const quote = parseQuote(await quoteIn(kernel, 'a'))
    expect(reportDataOf(quote)).toEqual(reportData)
    expect(text(await kernel.files.readAll('a', 'generation', limit))).toBe('2\n')
    kernel.files.interference = (name, when) => when === 'written' && kernel.files.overwrite(name, others)
    expect(reportDataOf(parseQuote(await quoteIn(kernel, 'b')))).toEqual(others)
  })

  it('gives empty quotes as hosts without a quoting service do, and no provider where the module has none', async () => {
    const kernel = newKernel()
    kernel.emptyQuotes = 1
    expect(await quoteIn(kernel, 'a')).toHaveLength(0)
    expect((await quoteIn(kernel, 'b')).length).toBeGreaterThan(0)
    kernel.files.providerRegistered = false
    expect(await errnoOf(quoteIn(kernel, 'c'))).toBe('ENXIO')
    kernel.files.present = false
    expect(await errnoOf(kernel.files.mkdir('d'))).toBe('ENOENT')
  })
})

const sha384 = (...parts: Uint8Array[]) =>
  new Uint8Array(
    createHash('sha384')
      .update(concatBytes(...parts))
      .digest(),
  )

describe('the registers of the simulated kernel', () => {
  it('are extended as real ones, by 48 bytes only', async () => {
    const { registers } = newKernel()
    const before = await registers.read(2)
    const digest = sha384(Uint8Array.of(1))
    await registers.extend(2, digest)
    expect(await registers.read(2)).toEqual(sha384(before, digest))
    expect(await errnoOf(registers.extend(2, digest.subarray(1)))).toBe('EINVAL')
    expect(await errnoOf(registers.read(4))).toBe('ENOENT')
    expect(await registers.read(2)).toEqual(sha384(before, digest))
  })

  it('are not there on an old kernel', async () => {
    const kernel = newKernel()
    kernel.rtmrs.supported = false
    expect(await errnoOf(kernel.registers.read(3))).toBe('ENOENT')
  })
})

/** Registers to which a log leads, by section 5 of tdx.md. */
function replay(log: Uint8Array): Uint8Array[] {
  const values = [0, 1, 2, 3].map(() => new Uint8Array(48))
  for (const { pcr, type, digests } of parseCcEventLog(log).events) {
    const value = values[pcr - 1]
    if (type === 3 || value === undefined) continue
    values[pcr - 1] = sha384(value, digests.get(0x0c) ?? new Uint8Array())
  }
  return values
}

describe('the logs of the simulated kernel', () => {
  it('lead to the registers of the next quote, also after runtime measurements', async () => {
    const kernel = newKernel()
    const wholeLog = async () => {
      const [boot, runtime] = [await kernel.bootLog.readLog(limit), await kernel.runtimeLog.read(limit)]
      return composeCcEventLog(boot, runtime) ?? new Uint8Array()
    }
    const quoted = async (name: string) => {
      const { body } = parseQuote(await quoteIn(kernel, name))
      return body.kind === 'td-1.0' ? [...body.report.rtmr] : []
    }
    const first = await quoted('a')
    expect(replay(await wholeLog())).toEqual(first)
    for (const value of first) expect(toHex(value)).not.toMatch(/^0+$/)
    kernel.measure({ domain: 'x', operation: 'y', content: 'z' })
    const second = await quoted('b')
    expect(replay(await wholeLog())).toEqual(second)
    expect([0, 1, 2].map((at) => second[at])).toEqual([0, 1, 2].map((at) => first[at]))
    expect(second[3]).not.toEqual(first[3])
  })

  it('are described by the table', async () => {
    const { bootLog } = newKernel()
    const table = (await bootLog.readTable()) ?? new Uint8Array()
    const area = await bootLog.readLog(limit)
    expect(table.reduce((sum, byte) => (sum + byte) & 0xff, 0)).toBe(0)
    expect(parseCcelTable(table)).toMatchObject({ ccType: 2, logAreaLength: BigInt(area?.length ?? 0) })
    expect(await errnoOf(bootLog.readLog(65_535))).toBe('EFBIG')
    expect(parseCcEventLog(area ?? new Uint8Array())).toMatchObject({ end: 'ff', headerRegister: 1 })
  })

  it('bind what real logs bind: command line, boot variables, separators, runtime records (TDX-238)', async () => {
    const kernel = newKernel({ boot: { commandLine: 'root=/dev/sim quiet' } })
    const { events } = parseCcEventLog((await kernel.bootLog.readLog(limit)) ?? new Uint8Array())
    const bindings = (type: number) =>
      events.filter((event) => event.type === type).map((event) => bindEvent(event, 'sha384'))
    expect(bindings(0x80000002)).toEqual(['variable-data', 'variable-data'])
    expect(new Set(bindings(0x80000001))).toEqual(new Set(['data']))
    expect(new Set(bindings(4))).toEqual(new Set(['data']))
    expect(bindings(0x0d)).toContain('grub')
    const shown = events.map(({ data }) => text(data))
    expect(shown.filter((entry) => entry.startsWith('kernel_cmdline: root=/dev/sim quiet'))).toHaveLength(1)
    const runtime = (await kernel.runtimeLog.read(limit)) ?? new Uint8Array()
    expect(parseAaelData(runtime.subarray(4 + 4 + 4 + 2 + 48 + 4))).toMatchObject({ domain: 'attestd.simulator' })
  })

  it('are absent where firmware wrote none, and the registers zero', async () => {
    const kernel = newKernel({ boot: null, runtime: [] })
    expect(await kernel.bootLog.readTable()).toBeNull()
    expect(await kernel.bootLog.readLog(limit)).toBeNull()
    expect(await kernel.runtimeLog.read(limit)).toBeNull()
    expect(await kernel.registers.read(0)).toEqual(new Uint8Array(48))
  })

  it('keep the runtime log and its write-ahead record as files do', async () => {
    const { runtimeLog } = newKernel({ runtime: [] })
    await runtimeLog.writeAt(0, Uint8Array.of(1, 2, 3, 4))
    await runtimeLog.writeAt(2, Uint8Array.of(9))
    expect(await runtimeLog.read(3)).toEqual(Uint8Array.of(1, 2, 9))
    expect(await errnoOf(runtimeLog.read(2))).toBe('EFBIG')
    expect(await errnoOf(runtimeLog.writeAt(4, Uint8Array.of(1)))).toBe('EINVAL')
    expect(await runtimeLog.readRecord()).toBeNull()
    await runtimeLog.writeRecord(Uint8Array.of(7))
    expect(await runtimeLog.readRecord()).toEqual(Uint8Array.of(7))
    await runtimeLog.removeRecord()
    expect(await runtimeLog.readRecord()).toBeNull()
  })
})

describe('the simulated kernel behind a socket', () => {
  const open: AsyncDisposable[] = []
  const folders: string[] = []
  afterEach(async () => {
    for (const one of open.splice(0)) await one[Symbol.asyncDispose]()
    for (const folder of folders.splice(0)) rmSync(folder, { recursive: true })
  })

  async function connected() {
    const kernel = newKernel()
    const folder = mkdtempSync(join(tmpdir(), 'attestd-kernel-'))
    folders.push(folder)
    const path = join(folder, 'kernel.sock')
    const server = await serveKernel(kernel, path)
    const client = new TsmSimulator(path)
    open.push(client, server)
    return { kernel, client, path }
  }

  it('is the same kernel', async () => {
    const { kernel, client } = await connected()
    await client.files.mkdir('a')
    expect(await client.files.list()).toEqual(['a'])
    await client.files.writeOnce('a', 'inblob', reportData)
    expect(text(await client.files.readAll('a', 'generation', limit))).toBe('1\n')
    const quote = await client.files.readAll('a', 'outblob', limit)
    expect(quote).toEqual(await kernel.files.readAll('a', 'outblob', limit))
    expect(await client.registers.read(1)).toEqual(await kernel.registers.read(1))
    await client.registers.extend(3, new Uint8Array(48).fill(5))
    expect(await client.registers.read(3)).toEqual(kernel.rtmrs.values[3])
    expect(await client.bootLog.readTable()).toEqual(await kernel.bootLog.readTable())
    expect(await client.bootLog.readLog(limit)).toEqual(await kernel.bootLog.readLog(limit))
    const log = await client.runtimeLog.read(limit)
    await client.runtimeLog.writeAt(log?.length ?? 0, Uint8Array.of(1))
    expect((await kernel.runtimeLog.read(limit))?.length).toBe((log?.length ?? 0) + 1)
    await client.runtimeLog.writeRecord(Uint8Array.of(3))
    expect(await client.runtimeLog.readRecord()).toEqual(Uint8Array.of(3))
    await client.runtimeLog.removeRecord()
    expect(await client.runtimeLog.readRecord()).toBeNull()
    await client.files.rmdir('a')
    expect(await client.files.list()).toEqual([])
  })

  it('passes errors of the kernel on, with their call', async () => {
    const { kernel, client } = await connected()
    kernel.faults.inject('mkdir', 'EACCES')
    await expect(client.files.mkdir('a')).rejects.toMatchObject({ code: 'EACCES', syscall: 'mkdir' })
    await expect(client.files.rmdir('a')).rejects.toMatchObject({ code: 'ENOENT', syscall: 'rmdir' })
    await expect(client.registers.extend(2, new Uint8Array(47))).rejects.toMatchObject({ code: 'EINVAL' })
  })

  it('answers nothing but its protocol, after a greeting', async () => {
    const { path } = await connected()
    const ask = (line: string) =>
      new Promise<string>((resolve, reject) => {
        const socket = createConnection(path, () => socket.write(`${line}\n`))
        socket.on('error', reject)
        socket.on('data', (chunk) => {
          resolve(String(chunk))
          socket.destroy()
        })
      })
    for (const line of ['{"op":"list"}', '{"op":"hello","protocol":"other"}', '{}', 'x', '{"op":"toString"}']) {
      expect(JSON.parse(await ask(line))).toEqual({ error: { code: 'EPROTO', syscall: 'read' } })
    }
  })
})
