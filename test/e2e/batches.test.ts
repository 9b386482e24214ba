import { chmodSync, chownSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { AgentHome, AgentProcess, audience, callerRule, partOf } from '../support/agent-process.ts'
import { runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { commandCodes } from '../support/tpm-tap.ts'
import { canChangeUser } from '../support/unix-caller.ts'

/** Many requests that need evidence of their own, of several users at once: few quotes, and a proof in every token. */

const socketGroup = 65_530
const users = [65_531, 65_532, 65_533]
/** Requests with nonces that one caller may make at once (API-81), and audiences that it may keep tokens for (BRK-04). */
const [withNonces, cold] = [5, 16]
const each = withNonces + cold
const issuer = 'https://issuer.example'

/** Asks for tokens with nonces of their own, and for some of audiences that nobody has asked for, all at once. */
const script = `
import { request } from 'node:http'
const [socketPath, audience, uid, withNonces, cold] = process.argv.slice(1)
const ask = (wish) => new Promise((resolve, reject) => {
  const body = JSON.stringify({ ...wish, timeout_ms: 30000 })
  const headers = { 'content-type': 'application/json', 'content-length': body.length }
  request({ socketPath, path: '/v1/token', method: 'POST', headers, agent: false }, (response) => {
    let text = ''
    response.on('data', (part) => { text += part }).on('end', () => resolve({ status: response.statusCode, wish, body: text }))
  }).on('error', reject).end(body)
})
const many = (count, wish) => Array.from({ length: Number(count) }, (_, at) => ask(wish(at)))
const answers = await Promise.all([
  ...many(withNonces, (at) => ({ audience, nonces: ['nonce-' + uid + '-000' + at] })),
  ...many(cold, (at) => ({ audience: audience + '/' + uid + '/' + at })),
])
process.stdout.write(JSON.stringify(answers))
`

interface Answer {
  readonly status: number
  readonly wish: { readonly audience: string; readonly nonces?: readonly [string] }
  readonly body: string
}

describe.skipIf(!haveSwtpm || !canChangeUser)('requests of several users at once', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  const quotes = () => machine().tap.count(commandCodes.quote)

  beforeAll(async () => {
    const rate = ', rate = { per_min = 600000, burst = 10000, raise = true }'
    const rules = [0, ...users].map((uid) =>
      callerRule(`user-${uid}`, `uid = ${uid}`, [audience, `${audience}/`], rate),
    )
    const home = new AgentHome(join(folder, 'agent'), machine(), { rules })
    chownSync(home.folder, 0, socketGroup)
    chmodSync(home.folder, 0o2755)
    agent = await AgentProcess.start(home)
    await agent.token()
  })
  afterAll(() => agent?.stop())

  async function askAs(uid: number): Promise<readonly Answer[]> {
    const user = ['--reuid', String(uid), '--regid', String(uid), '--groups', String(socketGroup)]
    const node = [process.execPath, '--input-type=module', '-e', script]
    const asked = [agent.home.path('api.sock'), audience, String(uid), String(withNonces), String(cold)]
    const { code, out, err } = await runCommand('setpriv', [...user, ...node, ...asked])
    expect([code, err]).toEqual([0, ''])
    return JSON.parse(out)
  }

  it('get a token each, under few quotes, and every token proves that its request was quoted (BRK-85, BRK-86)', {
    timeout: 60_000,
  }, async () => {
    const [before, { batches: earlier }] = [quotes(), await agent.status()]
    const answers = (await Promise.all(users.map(askAs))).flat()
    expect(
      answers
        .filter(({ status }) => status !== 200)
        .map(({ body }) => body)
        .slice(0, 2),
    ).toEqual([])
    const { batches } = await agent.status()
    expect(batches.requests - earlier.requests).toBe(users.length * each)
    const taken = batches.ended - earlier.ended
    expect(taken).toBeLessThan((users.length * each) / 3)
    expect(quotes() - before).toBe(taken)
    expect(batches.largest).toBeGreaterThan(3)

    const keys = { jwks: JSON.parse((await agent.ask('/v1/jwks')).body) }
    const trust = { issuer, keys, measurements: null, allowSimulated: true, requireCommitment: true }
    const seen = new Set<string>()
    for (const { body, wish } of answers) {
      const verifier = createTokenVerifier({ ...trust, tee: ['tpm'], audience: wish.audience })
      const [nonce] = wish.nonces ?? []
      const { findings, jti } = await verifier.accept(body, nonce === undefined ? {} : { eatNonce: nonce })
      expect(findings.find(({ id }) => id === 'token.inclusion')?.outcome).toBe('passed')
      seen.add(String(jti))
    }
    expect(seen.size).toBe(users.length * each)
    const committed = answers.map(({ body }) => partOf(body, 'payload')['attestd'] as { commitment: { size: number } })
    expect(Math.max(...committed.map(({ commitment }) => commitment.size))).toBe(batches.largest)
  })

  it('are not in one with a request that is given up', async () => {
    const given = agent.askToken({ fresh: true, timeout_ms: 1 })
    const others = await Promise.all([1, 2, 3].map((at) => agent.askToken({ nonces: [`nonce-000${at}`] })))
    expect([503, 504, 200]).toContain((await given).status)
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200])
  })
})
