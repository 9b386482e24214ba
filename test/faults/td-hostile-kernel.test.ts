import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { type AgentMachine, AgentProcess, type ConfigurationLines } from '../support/agent-process.ts'
import { eagerHome, readiness, startEager, toldAnew } from '../support/td-agent.ts'
import { TdMachine } from '../support/td-machine.ts'

/** What stands where a simulated TD should, and does not speak as one: the agent runs, says no in time, and stops. */

type Answer = (line: string, socket: Socket) => void
const ok = (value: unknown) => `${JSON.stringify({ ok: value })}\n`
const greeting = ok({ protocol: 'attestd-tsm-simulator/1' })
const opOf = (line: string): string => JSON.parse(line).op

/** Honest but for one operation. */
const butFor =
  (odd: string, answer: string): Answer =>
  (line, socket) => {
    const honest: Readonly<Record<string, string>> = { hello: greeting, list: ok([]), readRecord: ok(null) }
    socket.write(opOf(line) === odd ? answer : (honest[opOf(line)] ?? ok(null)))
  }

describe('where the socket of a TD', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-td-'))
  let machine: TdMachine
  let server: Server | undefined
  const sockets = new Set<Socket>()
  beforeAll(async () => {
    machine = await TdMachine.boot(join(folder, 'machine'))
    await (await startEager(join(folder, 'first'), machine)).stop()
  })
  afterEach(() => {
    for (const socket of sockets) socket.destroy()
    server?.close()
  })
  afterAll(async () => {
    await machine?.end()
    rmSync(folder, { recursive: true, force: true })
  })

  async function listen(path: string, answer: Answer): Promise<void> {
    server = createServer((socket) => {
      sockets.add(socket)
      let buffered = ''
      socket.on('error', () => socket.destroy())
      socket.setEncoding('latin1').on('data', (chunk: string) => {
        buffered += chunk
        const lines = buffered.split('\n')
        buffered = lines.pop() ?? ''
        for (const line of lines) answer(line, socket)
      })
    }).listen(path)
    await new Promise((resolve) => server?.once('listening', resolve))
  }

  let homes = 0
  const missing = (cause: string) => [503, 'evidence_unavailable', cause]
  it.each<[string, Answer, string]>([
    ['never answers', () => undefined, 'quote_stuck'],
    [
      'answers the greeting alone',
      (line, socket) => void (opOf(line) === 'hello' && socket.write(greeting)),
      'quote_stuck',
    ],
    ['closes at once', (_line, socket) => void socket.destroy(), 'tsm_failed'],
    ['speaks another protocol', (_line, socket) => void socket.write(ok({ protocol: 'other/1' })), 'MALFORMED'],
    ['sends what is no line of JSON', (_line, socket) => void socket.write('\0\0\n'), 'MALFORMED'],
    ['sends without end', (_line, socket) => void socket.write('x'.repeat(7 << 20)), 'MALFORMED'],
    ['answers twice', (_line, socket) => void socket.write(greeting + greeting), 'MALFORMED'],
    [
      'has a provider of another kind',
      butFor('readAll', ok(Buffer.from('sev_guest\n').toString('base64'))),
      'tsm_wrong_provider',
    ],
    ['gives bytes that are no base64', butFor('readAll', ok('*')), 'MALFORMED'],
    ['gives more than it was asked for', butFor('readAll', ok('A'.repeat(1 << 20))), 'tsm_failed'],
    ['fails with an errno that is none', butFor('mkdir', '{"error":{"code":"rm -rf","syscall":"x"}}\n'), 'MALFORMED'],
    ['lists what is no list', butFor('list', ok('attestd-')), 'MALFORMED'],
    ['lists ten thousand entries of ours', butFor('list', ok(stale(10_000))), 'MALFORMED'],
  ])('%s', async (_, answer, cause) => {
    const at = homes++
    const socket = join(folder, `odd-${at}.sock`)
    await listen(socket, answer)
    const odd: AgentMachine = {
      configuration: { ...machine.configuration, tdx: [`simulator_socket = "${socket}"`, 'simulator = true'] },
      adopt: (process) => machine.adopt(process),
    }
    const lines: ConfigurationLines = { tdx: ['timeout = "1s"'] }
    const agent = await AgentProcess.spawn(eagerHome(join(folder, `agent-${at}`), odd, lines))
    await agent.until(() => agent.log.includes('"event":"ready"'), 'ready', 8000)
    const stuck = cause === 'quote_stuck'
    const reasons = [`tdx:${cause}`]
    // The first look of the agent itself gets stuck: nothing more is asked of such a device (BRK-82).
    if (stuck) await expect.poll(() => readiness(agent), { timeout: 8000 }).toEqual({ status: 503, reasons })
    const told = await toldAnew(agent, stuck ? { timeout_ms: 1700 } : {})
    expect(told).toEqual(cause === 'tsm_wrong_provider' ? [501, 'not_supported', cause] : missing(cause))
    expect(await readiness(agent)).toEqual({ status: 503, reasons })
    expect(agent.log.includes('the report folder does not answer')).toBe(stuck)
    const since = performance.now()
    const { code } = await agent.stop()
    expect(code).toBe(0)
    expect(performance.now() - since).toBeLessThan(8000)
  })
})

function stale(count: number): string[] {
  return Array.from({ length: count }, (_, at) => `attestd-3fffff0000${at.toString(16).padStart(6, '0')}`)
}
