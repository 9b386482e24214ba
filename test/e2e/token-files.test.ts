import { existsSync, mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** Files in a file system without a disk, as /run is. */
const root = mkdtempSync('/dev/shm/attestd-tokens-')
afterAll(() => rmSync(root, { recursive: true, force: true }))

function sinkLines(name: string, path: string, more: readonly string[] = []): string {
  return ['[[sinks]]', `name = "${name}"`, `path = "${path}"`, ...more].join('\n')
}

describe.skipIf(!haveSwtpm)('token files of a running agent', () => {
  const { machine, folder } = useTpmMachine()
  const path = (name: string) => join(root, name)
  let agent: AgentProcess
  beforeAll(async () => {
    const home = new AgentHome(join(folder, 'agent'), machine(), {
      tokenFiles: [`roots = ["${root}"]`],
      sinks: [
        sinkLines('plain', path('token'), [`audience = "${audience}"`]),
        sinkLines('json', path('token.json'), [`audience = "${audience}"`, 'format = "json"', 'member = "jwt"']),
      ],
    })
    agent = await AgentProcess.start(home)
  })
  afterAll(() => agent?.stop())

  it('are there soon after the start, with exactly the bytes of the token, and the agent is ready then', async () => {
    await agent.until(() => existsSync(path('token')) && existsSync(path('token.json')), 'written')
    const token = readFileSync(path('token'), 'latin1')
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    expect(partOf(token, 'payload')).toMatchObject({ aud: audience })
    expect(statSync(path('token')).mode & 0o7777).toBe(0o440)
    const { exp } = partOf(token, 'payload')
    expect(readFileSync(path('token.json'), 'latin1')).toBe(JSON.stringify({ jwt: token, expires_at: exp }))
    expect((await agent.ask('/readyz')).status).toBe(200)
  })
})
