import { readdirSync } from 'node:fs'
import { Agent as HttpAgent } from 'node:http'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, callerRule } from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { canChangeUser } from '../support/unix-caller.ts'

/** What the agent holds after much work is what it holds after little. */

const mostResident = 130e6
/** Without bounds V8 lets garbage grow with the memory of the machine. */
const nodeOptions = [
  '--optimize-for-size',
  '--max-semi-space-size=2',
  '--single-threaded-gc',
  '--max-old-space-size=96',
]

describe.skipIf(!haveSwtpm)('an agent under load', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  beforeAll(async () => {
    const rate = ', rate = { per_min = 600000, burst = 10000, raise = true }'
    const rules = [callerRule('tests', `uid = ${process.getuid?.()}`, [audience, `${audience}/`], rate)]
    const home = new AgentHome(join(folder, 'agent'), machine(), { rules, broker: [`warm = ["${audience}"]`] })
    agent = await AgentProcess.start(home, { nodeOptions })
  })
  afterAll(() => agent?.stop())

  /** Only root may look: the agent forbids everybody else to look into it. */
  const descriptors = () => (canChangeUser ? readdirSync(`/proc/${agent.pid}/fd`).length : 0)

  it('stays small, and its descriptors stay as many', { timeout: 60_000 }, async () => {
    const keepAlive = new HttpAgent({ keepAlive: true, maxSockets: 8 })
    await agent.token({}, { keepAlive })
    keepAlive.destroy()
    const before = descriptors()
    const busy = new HttpAgent({ keepAlive: true, maxSockets: 8 })
    for (let round = 0; round < 10; round++) {
      const fresh = Array.from({ length: 10 }, (_, at) => agent.token({ audience: `${audience}/${round}-${at}` }))
      const cached = Array.from({ length: 200 }, () => agent.token({}, { keepAlive: busy }))
      await Promise.all([...fresh, ...cached])
    }
    busy.destroy()
    const { counts, entries } = (await agent.status()).broker
    expect(counts).toMatchObject({ started: 101, landed: 101, failed: 0 })
    expect(entries.length).toBeLessThanOrEqual(17)
    expect(agent.residentBytes()).toBeLessThan(mostResident)
    await agent.until(() => descriptors() <= before, 'closing what was opened')
    // Warnings of Node go past the log, and are no JSON.
    const lines = agent.log.split('\n').filter((line) => line !== '')
    expect(lines.filter((line) => !line.startsWith('{') && !/^<\d>\{/.test(line))).toEqual([])
  })
})
