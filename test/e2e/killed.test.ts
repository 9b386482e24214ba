import { existsSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { seededRandom } from '../support/seeded-random.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** `kill -9` at moments drawn by chance: what was promised to relying parties outlives it. */

const seed = Date.now() >>> 0
const drawn = seededRandom(seed)
const draw = (below: number) => (Buffer.from(drawn(4)).readUInt32LE() / 2 ** 32) * below
const pause = (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms))

const keptFiles = ['ak', 'issuer-keys.json', 'lock']
const enrolledName = (log: string) => /"event":"enrolled","ak_name":"([0-9a-f]+)"/.exec(log)?.[1]

/** What one state directory has shown to the outside so far. */
interface Witness {
  readonly kids: Set<string>
  readonly akNames: Set<string>
  readonly akFiles: Set<string>
  readonly keyFiles: Set<string>
}

/** Two machines at once, with one agent at a time. */
describe.skipIf(!haveSwtpm).concurrent.each([1, 2])(
  `an agent that is killed again and again (seed ${seed}, machine %i)`,
  () => {
    const { machine, folder } = useTpmMachine()

    function note(home: AgentHome, { log }: AgentProcess, seen: Witness): void {
      const name = enrolledName(log)
      if (name !== undefined) seen.akNames.add(name)
      const content = (file: string) => readFileSync(join(home.stateDirectory, file), 'base64')
      const there = existsSync(home.stateDirectory) ? readdirSync(home.stateDirectory) : []
      if (there.includes('ak')) seen.akFiles.add(content('ak'))
      if (there.includes('issuer-keys.json')) seen.keyFiles.add(content('issuer-keys.json'))
    }

    async function killDuring(
      home: AgentHome,
      seen: Witness,
      act: (agent: AgentProcess) => Promise<void>,
    ): Promise<void> {
      const agent = await AgentProcess.spawn(home)
      await act(agent)
      expect(agent.child.exitCode, agent.log).toBe(null)
      await agent.kill()
      await machine().tap.flush()
      note(home, agent, seen)
    }

    /** Asks for tokens, and is killed while it makes the keys, enrols or issues. */
    async function whileServing(agent: AgentProcess, seen: Witness): Promise<void> {
      await agent.untilReady()
      const asked = Array.from({ length: 3 }, (_, at) => agent.token({ audience: `${audience}/${at}` }))
      const noted = asked.map((token) =>
        token.then(
          (text) => seen.kids.add(String(partOf(text, 'header')['kid'])),
          () => undefined,
        ),
      )
      await pause(draw(350))
      agent.signal('SIGKILL')
      await Promise.all(noted)
    }

    async function requireSound(home: AgentHome, seen: Witness): Promise<void> {
      const agent = await AgentProcess.start(home)
      try {
        seen.kids.add(String(partOf(await agent.token(), 'header')['kid']))
        const { keys } = JSON.parse((await agent.ask('/v1/jwks')).body)
        const published = keys.map(({ kid }: { kid: string }) => kid)
        expect(published).toEqual(expect.arrayContaining([...seen.kids]))
        await agent.until(() => enrolledName(agent.log) !== undefined, 'enrolled')
        note(home, agent, seen)
        expect(readdirSync(home.stateDirectory).sort()).toEqual(keptFiles)
      } finally {
        await agent.stop()
      }
      for (const witness of [seen.akNames, seen.akFiles, seen.keyFiles]) expect(witness.size).toBe(1)
    }

    /** Eight rounds on one state directory: the later ones find what the earlier ones left. */
    async function killEightTimes(home: AgentHome): Promise<void> {
      const seen: Witness = { kids: new Set(), akNames: new Set(), akFiles: new Set(), keyFiles: new Set() }
      for (let round = 0; round < 4; round++) {
        await killDuring(home, seen, async () => pause(draw(900)))
      }
      for (let round = 0; round < 4; round++) {
        await killDuring(home, seen, (agent) => whileServing(agent, seen))
      }
      // As if the last kill had come in the middle of a write.
      const half = join(home.stateDirectory, `.tmp-${'0123456789abcdef'.repeat(2)}`)
      writeFileSync(half, 'half of a private key', { mode: 0o600 })
      await requireSound(home, seen)
    }

    it('keeps its keys and nothing else', { timeout: 120_000 }, async () => {
      await killEightTimes(new AgentHome(join(folder, 'agent-1'), machine()))
      await killEightTimes(new AgentHome(join(folder, 'agent-2'), machine()))
    })
  },
)
