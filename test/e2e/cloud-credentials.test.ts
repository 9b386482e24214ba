import { once } from 'node:events'
import { mkdtempSync, readFileSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it, onTestFinished } from 'vitest'
import { openHttpDouble } from '../../mocks/sts/double-server.ts'
import { parseConfiguration } from '../../src/agent/configuration/load.ts'
import { createAttestationTransport } from '../../src/passport/remote/undici-transport.ts'
import { assumeAwsRole } from '../../src/passport/sts/aws-role.ts'
import { requireStsEndpoint } from '../../src/passport/sts/role.ts'
import { parseConsumerSecret } from '../../src/workload-api/compat/consumer-secrets.ts'
import { AgentHome, AgentProcess, callerRule, freePort } from '../support/agent-process.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { throwAwayTls } from '../support/throw-away-tls.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

const secret = 'c2VjcmV0LW9mLXRoZS1wYXltZW50cy1jb25zdW1lci0x'
const audience = 'sts.amazonaws.com'
const uid = process.getuid?.() ?? 0

/** What a hostile or broken peer at the endpoint gets: never a second host, never more than there is room for. */
describe('the exchange with a token service (BRK-48)', () => {
  const token = 'eyJhIjoxfQ.eyJiIjoyfQ.c2ln'
  const assume = (url: string) => {
    const endpoint = requireStsEndpoint(url, { allowLoopbackHttp: true })
    const role = { endpoint, roleArn: 'arn:aws:iam::123456789012:role/x', sessionName: 'x1', durationS: 900 }
    const parts = { clock: new FakeClock(), transport: createAttestationTransport() }
    return assumeAwsRole(role, token, parts, new AbortController().signal).catch(({ code, facts }) => [code, facts])
  }

  it('follows no redirect: nobody else gets the token', async () => {
    const other = await openHttpDouble(() => ({ status: 200, type: 'text/xml', body: '' }))
    const first = await openHttpDouble(() => ({
      ...{ status: 307, type: 'text/xml', body: '' },
      headers: { location: `${other.url}/` },
    }))
    expect(await assume(first.url)).toMatchObject(['sts_answer_invalid', { status: 307 }])
    expect([first.received.length, other.received.length]).toEqual([1, 0])
    await Promise.all([first.close(), other.close()])
  })

  it.each([
    [65_536, 'sts_answer_invalid'],
    [65_537, 'sts_unavailable'],
  ])('reads no more than 64 KiB: %i bytes end as %s', async (size, code) => {
    const service = await openHttpDouble(() => ({ status: 200, type: 'text/xml', body: 'x'.repeat(size) }))
    expect((await assume(service.url)) as unknown[]).toMatchObject([code, expect.anything()])
    await service.close()
  })

  it('is not begun with a server that nobody vouches for, whatever the environment says', async () => {
    const service = await openHttpDouble(() => ({ status: 200, type: 'text/xml', body: '' }), throwAwayTls().server)
    process.env['NODE_TLS_REJECT_UNAUTHORIZED'] = '0'
    try {
      expect((await assume(service.url)) as unknown[]).toMatchObject(['sts_unavailable', expect.anything()])
    } finally {
      delete process.env['NODE_TLS_REJECT_UNAUTHORIZED']
    }
    expect(service.received).toHaveLength(0)
    await service.close()
  })
})

describe.skipIf(!haveSwtpm)('an agent whose token service does not answer', () => {
  const { machine, folder } = useTpmMachine()
  const sockets: Socket[] = []
  const silent = createServer((socket) => void sockets.push(socket.on('error', () => undefined)))
  let port = 0
  let home: AgentHome
  let agent: AgentProcess
  const tables = (endpoint: string) => {
    const listen = `[compat.aws_container]\nlisten = "127.0.0.1:${port}"\n[[compat.aws_container.consumers]]`
    const consumer = [
      'name = "payments"',
      `secret = "${join(folder, 'secret')}"`,
      'role = "arn:aws:iam::123456789012:role/guest"',
      `audience = "${audience}"`,
      'allow_http_loopback = true',
      `endpoint = "${endpoint}"`,
    ]
    return [`${[listen, ...consumer].join('\n')}\n`]
  }
  const endpoint = () => `http://127.0.0.1:${(silent.address() as { port: number }).port}`

  beforeAll(async () => {
    port = await freePort()
    writeFileSync(join(folder, 'secret'), secret, { mode: 0o400 })
    await once(silent.listen(0, '127.0.0.1'), 'listening')
    const rules = [callerRule('cloud', `uid = ${uid}`, [audience])]
    home = new AgentHome(join(folder, 'agent'), machine(), { rules, tables: tables(endpoint()) })
    agent = await AgentProcess.start(home)
    await agent.until(() => sockets.length > 0, 'asking the token service')
  })
  afterAll(async () => {
    await agent?.stop()
    for (const socket of sockets) socket.destroy()
    silent.close()
  })

  const get = () => fetch(`http://127.0.0.1:${port}/aws/payments`, { headers: { authorization: secret } })

  it('looks at the rules first, and at those that are in force (API-68, API-69)', async () => {
    home.configure({ rules: [callerRule('cloud', `uid = ${uid}`, ['https://other.example'])] })
    expect((await agent.ask('/v1/admin/reload', { socket: 'admin', method: 'POST' })).status).toBe(200)
    const answer = await get()
    expect([answer.status, answer.headers.get('attestd-error')]).toEqual([403, 'policy_denied'])
  })

  it('stops at once, though the exchange is under way', async () => {
    const started = performance.now()
    expect(await agent.stop()).toEqual({ code: 0, signal: null })
    expect(performance.now() - started).toBeLessThan(9_000)
  })

  it.each([
    ['http://sts.example', 'is not https'],
    ['https://sts.example/path', 'has a path'],
  ])('does not start with the endpoint %s: file, line and key are named', async (wrong, says) => {
    home.configure({ tables: tables(wrong) })
    const refused = await AgentProcess.spawn(home)
    expect((await refused.exited).code).toBe(78)
    expect(refused.log).toMatch(/attestd\.toml:\d+: compat\.aws_container\.consumers\[?\.?0\]?\.endpoint/)
    expect(refused.log).toContain(says)
  })
})

describe('the pages about clouds', () => {
  it.each(['aws', 'alibaba-cloud', 'google-cloud', 'azure'])(
    '%s.md shows configurations that the agent takes',
    (name) => {
      const text = readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8')
      const blocks = [...text.matchAll(/```toml\n([\s\S]*?)```/g)].map(([, toml = '']) => toml)
      expect(blocks.length).toBeGreaterThan(0)
      for (const toml of blocks) {
        expect(() =>
          parseConfiguration(`[issuer]\nurl = "https://issuer.example"\n${toml}`, `${name}.md`),
        ).not.toThrow()
      }
    },
  )

  it.each(['aws', 'alibaba-cloud'])(
    '%s.md makes a secret that the agent takes, and lets the workload have no token',
    async (name) => {
      const text = readFileSync(new URL(`../../docs/${name}.md`, import.meta.url), 'utf8')
      const folder = mkdtempSync(join(tmpdir(), 'attestd-page-'))
      onTestFinished(() => rmSync(folder, { recursive: true }))
      const script = /```sh\n(.*payments\.secret.*\n)```/.exec(text)?.[1] ?? 'false'
      const { code, err } = await runCommand('sh', ['-c', `set -e\ncd ${folder}\n${script}`])
      expect([code, err]).toEqual([0, ''])
      const path = join(folder, 'payments.secret')
      expect(statSync(path).mode & 0o777).toBe(0o400)
      expect(parseConsumerSecret(readFileSync(path), path)).toHaveLength(32)
      expect(text).toMatch(/^match = \{ uid = 1001, listener = "tcp:(?:aws_container|alibaba_uri)" \}/m)
    },
  )
})
