import { once } from 'node:events'
import { chmodSync, copyFileSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs'
import { type AddressInfo, createServer } from 'node:net'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, type ConfigurationLines, callerRule } from '../support/agent-process.ts'
import { runAttestd } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { canChangeUser } from '../support/unix-caller.ts'

/** Starts that must not succeed: each ends with a code and says what to mend. */

describe.skipIf(!haveSwtpm).concurrent('the agent does not start', () => {
  const { machine, folder } = useTpmMachine()
  let homes = 0
  /** With the signing keys of the agent that runs: making such keys takes longest. */
  function newHome(lines: ConfigurationLines = {}): AgentHome {
    const home = new AgentHome(join(folder, `agent-${++homes}`), machine(), lines)
    mkdirSync(home.stateDirectory, { mode: 0o700 })
    const keys = 'issuer-keys.json'
    if (running) copyFileSync(join(running.home.stateDirectory, keys), join(home.stateDirectory, keys))
    return home
  }
  let running: AgentProcess | undefined
  beforeAll(async () => {
    running = await AgentProcess.start(newHome())
  })
  afterAll(() => running?.stop())

  function required(): AgentProcess {
    if (running === undefined) throw new Error('no agent runs')
    return running
  }

  async function refused(home: AgentHome, options: Parameters<typeof AgentProcess.spawn>[1] = {}) {
    const agent = await AgentProcess.spawn(home, options)
    const { code } = await agent.exited
    return { code, log: agent.log }
  }

  function edit({ configurationFile }: AgentHome, text: string, other: string): void {
    writeFileSync(configurationFile, readFileSync(configurationFile, 'utf8').replace(text, other))
  }

  it.each<[string, ConfigurationLines, RegExp]>([
    [
      'an unknown key',
      { agent: ['log_levle = "debug"'] },
      /attestd\.toml:3: agent\.log_levle is not a key; did you mean log_level\?/,
    ],
    ['a lifetime below the least', { issuer: ['url = "https://issuer.example"', 'lifetime = "59s"'] }, /lifetime/],
    [
      'a user that is not there',
      { rules: [callerRule('bad', 'uid = "nobody-here"', [audience])] },
      /attestd\.toml:\d+: callers\.rules\[0\]\.match\.uid .*nobody-here/,
    ],
    ['a simulated TPM that is not allowed', { tpm: ['simulator = false'] }, /TPM_SIMULATOR/],
    ['a TCTI that starts a shell', { tpm: ['tcti = "cmd:id"'] }, /TPM_TCTI_CONFIG/],
  ])('with %s', async (_, lines, says) => {
    const { code, log } = await refused(newHome(lines))
    expect(log).toMatch(says)
    expect(log).toContain('remedy: ')
    expect(code).toBe(78)
  })

  it('with a configuration that is missing, or that others may write', async () => {
    const missing = await runAttestd(['run', '--allow-root', '--config', join(folder, 'nowhere.toml')])
    expect([missing.code, missing.err]).toEqual([78, expect.stringContaining('CONFIGURATION_UNREADABLE')])
    const home = newHome()
    chmodSync(home.configurationFile, 0o666)
    const { code, log } = await refused(home)
    expect([code, log]).toEqual([78, expect.stringContaining('may be written by others')])
  })

  it('with a state directory that others can enter', async () => {
    const home = newHome()
    chmodSync(home.stateDirectory, 0o755)
    const { code, log } = await refused(home)
    expect([code, log]).toEqual([78, expect.stringContaining('STATE_DIRECTORY')])
  })

  it('with signing keys that do not read, and leaves them as they are', async () => {
    const home = newHome()
    writeFileSync(join(home.stateDirectory, 'issuer-keys.json'), '{"half":', { mode: 0o600 })
    const { code, log } = await refused(home)
    expect(code).not.toBe(0)
    expect(log).toContain('KEY_STATE_UNREADABLE')
  })

  it('on the state directory of an agent that runs', async () => {
    const home = newHome()
    edit(home, home.stateDirectory, required().home.stateDirectory)
    const { code, log } = await refused(home)
    expect([code, log]).toEqual([75, expect.stringContaining('LOCK_HELD')])
    await required().token()
  })

  it('on the socket of an agent that runs', async () => {
    const home = newHome()
    edit(home, home.path('api.sock'), required().home.path('api.sock'))
    const { code, log } = await refused(home)
    expect([code, log]).toEqual([78, expect.stringContaining('SOCKET_IN_USE')])
    await required().token()
  })

  it('where the address of its issuer is taken', async () => {
    const taken = createServer().listen(0, '127.0.0.1')
    await once(taken, 'listening')
    const { port } = taken.address() as AddressInfo
    const home = newHome({ issuer: ['url = "https://issuer.example"', `listen = "127.0.0.1:${port}"`] })
    const { code, log } = await refused(home)
    expect([code, log]).toEqual([78, expect.stringContaining('ISSUER_LISTEN_FAILED')])
    taken.close()
  })

  it('with options for Node in the environment, or under an inspector', async () => {
    const options = await refused(newHome(), { environment: { NODE_OPTIONS: '--no-warnings' } })
    expect([options.code, options.log]).toEqual([78, expect.stringContaining('UNSAFE_ENVIRONMENT')])
    const inspected = await refused(newHome(), { nodeOptions: ['--inspect=127.0.0.1:0'] })
    expect([inspected.code, inspected.log]).toEqual([78, expect.stringContaining('UNSAFE_ENVIRONMENT')])
  })

  it.skipIf(!canChangeUser)('as root, unless that is said', async () => {
    const { code, err } = await runAttestd(['run', '--config', newHome().configurationFile])
    expect([code, err]).toEqual([78, expect.stringContaining('RUNNING_AS_ROOT')])
  })
})
