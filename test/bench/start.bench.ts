import { spawn, spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { setTimeout as pause } from 'node:timers/promises'
import { AgentHome, AgentProcess, audience, problemOf } from '../support/agent-process.ts'
import { compare, comparison, printTable } from '../support/comparison.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { TpmMachine } from '../support/tpm-machine.ts'

const cachedTokens = 1000
/** Of ten minutes with tokens of five audiences that live for five. */
const refreshes = 20

/** A machine with a simulated TPM, and an agent that has run there before: its keys are made. */
async function withHome(run: (home: AgentHome) => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
  const machine = await TpmMachine.boot(join(folder, 'machine'))
  try {
    const home = new AgentHome(join(folder, 'agent'), machine)
    const first = await AgentProcess.start(home)
    await first.token()
    await first.stop()
    await run(home)
  } finally {
    await machine.powerOff()
    rmSync(folder, { recursive: true, force: true })
  }
}

/** Resolves as soon as the agent says that it is ready. */
function saysReady({ child, exited }: AgentProcess): Promise<unknown> {
  const ready = new Promise((resolve) => {
    let said = ''
    child.stderr?.on('data', (text: string) => {
      said += text
      if (said.includes('"event":"ready"')) resolve(undefined)
    })
  })
  return Promise.race([ready, exited])
}

/** Milliseconds from the start of the process to `done`. */
async function startUntil(home: AgentHome, done: (agent: AgentProcess) => Promise<unknown>): Promise<number> {
  const start = performance.now()
  const agent = await AgentProcess.spawn(home)
  await saysReady(agent)
  await done(agent)
  const elapsed = performance.now() - start
  await agent.stop()
  return elapsed
}

const command = (...args: string[]) => spawnSync(process.execPath, args, { stdio: 'ignore' })

comparison(
  'start of the agent',
  () =>
    withHome((home) =>
      compare(
        'from the start of the process, with keys from an earlier run',
        [
          { name: 'node -e 0', role: 'floor', run: () => command('-e', '0') },
          { name: 'to READY', role: 'ours', run: () => startUntil(home, async () => {}) },
          { name: 'to the first token', role: 'ours', run: () => startUntil(home, (agent) => agent.token()) },
        ],
        { ms: 20_000, warmUp: 1, maxRounds: 11 },
      ),
    ),
  haveSwtpm,
)

/** How the unit starts it (systemd/attestd.service): what is measured is what is installed. */
const asInstalled = {
  nodeOptions: ['--optimize-for-size', '--max-semi-space-size=2', '--single-threaded-gc', '--max-old-space-size=128'],
  environment: { MALLOC_ARENA_MAX: '1' },
}

/** Resident memory of a process that does nothing but listen on a Unix socket. */
async function emptyProcessBytes(folder: string): Promise<number> {
  const program = `require('node:net').createServer().listen(${JSON.stringify(join(folder, 'floor.sock'))}, () => console.log(0))`
  const child = spawn(process.execPath, [...asInstalled.nodeOptions, '-e', program], {
    env: { PATH: process.env['PATH'], ...asInstalled.environment },
  })
  await once(child.stdout, 'data')
  const status = readFileSync(`/proc/${child.pid}/status`, 'ascii')
  child.kill()
  return Number(/^VmRSS:\s+(\d+) kB$/m.exec(status)?.[1]) * 1024
}

/** Tokens with nonces of their own: each takes evidence and an appraisal, like a refresh; as fast as callers may. */
async function refresh(agent: AgentProcess, times: number): Promise<void> {
  for (let done = 0; done < times; ) {
    const answer = await agent.askToken({ nonces: [randomBytes(24).toString('base64url')] })
    if (answer.status === 200) done++
    else if (answer.status === 429) await pause(Number(problemOf(answer)['retry_after_ms']))
    else throw new Error(`no token but ${answer.status}: ${answer.body}`)
  }
}

/** Longer than the thread of appraisals waits for work. */
const restMs = 22_000

/** Declared audiences have a place in the cache for each; somebody waits for every token, so that none is put off. */
async function fetchEach(agent: AgentProcess, audiences: readonly string[]): Promise<void> {
  for (const each of audiences) await agent.token({ audience: each })
  const { broker } = await agent.status()
  if (broker.entries.length < audiences.length) throw new Error(`the cache holds ${broker.entries.length} tokens`)
}

/** The agent with a kind of use behind it, and its memory then. */
async function residentAfter(home: AgentHome, use: (agent: AgentProcess) => Promise<unknown>): Promise<number> {
  const agent = await AgentProcess.start(home, asInstalled)
  try {
    await use(agent)
    return agent.residentBytes()
  } finally {
    await agent.stop()
  }
}

async function printMemory(home: AgentHome): Promise<void> {
  const empty = await emptyProcessBytes(home.folder)
  const idle = await residentAfter(home, async () => {})
  const used = await residentAfter(home, (agent) => agent.token())
  const refreshed = await residentAfter(home, (agent) => refresh(agent, refreshes))
  const rested = await residentAfter(home, (agent) => refresh(agent, refreshes).then(() => pause(restMs)))
  const audiences = Array.from({ length: cachedTokens }, (_, at) => `${audience}/${at}`)
  home.configure({ broker: [`warm = [${audiences.map((each) => `"${each}"`).join(', ')}]`] })
  const full = await residentAfter(home, (agent) => fetchEach(agent, audiences))
  const row = (name: string, bytes: number) => [name, `${(bytes / 1e6).toFixed(0)} MB`, (bytes / empty).toFixed(2)]
  printTable('resident memory', [
    ['', 'RSS', '× floor'],
    row('floor: Node with one Unix socket', empty),
    row('agent, ready', idle),
    row('agent, one token', used),
    row(`agent, ${refreshes} refreshes`, refreshed),
    row(`agent, ${refreshes} refreshes and ${restMs / 1000} s of rest`, rested),
    row(`agent, ${cachedTokens} tokens`, full),
  ])
}

comparison('memory of the agent', () => withHome(printMemory), haveSwtpm)
