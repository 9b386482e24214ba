import { createHash, randomBytes } from 'node:crypto'
import { describe, expect, it } from 'vitest'
import { freePort } from '../../../mocks/demo/free-port.ts'
import { askOverTls } from '../../../test/support/azure-verifier.ts'
import { countingRandom } from '../../../test/support/issuing.ts'
import { RawClient } from '../../../test/support/raw-http.ts'
import { askHttp, type ServedVerifierSpec, useServedVerifier } from '../../../test/support/served-verifier.ts'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { policyDigest } from '../../policies/index.ts'
import { version } from '../version.ts'

/** What of its configuration and rooms the verifier service gives to its parts, what it tells, and how it stops. */

const { serve, write } = useServedVerifier()
const text = 'version= 1.2;authorizationrules{=> permit();};issuancerules{};'
const challenge = (socketPath: string) => askHttp({ socketPath }, '/challenge', { method: 'POST' })
const put = (socketPath: string, id: string) =>
  askHttp({ socketPath }, `/v1/admin/policies/id:${id}`, {
    ...{ method: 'PUT', headers: { 'content-type': 'text/plain', 'content-length': String(text.length) }, body: text },
  })
const withFile = (): ServedVerifierSpec => {
  const file = write('site.policy', text)
  return { tables: ['[policies]', 'default = ["site"]', '[[policies.files]]', 'id = "site"', `file = "${file}"`] }
}

describe('the status of a verifier service', () => {
  it('is what its configuration says and what it has, and nothing secret', async () => {
    const { tables = [] } = withFile()
    const { listen, admin, clock } = await serve({ tables: ['[tdx]', 'simulator = true', ...tables] })
    const startedAt = clock.now() / 1000
    const { json } = await askHttp({ socketPath: admin }, '/v1/admin/status')
    const { keys } = (await askHttp({ socketPath: listen }, '/jwks')).json
    expect(json).toEqual({
      ...{ version, pid: process.pid, startedAt, listen, simulator: true, facades: [] },
      issuer: { url: 'https://verifier.example', keys: [expect.objectContaining({ kid: keys[0].kid })] },
      policies: {
        default: ['site'],
        files: [{ id: 'site', hash: policyDigest(new TextEncoder().encode(text)) }],
        untrusted: [],
      },
      store: { kind: 'memory', failure: null },
      challenges: { singleUse: 'per process' },
    })
    expect(JSON.stringify(json)).not.toMatch(/pkcs8|privateKey|"d"/)
  })
})

describe('the log of a verifier service', () => {
  it('says where it listens, and that simulated TDs pass', async () => {
    const { lines, listen, admin } = await serve({ tables: ['[tdx]', 'simulator = true'] })
    const facts = (event: string) => lines.filter((line) => line['event'] === event)
    expect(facts('listening').map(({ level, address }) => [level, address])).toEqual(
      expect.arrayContaining([
        [30, listen],
        [30, admin],
      ]),
    )
    expect(facts('simulator')).toMatchObject([{ level: 40 }])
  })

  it('has every request, which is counted besides, and every change of a policy, at the usual level', async () => {
    const { lines, listen, admin, clock } = await serve()
    await challenge(listen)
    expect((await put(admin, 'own')).status).toBe(200)
    await expect.poll(() => lines.filter(({ event }) => event === 'request')).toMatchObject([{ level: 30 }])
    expect(lines.find(({ event }) => event === 'policy.set')).toMatchObject({ level: 30 })
    const metrics = await askHttp({ socketPath: admin }, '/v1/admin/metrics')
    expect(metrics.text).toMatch(/^attestd_verifier_request_total\{route="\/challenge",code="200"\} 1$/m)
    const { json } = await askHttp({ socketPath: admin }, '/v1/admin/policies/id:own')
    expect(json.versions[0].at).toBe(clock.now() / 1000)
  })

  it('has a bug with its stack, under the instance that the client was told (ERR-02)', async () => {
    let isBroken = false
    const usual = countingRandom()
    const random = (size: number) => {
      if (!isBroken) return usual(size)
      isBroken = false
      throw new TypeError('broken')
    }
    const { opened, lines, listen, admin } = await serve({ random })
    isBroken = true
    const { status, json } = await challenge(listen)
    expect(status).toBe(500)
    opened.status = () => {
      throw new RangeError('no status')
    }
    expect((await askHttp({ socketPath: admin }, '/v1/admin/status')).status).toBe(500)
    expect(lines.filter(({ event }) => event === 'bug')).toMatchObject([
      { level: 50, msg: 'broken', instance: json.instance, stack: expect.stringContaining('TypeError') },
      { level: 50, msg: 'no status', stack: expect.stringContaining('RangeError') },
    ])
  })
})

describe('a façade of a verifier service', () => {
  it('has its bugs told to the log of the service, and to nobody else (ERR-02)', async () => {
    const tls = throwAwayTls()
    const [token, port] = [randomBytes(32).toString('base64'), await freePort()]
    const hash = createHash('sha256').update(token).digest('hex')
    const { lines, clock } = await serve({
      tables: [
        ...['[azure.administration]', 'url = "https://policies.example"', `listen = "127.0.0.1:${port}"`],
        `administrators = [{ name = "ann", token_sha256 = "${hash}" }]`,
        ...[`certificate = "${write('tls.pem', tls.server.cert)}"`, `key = "${write('tls.key', tls.server.key)}"`],
      ],
    })
    const now = clock.now()
    clock.now = () => {
      clock.now = () => now
      throw new TypeError('the secret')
    }
    const url = `https://localhost:${port}/policies/TdxVm?api-version=2020-10-01`
    const answer = await askOverTls(url, tls.ca, { method: 'GET', headers: { authorization: `Bearer ${token}` } })
    expect([answer.status, answer.text]).toEqual([500, expect.not.stringContaining('secret')])
    expect(lines.filter(({ event }) => event === 'bug')).toMatchObject([{ level: 50, msg: 'the secret' }])
  })
})

describe('a verifier service that stops', () => {
  const head = 'Host: v\r\nContent-Type: application/json\r\nContent-Length: 2\r\n\r\n'

  it('answers within 5 s what has begun, at both sockets, and cuts it then', async () => {
    const { listen, admin, clock, told, end } = await serve()
    const asked = [listen, listen, admin, admin].map((path, at) => {
      const route = at < 2 ? 'POST /challenge' : 'POST /v1/admin/policies/id:a/reset'
      return new RawClient(path).write(`${route} HTTP/1.1\r\n${head}{`)
    })
    for (const path of [listen, admin]) await askHttp({ socketPath: path }, '/healthz')
    const ended = end()
    await expect.poll(told).toContain('stopping')
    await clock.advance(4_999)
    const [first, second, third, fourth] = asked
    first?.write('}')
    third?.write('}')
    expect((await first?.answers(1))?.[0]?.status).toBe(200)
    expect((await third?.answers(1))?.[0]?.status).toBe(404)
    expect([second?.received, fourth?.received]).toEqual(['', ''])
    await clock.advance(1)
    await ended
    await Promise.all(asked.map(({ closed }) => closed))
    expect([second?.received, fourth?.received]).toEqual(['', ''])
  })
})
