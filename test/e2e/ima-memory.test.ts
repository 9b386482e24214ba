import { chmodSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { havePostgres, PostgresServer } from '../support/postgres-server.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** How far the IMA log was judged outlives the agent: stopped, and killed while it appraises (IMA-10, ENR-12). */

const seed = Date.now() >>> 0
const drawn = seededRandom(seed)
const draw = (below: number) => (Buffer.from(drawn(4)).readUInt32LE() / 2 ** 32) * below
const pause = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms))
const rounds = 4

/** An embedded database is made and started anew for each agent, which takes seconds on a busy machine. */
const patience = { timeout: 180_000 }

const stores = [
  { store: 'embedded', possible: haveSwtpm },
  { store: 'postgresql', possible: haveSwtpm && havePostgres },
]

for (const { store, possible } of stores) {
  describe.skipIf(!possible)(`an agent whose verifier remembers in ${store} (seed ${seed})`, () => {
    const { machine, folder } = useTpmMachine()
    let server: PostgresServer | null = null
    let home: AgentHome
    let audiences = 0
    const another = () => ({ audience: `${audience}/${++audiences}` })

    beforeAll(async () => {
      await machine().measureFiles(100)
      const registry = [`store = "${store}"`]
      mkdirSync(join(folder, 'secrets'))
      if (store === 'postgresql') {
        server = await PostgresServer.start()
        const file = join(folder, 'secrets/url')
        writeFileSync(file, server.url, { mode: 0o600 })
        registry.push(`url_file = "${file}"`)
      }
      chmodSync(join(folder, 'secrets'), 0o700)
      home = new AgentHome(join(folder, 'agent'), machine(), { registry })
    })
    afterAll(() => server?.[Symbol.asyncDispose]())

    async function run<T>(use: (agent: AgentProcess) => Promise<T>): Promise<T> {
      const agent = await AgentProcess.start(home)
      try {
        return await use(agent)
      } finally {
        await agent.stop()
        await machine().tap.flush()
      }
    }

    /** What a token says of the records since the boot, and of the boot. */
    async function attest(agent: AgentProcess) {
      const { ima, tpm } = partOf(await agent.token(another()), 'payload') as Record<string, Record<string, unknown>>
      return [ima?.['verified'], ima?.['entry_count'], tpm?.['new_boot']]
    }

    it('goes on where it was when it starts again: records that were judged are not looked at', patience, async () => {
      expect(await run(attest)).toEqual([true, 105, true])
      await machine().measureFiles(2)
      const log = readFileSync(machine().imaLog)
      const changed = Buffer.from(log)
      const name = changed.indexOf('/usr/bin/of-50')
      changed[name + 1] = 0x58
      writeFileSync(machine().imaLog, changed)
      expect(await run(attest)).toEqual([true, 107, false])
      writeFileSync(machine().imaLog, log)
    })

    it('is affirmed again whenever it is killed, with every record and no older counters', patience, async () => {
      let records = 107
      for (let round = 0; round < rounds; round++) {
        await machine().measureFiles(3)
        records += 3
        const agent = await AgentProcess.start(home)
        const asked = Promise.allSettled([1, 2, 3].map(() => attest(agent)))
        await pause(draw(250))
        await agent.kill()
        for (const outcome of await asked) {
          if (outcome.status === 'fulfilled') expect(outcome.value).toEqual([true, records, false])
        }
        await machine().tap.flush()
      }
      expect(await run(attest)).toEqual([true, records, false])
    })

    it('judges the whole log of another boot', patience, async () => {
      await machine().powerOff()
      await machine().powerOn()
      expect(await run(attest)).toEqual([true, 5, true])
    })
  })
}
