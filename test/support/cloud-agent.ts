import { existsSync, mkdirSync, readFileSync, renameSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll } from 'vitest'
import { parseKeyState } from '../../src/issuer/key-state.ts'
import { signToken } from '../../src/issuer/sign-token.ts'
import { AgentHome, AgentProcess, type ConfigurationLines, callerRule, freePort, partOf } from './agent-process.ts'
import { useTpmMachine } from './tpm-machine.ts'

/** What a cloud would ask of an agent: keys at its issuer, and tokens for one audience. */
export interface CloudAgent {
  readonly agent: () => AgentProcess
  /** `iss`; discovery document and keys are served there. */
  readonly issuer: () => string
  readonly path: (name: string) => string
  /** The token file that the agent itself keeps (BRK-110); resolves when it is there. */
  tokenFile(): Promise<string>
  /** Has the agent put a new token into its token file; resolves, with the token, when it is there. */
  renewTokenFile(): Promise<string>
  /** A token of the running agent; `fresh`: one that nobody had before. */
  token(demand?: { readonly fresh: boolean }): Promise<string>
  /** The token with other claims and a good signature: only its claims are wrong. */
  resigned(token: string, change: (claims: Record<string, unknown>) => void): Promise<string>
  /** Puts a text where a token file is: a regular file that takes the place of another by a rename. */
  place(name: string, text: string): string
}

export interface CloudAgentOptions {
  readonly audience: string
  /** Further lines of the configuration; `folder` is where `place` puts files. */
  readonly lines?: (issuer: string, folder: string) => ConfigurationLines | Promise<ConfigurationLines>
}

/** An agent with a simulated TPM whose issuer answers on loopback, for the tests of a suite. */
export function useCloudAgent({ audience, lines = () => ({}) }: CloudAgentOptions): CloudAgent {
  const { machine, folder } = useTpmMachine()
  let issuer = ''
  let running: AgentProcess | undefined
  beforeAll(async () => {
    issuer = `http://127.0.0.1:${await freePort()}`
    const listen = `listen = "${issuer.slice('http://'.length)}"`
    mkdirSync(join(folder, 'files'), { recursive: true, mode: 0o700 })
    const sink = ['[[sinks]]', 'name = "cloud"', `path = "${join(folder, 'files', 'delivered')}"`]
    const delivered = [...sink, `audience = "${audience}"`, 'allow_disk = true'].join('\n')
    const files = { tokenFiles: [`roots = ["${join(folder, 'files')}"]`], sinks: [delivered] }
    const own = { ...files, issuer: [`url = "${issuer}"`, listen, 'allow_http_loopback = true'] }
    const rules = [callerRule('cloud', `uid = ${process.getuid?.() ?? 0}`, [audience, 'https://other.example'])]
    const home = new AgentHome(join(folder, 'agent'), machine(), {
      rules,
      ...own,
      ...(await lines(issuer, join(folder, 'files'))),
    })
    running = await AgentProcess.start(home)
  })
  afterAll(() => running?.stop())
  const agent = (): AgentProcess => {
    if (running === undefined) throw new Error('the agent has not been started')
    return running
  }
  const path = (name: string) => join(folder, 'files', name)
  const tokenFile = async () => {
    await agent().until(() => existsSync(path('delivered')), 'a token file')
    return path('delivered')
  }
  return {
    agent,
    path,
    tokenFile,
    async renewTokenFile() {
      const read = async () => readFileSync(await tokenFile(), 'utf8')
      const before = await read()
      await agent().ask('/v1/admin/refresh', { socket: 'admin', body: { all: true } })
      await agent().until(async () => (await read()) !== before, 'a new token in the file')
      return read()
    },
    issuer: () => issuer,
    token: (demand = { fresh: false }) => agent().token({ audience, ...demand }),
    place(name, text) {
      writeFileSync(path(`.${name}`), text, { mode: 0o600 })
      renameSync(path(`.${name}`), path(name))
      return path(name)
    },
    async resigned(token, change) {
      const { keys } = parseKeyState(readFileSync(join(agent().home.stateDirectory, 'issuer-keys.json')), 'id-token')
      const signing = keys.find(({ key }) => key.kid === partOf(token, 'header')['kid'])
      if (signing === undefined) throw new Error('the token is signed by no key of this agent')
      const claims = partOf(token, 'payload')
      change(claims)
      return signToken(JSON.parse(JSON.stringify(claims)), signing.key)
    },
  }
}
