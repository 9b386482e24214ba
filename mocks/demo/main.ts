import { execFile } from 'node:child_process'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { AgentStatus } from '../../src/agent/agent-status.ts'
import { ask, type DemoAgent, startAgent } from './agent-process.ts'
import { type DemoMachine, hasDevice, machineOfThisHost, simulatedMachine } from './machine.ts'
import { Screen } from './screen.ts'
import { type DemoVerifier, startVerifier, type VerifierName, verifierNames } from './verifying.ts'

interface Options {
  readonly once: boolean
  readonly simulated: boolean
  readonly verifier: VerifierName
}

const usage = `usage: npm start -- [--once] [--simulated] [--verifier ${verifierNames.join('|')}]\n`

/** Null for options that there are not. */
function readOptions(): Options | null {
  const known = {
    once: { type: 'boolean', default: false },
    simulated: { type: 'boolean', default: false },
    verifier: { type: 'string', default: 'embedded' },
  } as const
  try {
    const { once, simulated, verifier: named } = parseArgs({ options: known }).values
    const verifier = verifierNames.find((name) => name === named)
    return verifier === undefined ? null : { once, simulated, verifier }
  } catch (error) {
    if (error instanceof TypeError) return null
    throw error
  }
}

async function appraisals({ adminSocket }: DemoAgent) {
  const answer = await ask(adminSocket, '/v1/admin/status')
  if (answer?.status !== 200) throw new Error('the agent does not tell its status')
  return (JSON.parse(answer.body) as AgentStatus).appraisals
}

/** The workload is a process of its own, as in life. */
async function tokenOfWorkload(agent: DemoAgent, request: object): Promise<{ token: string; ms: number }> {
  const startedAt = Date.now()
  const program = new URL('./workload.js', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, [program, agent.socket, JSON.stringify(request)])
  return { token: stdout, ms: Date.now() - startedAt }
}

async function show(screen: Screen, machine: DemoMachine, verifier: DemoVerifier, agent: DemoAgent): Promise<boolean> {
  screen.machine(machine)
  screen.agent(agent)
  if (verifier.describes !== null) screen.remoteVerifier(verifier.describes)
  const { token, ms } = await tokenOfWorkload(agent, verifier.request)
  const { enrolment, evidence } = await appraisals(agent)
  if (enrolment) screen.enrolment(enrolment)
  if (evidence) screen.evidence(evidence)
  screen.workload(token, ms)
  const strict = await verifier.relyingParty(agent, false).appraise(token, verifier.expectations)
  const accepted = machine.simulated
    ? await verifier.relyingParty(agent, true).appraise(token, verifier.expectations)
    : strict
  screen.relyingParty(accepted, machine.simulated ? strict : null)
  screen.token(token)
  screen.tryIt(agent, verifier)
  return accepted.affirmed
}

async function play({ once, verifier: name }: Options, machine: DemoMachine, folder: string): Promise<number> {
  const screen = new Screen()
  const verifier = await startVerifier(name, machine, join(folder, 'verifier'))
  let agent: DemoAgent | undefined
  try {
    agent = await startAgent(join(folder, 'agent'), machine, verifier.remotes)
    const affirmed = await show(screen, machine, verifier, agent)
    if (!once && affirmed) await untilStopped(agent, screen)
    return affirmed ? 0 : 1
  } finally {
    await agent?.stop()
    await verifier.stop()
  }
}

async function main(): Promise<number> {
  const options = readOptions()
  if (options === null) {
    process.stderr.write(usage)
    return 64
  }
  const folder = await mkdtemp(join(tmpdir(), 'attestd-demo-'))
  // The other verifiers trust simulated TDs only.
  const real = hasDevice() && !options.simulated && options.verifier === 'embedded'
  const machine = real ? await machineOfThisHost(folder) : await simulatedMachine(folder)
  try {
    return await play(options, machine, folder)
  } finally {
    await machine.stop()
    await rm(folder, { recursive: true, force: true })
  }
}

async function untilStopped(agent: DemoAgent, screen: Screen): Promise<void> {
  screen.staying()
  const signalled = new Promise<void>((resolve) => {
    for (const signal of ['SIGINT', 'SIGTERM'] as const) process.once(signal, () => resolve())
  })
  await Promise.race([signalled, agent.exited])
}

process.exitCode = await main()
