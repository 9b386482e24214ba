import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { wholeRecords } from '../../src/platform/ima-log-records.ts'
import { AgentHome, AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { commandCodes } from '../support/tpm-tap.ts'

/** A machine with a long IMA log, and a running agent whose verifier knows how far it was judged (IMA-10). */

const measured = 3000

describe.skipIf(!haveSwtpm)('a machine whose IMA log grows', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  let audiences = 0

  beforeAll(async () => {
    await machine().measureFiles(measured)
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine()))
  })
  afterAll(() => agent?.stop())

  /** Bytes that the agent has read of anything. */
  const readBytes = () => Number(/^rchar: (\d+)$/m.exec(readFileSync(`/proc/${agent.pid}/io`, 'utf8'))?.[1])
  const logSize = () => statSync(machine().imaLog).size

  /** A token of its own: the claims about IMA, what was read for it, and the quotes that it took. */
  async function attest() {
    const [read, quotes] = [readBytes(), machine().tap.count(commandCodes.quote)]
    const token = await agent.token({ audience: `${audience}/${++audiences}` })
    const { ima, tpm } = partOf(token, 'payload') as Record<string, Record<string, unknown>>
    const { entry_count: records, verified } = ima ?? {}
    return {
      ...{ records, verified, newBoot: tpm?.['new_boot'] },
      read: readBytes() - read,
      quotes: machine().tap.count(commandCodes.quote) - quotes,
    }
  }

  it('is judged whole once, and then by what is new', async () => {
    const first = await attest()
    expect(first).toMatchObject({ verified: true, records: measured + 5, quotes: 1 })
    expect(first.read).toBeGreaterThan(logSize())
    await machine().measureFiles(10)
    const next = await attest()
    expect(next).toMatchObject({ verified: true, records: measured + 15, quotes: 1, newBoot: false })
    expect(next.read).toBeLessThan(logSize() / 4)
  })

  it('is judged whole at once after a reboot, in the same request', async () => {
    await machine().powerOff()
    await machine().powerOn()
    await machine().measureFiles(20)
    await agent.until(async () => (await agent.ask('/readyz')).status === 200, 'ready again', 95_000)
    expect(await attest()).toMatchObject({ verified: true, records: 25, quotes: 2, newBoot: true })
    await machine().measureFiles(1)
    expect(await attest()).toMatchObject({ verified: true, records: 26, quotes: 1, newBoot: false })
  })

  it('is refused when records are missing from its log, and affirmed when they are there again', async () => {
    await machine().measureFiles(4)
    const log = readFileSync(machine().imaLog)
    const { end } = wholeRecords(log, { columnSize: 20, from: 0 }, 20)
    writeFileSync(machine().imaLog, log.subarray(0, end))
    const refused = await agent.askToken({ audience: `${audience}/${++audiences}` })
    expect(refused.status, refused.body).toBe(502)
    await agent.until(() => agent.log.includes('tpm.ima.replay'), 'saying why in the log')
    writeFileSync(machine().imaLog, log)
    const issued = async () => (await agent.askToken({ audience: `${audience}/${++audiences}` })).status === 200
    await agent.until(issued, 'issuing')
    expect(await attest()).toMatchObject({ verified: true, records: 30, quotes: 1 })
  })
})
