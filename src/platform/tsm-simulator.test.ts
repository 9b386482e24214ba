import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { serveKernel } from '../../mocks/tdx/kernel-server.ts'
import { compareLog, knownProcesses, tdxGuestRig } from '../../test/support/tdx-guest-rig.ts'
import { createTdxAttester } from '../attester/tdx/tdx-attester.ts'
import { createTsmQuotePath } from '../attester/tdx/tsm-quote.ts'
import { longestLine, simulatorProtocol, TsmSimulator } from './tsm-simulator.ts'

function place(): string {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-sim-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  return join(folder, 'sim.sock')
}

function connected(path: string): TsmSimulator {
  const simulator = new TsmSimulator(path)
  onTestFinished(() => simulator.close())
  return simulator
}

const hello = `${JSON.stringify({ ok: { protocol: simulatorProtocol } })}\n`

/** A server that answers the greeting, unless told otherwise, and then each line by `answer`. */
async function server(answer: (line: string, socket: Socket) => void, greeting: string = hello) {
  const path = place()
  const sockets = new Set<Socket>()
  let connections = 0
  const made: Server = createServer((socket) => {
    connections++
    sockets.add(socket)
    let lines = 0
    socket.on('error', () => undefined)
    socket.on('data', (chunk) => {
      for (const line of chunk.toString().trimEnd().split('\n')) {
        if (lines++ === 0) socket.write(greeting)
        else answer(line, socket)
      }
    })
  })
  made.listen(path)
  await once(made, 'listening')
  onTestFinished(async () => {
    for (const socket of sockets) socket.destroy()
    made.close()
  })
  return { path, simulator: connected(path), connections: () => connections, made, sockets }
}

const reply = (value: unknown) => (_line: string, socket: Socket) => {
  socket.write(`${JSON.stringify(value)}\n`)
}
const codeOf = (operation: Promise<unknown>) =>
  operation.then(
    () => 'done',
    (error: { code?: string }) => error.code,
  )

describe('a simulated guest behind a socket', () => {
  it('gives evidence that is marked as simulated, and extends', async () => {
    const rig = tdxGuestRig()
    await using served = await serveKernel(rig.kernel, place())
    const simulator = connected(served.path)
    const { files, registers, bootLog, runtimeLog, simulated } = simulator
    const { clock, random } = rig
    const path = createTsmQuotePath({ files, processes: knownProcesses(), clock, random })
    const own = { paths: [path], registers, bootLog, runtimeLog, compareLog, clock, simulated }
    const attester = createTdxAttester(own)
    expect(await attester.collect(new Uint8Array(64))).toMatchObject({ simulated: true, logMatches: true })
    const { value } = await attester.extend({ domain: 'test', operation: 'load', content: 'x' })
    expect(value).toEqual(rig.kernel.rtmrs.read(3))
    expect(await attester.collect(new Uint8Array(64))).toMatchObject({ simulated: true, logMatches: true })
    expect(await runtimeLog.readRecord()).toBeNull()
    expect(await files.list()).toEqual([])
  })

  it('refuses as the kernel does', async () => {
    const rig = tdxGuestRig()
    await using served = await serveKernel(rig.kernel, place())
    const { files, registers, bootLog } = connected(served.path)
    rig.kernel.faults.inject('outblob', 'EBUSY')
    await files.mkdir('attestd-1')
    await files.writeOnce('attestd-1', 'inblob', new Uint8Array(64))
    const busy = await files.readAll('attestd-1', 'outblob', 65_536).catch((error: unknown) => error)
    expect(busy).toMatchObject({ code: 'EBUSY', syscall: 'read' })
    expect(await codeOf(files.readAll('attestd-1', 'outblob', 100))).toBe('EFBIG')
    expect(await codeOf(files.mkdir('attestd-1'))).toBe('EEXIST')
    expect(await codeOf(registers.read(4))).toBe('ENOENT')
    expect(await bootLog.readTable()).toHaveLength(56)
  })

  it('that is not there, or goes, is a refusal; one that comes back is used again', async () => {
    const path = place()
    const { files } = connected(path)
    expect(await codeOf(files.list())).toBe('ENOENT')
    const rig = tdxGuestRig()
    {
      await using _served = await serveKernel(rig.kernel, path)
      expect(await files.list()).toEqual([])
    }
    expect(await codeOf(files.list())).toMatch(/^(?:ECONNRESET|ENOENT|EPIPE)$/)
    await using _again = await serveKernel(rig.kernel, path)
    expect(await files.list()).toEqual([])
  })

  it('that ends in the middle of an operation fails it, and those behind it try anew', async () => {
    const { simulator, connections } = await server((_line, socket) => socket.destroy())
    const [first, second] = [simulator.files.mkdir('a'), simulator.files.mkdir('b')]
    expect(await codeOf(first)).toBe('ECONNRESET')
    expect(await codeOf(second)).toBe('ECONNRESET')
    expect(connections()).toBe(2)
  })

  it('is asked one thing at a time', async () => {
    const lines: string[] = []
    const sockets: Socket[] = []
    const { simulator } = await server((line, socket) => {
      lines.push(line)
      sockets.push(socket)
    })
    const [first, second] = [simulator.files.mkdir('a'), simulator.files.rmdir('a')]
    await expect.poll(() => lines.length).toBe(1)
    sockets[0]?.write('{"ok":null}\n')
    await first
    await expect.poll(() => lines.length).toBe(2)
    sockets[0]?.write('{"ok":null}\n')
    await second
    expect(lines.map((line) => JSON.parse(line).op)).toEqual(['mkdir', 'rmdir'])
  })

  it('is left at once by close', async () => {
    const { simulator } = await server(() => undefined)
    const waiting = simulator.files.mkdir('a')
    const answer = codeOf(waiting)
    await simulator.close()
    expect(await answer).toMatch(/^E(?:CANCELED|CONNRESET)$/)
    expect(await codeOf(simulator.files.list())).toBe('ECANCELED')
  })
})

describe('what is no simulator', () => {
  it.each([
    ['another protocol', '{"ok":{"protocol":"attestd-tsm-simulator/2"}}\n'],
    ['no object', '{"ok":null}\n'],
    ['a refusal', '{"error":{"code":"EPROTO","syscall":"read"}}\n'],
    ['something else', 'HTTP/1.1 400 Bad Request\r\n\r\n'],
    ['more than was asked for', `${hello}${hello}`],
    ['no UTF-8', '\xff\n'],
  ])('by its greeting: %s', async (_what, greeting) => {
    const { simulator } = await server(reply({ ok: [] }), greeting)
    expect(await codeOf(simulator.files.list())).toMatch(/^(?:MALFORMED|EPROTO)$/)
  })

  it.each<[string, unknown]>([
    ['no ok and no error', {}],
    ['a list', []],
    ['an error without a code', { error: {} }],
    ['an error that is text', { error: 'EBUSY' }],
    ['a code of another form', { error: { code: 'TSM', syscall: 'read' } }],
    ['a code that is a line', { error: { code: 'EBUSY\nE', syscall: 'read' } }],
    ['a syscall behind other text', { error: { code: 'EBUSY', syscall: 'x\nread' } }],
    ['a syscall of another form', { error: { code: 'EBUSY', syscall: 'Read!' } }],
    ['names that are numbers', { ok: [1] }],
    ['no names', { ok: 'names' }],
  ])('by its answers: %s', async (_what, value) => {
    const { simulator } = await server(reply(value))
    expect(await codeOf(simulator.files.list())).toBe('MALFORMED')
  })

  it.each(['AQ', 'AQ=', '@@==', ' AQ==', 7, null, {}])('by bytes that are %j', async (ok) => {
    const { simulator } = await server(reply({ ok }))
    expect(await codeOf(simulator.registers.read(3))).toBe('MALFORMED')
  })

  it('by more bytes than it was asked for', async () => {
    const { simulator } = await server(reply({ ok: Buffer.alloc(101).toString('base64') }))
    expect(await codeOf(simulator.files.readAll('a', 'outblob', 100))).toBe('EFBIG')
    expect(await codeOf(simulator.bootLog.readLog(100))).toBe('EFBIG')
    expect(await simulator.runtimeLog.read(101)).toHaveLength(101)
  })

  it('by a line without an end, which is given up at the limit', async () => {
    const { simulator } = await server((_line, socket) => {
      const part = Buffer.alloc(1 << 20, 0x20)
      for (let sent = 0; sent <= longestLine; sent += part.length) socket.write(part)
    })
    expect(await codeOf(simulator.files.list())).toBe('MALFORMED')
  })

  it('by speaking unasked', async () => {
    const { simulator, sockets } = await server(reply({ ok: [] }))
    expect(await simulator.files.list()).toEqual([])
    for (const socket of sockets) socket.write('{"ok":["forged"]}\n')
    await expect.poll(() => [...sockets].every((socket) => socket.destroyed || socket.readableEnded)).toBe(true)
    expect(await simulator.files.list()).toEqual([])
  })

  it('has nothing sent to it that is longer than a line may be', async () => {
    const { simulator } = await server(reply({ ok: null }))
    expect(await codeOf(simulator.runtimeLog.writeAt(0, new Uint8Array(longestLine)))).toBe('EMSGSIZE')
    await simulator.files.mkdir('a')
  })
})
