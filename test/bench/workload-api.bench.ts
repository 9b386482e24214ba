import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import http, { type Server } from 'node:http'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, bench, describe } from 'vitest'
import { SystemClock } from '../../src/platform/system-clock.ts'
import { createWorkloadServer } from '../../src/workload-api/workload-server.ts'
import { FakeIdentifier, FakeProvider, openRules, policyFrom, tokenSettings } from '../support/workload-room.ts'

const clock = new SystemClock(null)
const silent = { debug() {}, info() {}, warn() {}, error() {} }
const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
const token = new FakeProvider(clock).tokenFor({
  issuer: 'local',
  tokenType: 'OIDC',
  audience: ['https://a.example'],
  nonces: [],
  ttlS: null,
  policyIds: [],
  cnf: null,
  fresh: false,
}).token

async function listen(server: Server, name: string): Promise<string> {
  const path = join(folder, name)
  await new Promise<void>((resolve) => server.listen(path, resolve))
  return path
}

const bare = http.createServer((_request, response) => {
  response.writeHead(200, { 'content-type': 'application/jwt', 'content-length': token.length }).end(token)
})
const { server, close } = await createWorkloadServer({
  listener: 'api',
  identifier: new FakeIdentifier(),
  policy: policyFrom(openRules),
  tokens: () => tokenSettings,
  provider: new FakeProvider(clock),
  jwks: async () => ({ keys: [] }),
  readiness: () => ({ ready: true, reasons: [] }),
  clock,
  random: (size) => randomBytes(size),
  log: silent,
  limits: {
    requestsPerS: 1e9,
    requestBurst: 1e9,
    acceptsPerS: 1e9,
    acceptBurst: 1e9,
    connectionRequests: 1e9,
    connectionAgeMs: 1e9,
  },
})
const paths = { bare: await listen(bare, 'bare.sock'), api: await listen(server, 'api.sock') }

afterAll(async () => {
  bare.closeAllConnections()
  bare.close()
  server.closeAllConnections()
  await close()
  rmSync(folder, { recursive: true })
})

/** One request over a connection that is kept. */
function ask(agent: http.Agent, socketPath: string, body: string | null, path = '/v1/token'): Promise<void> {
  const headers = body === null ? {} : { 'content-type': 'application/json', 'content-length': body.length }
  return new Promise((resolve, reject) => {
    const request = http.request({ agent, socketPath, path, method: body === null ? 'GET' : 'POST', headers })
    request.on('error', reject)
    request.on('response', (response) => {
      if (response.statusCode !== 200) reject(new Error(`status ${response.statusCode}`))
      response.resume().on('end', resolve)
    })
    request.end(body ?? undefined)
  })
}

const body = JSON.stringify({ audience: 'https://a.example' })
const agents = { bare: new http.Agent({ keepAlive: true }), api: new http.Agent({ keepAlive: true }) }
const sixteen = (run: () => Promise<void>) => Promise.all(Array.from({ length: 16 }, run))

describe('a cached token over a kept connection', () => {
  bench('bare node:http', () => ask(agents.bare, paths.bare, null))
  bench('GET /v1/token', () => ask(agents.api, paths.api, null))
  bench('POST /v1/token', () => ask(agents.api, paths.api, body))
})

describe('sixteen cached tokens at once', () => {
  bench('bare node:http', async () => void (await sixteen(() => ask(agents.bare, paths.bare, null))))
  bench('GET /v1/token', async () => void (await sixteen(() => ask(agents.api, paths.api, null))))
  bench('POST /v1/token', async () => void (await sixteen(() => ask(agents.api, paths.api, body))))
})
