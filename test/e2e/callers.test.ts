import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, callerRule, ownRule, partOf, problemOf } from '../support/agent-process.ts'
import { RawClient } from '../support/raw-http.ts'
import { runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { commandCodes } from '../support/tpm-tap.ts'
import { canChangeUser, startCaller } from '../support/unix-caller.ts'

/** Who may open the socket, who may have which token, and how many quotes that costs. */

/** Of the folder of the sockets, and so of the sockets. */
const socketGroup = 65_530
const ruled = 65_532
const unruled = 65_533
const theirs = 'https://theirs.example'

describe.skipIf(!haveSwtpm || !canChangeUser)('callers of other users', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  const quotes = () => machine().tap.count(commandCodes.quote)

  beforeAll(async () => {
    const rules = [ownRule, callerRule('theirs', `uid = ${ruled}`, [theirs])]
    const home = new AgentHome(join(folder, 'agent'), machine(), { rules })
    chownSync(home.folder, 0, socketGroup)
    chmodSync(home.folder, 0o2755)
    agent = await AgentProcess.start(home)
  })
  afterAll(() => agent?.stop())

  /** What curl gets that runs as another user in the group of the socket. */
  async function curlAs(uid: number, ask: string, socket = 'api.sock') {
    const user = ['--reuid', String(uid), '--regid', String(uid), '--groups', String(socketGroup)]
    const curl = [
      'curl',
      '-sS',
      '-w',
      '\n%{http_code}',
      '--unix-socket',
      agent.home.path(socket),
      `http://localhost${ask}`,
    ]
    const { code, out, err } = await runCommand('setpriv', [...user, ...curl])
    const [body = '', status] = out.split(/\n(?=\d+$)/)
    return { code, status: Number(status), body, err }
  }
  const tokenFor = (name: string) => `/v1/token?audience=${encodeURIComponent(name)}`

  it('without a rule get 403 and cost no quote', async () => {
    for (const ask of [
      tokenFor(audience),
      `${tokenFor(audience)}&fresh=true`,
      tokenFor('https://unheard-of.example'),
    ]) {
      const { status, body } = await curlAs(unruled, ask)
      expect([status, JSON.parse(body).code]).toEqual([403, 'policy_denied'])
      expect(body).not.toContain('eyJ')
    }
    expect(quotes()).toBe(0)
    expect((await agent.status()).broker.counts.started).toBe(0)
  })

  it('with a rule get the tokens of that rule and no others, also not from the cache', async () => {
    const cached = await agent.token()
    const before = quotes()
    const denied = await curlAs(ruled, tokenFor(audience))
    expect([denied.status, JSON.parse(denied.body)]).toMatchObject([
      403,
      { code: 'policy_denied', dimension: 'audience' },
    ])
    expect(denied.body).not.toContain(cached.split('.')[1])
    expect(quotes()).toBe(before)
    const { status, body } = await curlAs(ruled, tokenFor(theirs))
    expect([status, partOf(body, 'payload')['aud']]).toEqual([200, theirs])
    const ours = await agent.askToken({ audience: theirs })
    expect([ours.status, problemOf(ours)['code']]).toEqual([403, 'policy_denied'])
  })

  it('outside of the group cannot open the socket (API-01)', async () => {
    const stranger = startCaller(agent.home.path('api.sock'), { uid: unruled, gid: unruled })
    await expect(stranger).rejects.toThrow('EACCES')
  })

  it('of the group cannot open the socket of administrators', async () => {
    const path = agent.home.path('admin.sock')
    await expect(startCaller(path, { uid: ruled, gid: ruled, groups: [socketGroup] })).rejects.toThrow('EACCES')
    const { status, body } = await curlAs(ruled, '/v1/admin/status')
    expect([status, JSON.parse(body).code]).toEqual([404, 'not_found'])
  })
})

describe.skipIf(!haveSwtpm)('callers who come at once', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  const quotes = () => machine().tap.count(commandCodes.quote)
  const connections = 25
  const perConnection = 8

  beforeAll(async () => {
    agent = await AgentProcess.start(new AgentHome(join(folder, 'agent'), machine()))
  })
  afterAll(() => agent?.stop())

  it('200 of them find the cache empty: one quote, one token', async () => {
    const line = `GET /v1/token?audience=${encodeURIComponent(audience)} HTTP/1.1\r\n\r\n`
    const clients = Array.from({ length: connections }, () => new RawClient(agent.home.path('api.sock')))
    for (const client of clients) client.write(line.repeat(perConnection))
    const answers = (await Promise.all(clients.map((client) => client.answers(perConnection)))).flat()
    for (const client of clients) client.destroy()
    expect(answers.map(({ status }) => status)).toEqual(Array.from({ length: connections * perConnection }, () => 200))
    expect(new Set(answers.map(({ body }) => body)).size).toBe(1)
    const { started, joins } = (await agent.status()).broker.counts
    expect([quotes(), started]).toEqual([1, 1])
    expect(joins).toBeGreaterThan(150)
  })

  it('for different audiences get a token each, and share quotes', async () => {
    const before = quotes()
    const audiences = Array.from({ length: 6 }, (_, at) => `${audience}/${at}`)
    const tokens = await Promise.all(audiences.map((name) => agent.token({ audience: name })))
    expect(tokens.map((token) => partOf(token, 'payload')['aud'])).toEqual(audiences)
    expect(quotes() - before).toBeGreaterThanOrEqual(1)
    expect(quotes() - before).toBeLessThanOrEqual(3)
  })
})
