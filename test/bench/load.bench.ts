import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { chmodSync, chownSync, mkdtempSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { AgentHome, AgentProcess, audience, callerRule } from '../support/agent-process.ts'
import { comparison, milliseconds, printTable } from '../support/comparison.ts'
import { type Load, runLoad, usersOf } from '../support/load-clients.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { TpmMachine } from '../support/tpm-machine.ts'
import { canChangeUser } from '../support/unix-caller.ts'

/** The agent as it is installed, asked by processes of other users, against a bare Node server in a process of its own. */

const socketGroup = 65_530
const asInstalled = {
  nodeOptions: ['--optimize-for-size', '--max-semi-space-size=2', '--single-threaded-gc', '--max-old-space-size=128'],
  environment: { MALLOC_ARENA_MAX: '1' },
}
const target = `/v1/token?audience=${encodeURIComponent(audience)}`
const loadMs = 6000
/** Before each scene, at its rate and not counted: what is measured is a program that has been asked before. */
const warmUpMs = 10_000

async function withAgent(use: (agent: AgentProcess) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
  chmodSync(folder, 0o755)
  const machine = await TpmMachine.boot(join(folder, 'machine'))
  try {
    const rate = ', rate = { per_min = 6000000, burst = 100000, raise = true }'
    const match = `uid = [0, ${usersOf(256).join(', ')}]`
    const rules = [callerRule('load', match, [audience, `${audience}/`], rate)]
    const home = new AgentHome(join(folder, 'agent'), machine, { rules, broker: [`warm = ["${audience}"]`] })
    chownSync(home.folder, 0, socketGroup)
    chmodSync(home.folder, 0o2755)
    const agent = await AgentProcess.start(home, asInstalled)
    await agent.token()
    await use(agent)
    await agent.stop()
  } finally {
    await machine.powerOff()
    rmSync(folder, { recursive: true, force: true })
  }
}

interface Served {
  readonly path: string
  readonly pid: number
}

/** Milliseconds that a process has had of any processor: what else happens on the machine does not count. */
function processorMs(pid: number): number {
  const fields = readFileSync(`/proc/${pid}/stat`, 'latin1')
    .replace(/^.*\) /s, '')
    .split(' ')
  return (Number(fields[11]) + Number(fields[12])) * 10
}

/** A bare `node:http` server that answers with as many bytes, in a process of its own. */
async function withBare(folder: string, bytes: number, use: (server: Served) => Promise<void>): Promise<void> {
  const path = join(folder, 'bare.sock')
  const program = `process.umask(0)
const body = 'x'.repeat(${bytes})
require('node:http').createServer({ requireHostHeader: false }, (_, answer) =>
  answer.writeHead(200, { 'content-type': 'application/jwt', 'content-length': body.length }).end(body)
).listen(${JSON.stringify(path)}, 1024, () => console.log('up'))`
  const child = spawn(process.execPath, ['-e', program], { stdio: ['ignore', 'pipe', 'inherit'] })
  await once(child.stdout, 'data')
  try {
    await use({ path, pid: child.pid ?? 0 })
  } finally {
    child.kill('SIGKILL')
    await once(child, 'exit')
  }
}

interface Scene extends Pick<Load, 'clients' | 'perS' | 'keepAlive'> {
  readonly name: string
  /** Users that take part; more where the accepts of one are limited. */
  readonly users?: number
}

const scenes: readonly Scene[] = [
  { name: '16 clients, 1000 requests/s (BRK-160)', clients: 16, perS: 1000, keepAlive: true },
  { name: '16 clients, a connection for each of 500/s (BRK-161)', clients: 16, perS: 500, keepAlive: false, users: 8 },
  { name: '16 clients, as fast as they can', clients: 16, perS: null, keepAlive: true },
  { name: '256 clients, as fast as they can', clients: 256, perS: null, keepAlive: true },
]

const at = (times: readonly number[], share: number) => times[Math.floor(times.length * share)] ?? Number.NaN

async function printScene({ name, users, ...scene }: Scene, agent: Served, bare: Served): Promise<void> {
  const of = async ({ path, pid }: Served) => {
    const load = { ...scene, path, ms: loadMs, target }
    const from = usersOf(scene.clients, users)
    await runLoad({ ...load, ms: warmUpMs }, socketGroup, from)
    const before = processorMs(pid)
    const loaded = await runLoad(load, socketGroup, from)
    return { ...loaded, cpu: (processorMs(pid) - before) / loaded.times.length }
  }
  const floor = await of(bare)
  const ours = await of(agent)
  const row = (what: string, { times, perS, cpu }: typeof ours) => [
    what,
    ...[0.5, 0.99, 0.999].map((share) => milliseconds(at(times, share))),
    perS.toFixed(0),
    milliseconds(cpu),
    ...[at(times, 0.5) / at(floor.times, 0.5), perS / floor.perS, cpu / floor.cpu].map((ratio) => ratio.toFixed(2)),
  ]
  printTable(name, [
    ['', 'p50', 'p99', 'p99.9', 'requests/s', 'CPU each', 'p50 × floor', 'requests/s × floor', 'CPU × floor'],
    row('floor: bare node:http', floor),
    row('GET /v1/token, cached', ours),
  ])
}

async function lagOf(agent: AgentProcess): Promise<number> {
  const { body } = await agent.ask('/metrics', { socket: 'admin' })
  return Number(/^attestd_event_loop_lag_seconds (\S+)$/m.exec(body)?.[1]) * 1000
}

const openFiles = (agent: AgentProcess) => readdirSync(`/proc/${agent.pid}/fd`).length

async function printLoads(agent: AgentProcess): Promise<void> {
  const token = await agent.token()
  const before = openFiles(agent)
  await withBare(agent.home.folder, token.length, async (bare) => {
    const served = { path: agent.home.path('api.sock'), pid: agent.pid }
    for (const scene of scenes) {
      await printScene(scene, served, bare)
      process.stdout.write(`  event-loop lag of the agent, p99 (BRK-164): ${milliseconds(await lagOf(agent))}\n`)
    }
  })
  await pause(1000)
  process.stdout.write(`  open descriptors before ${before}, after ${openFiles(agent)} (I17)\n`)
}

comparison('callers of the agent', () => withAgent(printLoads), haveSwtpm && canChangeUser)

/** Of an hour with tokens of five audiences, and what callers ask meanwhile. */
const soak = { rounds: 10, refreshesEach: 50, cachedMs: 4000 }

async function soakOnce(agent: AgentProcess, round: number): Promise<number> {
  for (let done = 0; done < soak.refreshesEach; done += 5) {
    const five = Array.from({ length: 5 }, (_, each) => `${audience}/${round}-${done + each}`)
    await Promise.all(five.map((name) => agent.token({ audience: name })))
  }
  const load = {
    path: agent.home.path('api.sock'),
    clients: 16,
    perS: null,
    keepAlive: true,
    ms: soak.cachedMs,
    target,
  }
  return (await runLoad(load, socketGroup)).times.length
}

async function printSoak(agent: AgentProcess): Promise<void> {
  const row = (name: string, asked: number) => [
    name,
    String(asked),
    `${(agent.residentBytes() / 1e6).toFixed(1)} MB`,
    String(openFiles(agent)),
  ]
  const rows = [['', 'cached requests', 'RSS', 'descriptors'], row('at rest', 0)]
  let asked = 0
  for (let round = 1; round <= soak.rounds; round++) {
    asked += await soakOnce(agent, round)
    rows.push(row(`after ${round * soak.refreshesEach} refreshes`, asked))
  }
  await pause(25_000)
  rows.push(row('25 s later', asked))
  printTable('memory of the agent over a compressed hour (BRK-163)', rows)
}

comparison('an hour of the agent', () => withAgent(printSoak), haveSwtpm && canChangeUser)
