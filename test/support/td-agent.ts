import { randomBytes } from 'node:crypto'
import { copyFileSync, existsSync, mkdirSync } from 'node:fs'
import { join } from 'node:path'
import {
  type AgentAnswer,
  AgentHome,
  type AgentMachine,
  AgentProcess,
  audience,
  type ConfigurationLines,
  callerRule,
  problemOf,
  type StartOptions,
} from './agent-process.ts'

/** May ask as often as a test needs. */
export const eagerRule = callerRule(
  'tests',
  `uid = ${process.getuid?.() ?? 0}`,
  [audience, `${audience}/`],
  ', rate = { per_min = 600000, burst = 10000, raise = true }',
)

const keyFile = 'issuer-keys.json'

/** A home whose agent finds signing keys: those of the first agent of this suite, for making such keys takes longest. */
export function eagerHome(folder: string, machine: AgentMachine, lines: ConfigurationLines = {}): AgentHome {
  const home = new AgentHome(folder, machine, { rules: [eagerRule], ...lines })
  const kept = join(folder, '..', keyFile)
  const own = join(home.stateDirectory, keyFile)
  mkdirSync(home.stateDirectory, { recursive: true, mode: 0o700 })
  if (existsSync(kept) && !existsSync(own)) copyFileSync(kept, own)
  return home
}

export async function startEager(folder: string, machine: AgentMachine, lines: ConfigurationLines = {}) {
  return startAt(eagerHome(folder, machine, lines))
}

/** Starts an agent and keeps its signing keys for the others of the suite. */
export async function startAt(home: AgentHome, options: StartOptions = {}): Promise<AgentProcess> {
  const agent = await AgentProcess.start(home, options)
  const kept = join(home.folder, '..', keyFile)
  if (!existsSync(kept)) copyFileSync(join(home.stateDirectory, keyFile), kept)
  return agent
}

interface NewRequest {
  /** Default one that nobody has asked for. */
  readonly audience?: string
  readonly timeout_ms?: number
}

/** Short, so that nobody tries again after a failure; longer only where the machine is too busy for an answer in time. */
const patience = [500, 2000, 20_000]

/** No answer about the guest: time ran out, here or with the look at who is calling. */
const isOfABusyMachine = (answer: AgentAnswer) =>
  answer.status !== 200 && ['deadline_exceeded', 'identity_unavailable'].includes(String(problemOf(answer)['code']))

/** A token of its own, from evidence of its own: nothing kept and no pause after an earlier failure is in its way. */
export async function askAnew(agent: AgentProcess, request: NewRequest = {}): Promise<AgentAnswer> {
  const times = request.timeout_ms === undefined ? patience : [request.timeout_ms]
  for (const [at, timeout_ms] of times.entries()) {
    const own = { audience: `${audience}/${randomBytes(12).toString('hex')}`, ...request, timeout_ms }
    const answer = await agent.askToken(own)
    if (!isOfABusyMachine(answer) || at === times.length - 1) return answer
  }
  throw new TypeError('no time to ask in')
}

/** What a caller is told: status and code, the code of the cause, the checks that failed. */
export function told(answer: AgentAnswer): readonly [number, ...unknown[]] {
  if (answer.status === 200) return [200]
  const { code, cause_code: cause, findings } = problemOf(answer)
  return [answer.status, code, ...[cause, findings].filter((fact) => fact !== undefined)]
}

/** The same of a new request. */
export async function toldAnew(
  agent: AgentProcess,
  request: NewRequest = {},
): Promise<readonly [number, ...unknown[]]> {
  return told(await askAnew(agent, request))
}

export interface Readiness {
  readonly status: number
  readonly reasons: readonly string[]
}

export async function readiness(agent: AgentProcess): Promise<Readiness> {
  const { status, body } = await agent.ask('/readyz')
  const { reasons = [] } = JSON.parse(body) as { reasons?: string[] }
  return { status, reasons }
}

/** Entries of the log with this name, oldest first. */
export function logged(agent: AgentProcess, event: string): readonly Record<string, unknown>[] {
  return agent.log
    .split('\n')
    .filter((line) => line.startsWith('{'))
    .map((line) => JSON.parse(line) as Record<string, unknown>)
    .filter((entry) => entry['event'] === event)
}
