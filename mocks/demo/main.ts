import { execFile } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { mkdtemp, rm } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parseArgs, promisify } from 'node:util'
import type { AgentStatus } from '../../src/agent/agent-status.ts'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { ask, type DemoAgent, demoAudience, startAgent } from './agent-process.ts'
import { type DemoMachine, hasDevice, machineOfThisHost, simulatedMachine } from './machine.ts'
import { Screen } from './screen.ts'

interface Options {
  readonly once: boolean
  readonly simulated: boolean
}

function options(): Options {
  const { values } = parseArgs({
    options: { once: { type: 'boolean', default: false }, simulated: { type: 'boolean', default: false } },
  })
  return { once: values.once, simulated: values.simulated }
}

async function appraisals({ adminSocket }: DemoAgent) {
  const answer = await ask(adminSocket, '/v1/admin/status')
  if (answer?.status !== 200) throw new Error('the agent does not tell its status')
  return (JSON.parse(answer.body) as AgentStatus).appraisals
}

/** The workload is a process of its own, as in life. */
async function tokenOfWorkload(agent: DemoAgent, nonce: string): Promise<{ token: string; ms: number }> {
  const startedAt = Date.now()
  const program = new URL('./workload.js', import.meta.url).pathname
  const { stdout } = await promisify(execFile)(process.execPath, [program, agent.socket, demoAudience, nonce])
  return { token: stdout, ms: Date.now() - startedAt }
}

/** The relying party knows an issuer and its own audience; keys come by discovery, and it asks for a nonce of its own. */
function relyingParty(issuer: string, tee: DemoMachine['tee'], allowSimulated: boolean) {
  return createTokenVerifier({
    issuer,
    audience: demoAudience,
    keys: { discovery: { allowLoopbackHttp: true } },
    tee: [tee],
    measurements: null,
    allowSimulated,
  })
}

async function show(screen: Screen, machine: DemoMachine, agent: DemoAgent): Promise<boolean> {
  screen.machine(machine)
  screen.agent(agent)
  const nonce = randomBytes(16).toString('base64url')
  const { token, ms } = await tokenOfWorkload(agent, nonce)
  const { enrolment, evidence } = await appraisals(agent)
  if (enrolment) screen.enrolment(enrolment)
  if (evidence) screen.evidence(evidence)
  screen.workload(token, ms)
  const strict = await relyingParty(agent.issuer, machine.tee, false).appraise(token, { eatNonce: nonce })
  const accepted = machine.simulated
    ? await relyingParty(agent.issuer, machine.tee, true).appraise(token, { eatNonce: nonce })
    : strict
  screen.relyingParty(accepted, machine.simulated ? strict : null)
  screen.token(token)
  screen.tryIt(agent, demoAudience)
  return accepted.affirmed
}

async function main(): Promise<number> {
  const { once, simulated } = options()
  const folder = await mkdtemp(join(tmpdir(), 'attestd-demo-'))
  const screen = new Screen()
  const machine = hasDevice() && !simulated ? await machineOfThisHost(folder) : await simulatedMachine(folder)
  let agent: DemoAgent | undefined
  try {
    agent = await startAgent(join(folder, 'agent'), machine)
    const affirmed = await show(screen, machine, agent)
    if (!once && affirmed) await untilStopped(agent, screen)
    return affirmed ? 0 : 1
  } finally {
    await agent?.stop()
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
