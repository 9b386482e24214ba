import { createHash, randomBytes } from 'node:crypto'
import { once } from 'node:events'
import { chmodSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { join } from 'node:path'
import { connect as connectTls } from 'node:tls'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import {
  type AzureVerifierHome,
  type AzureVerifierSpec,
  askForTd,
  askOverTls,
  azureVerifierHome,
  type FacadeName,
} from '../support/azure-verifier.ts'
import { RawClient } from '../support/raw-http.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { throwAwayTls } from '../support/throw-away-tls.ts'
import { VerifierProcess } from '../support/verifier-process.ts'

/** These have nothing to remember: a database takes seconds to begin. */
const memory = '[registry]\nstore = "memory"\n'

/** How the verifier service mounts the façades for clients of Azure: each alone at its place, or the service does not start. */

const version = '?api-version=2020-10-01'
const names: readonly FacadeName[] = ['attestation', 'administration']
const portOf = (url: string) => Number(new URL(url).port)

describe('façades of a running verifier', () => {
  const { machine, folder } = useTdMachine()
  let home: AzureVerifierHome
  let verifier: VerifierProcess

  beforeAll(async () => {
    const lines = [`tdx_anchors = ["${machine().root}"]`]
    home = await azureVerifierHome(join(folder, 'verifier'), machine(), { verifier: lines, tables: [memory] })
    verifier = await VerifierProcess.start(home)
  })
  afterAll(() => verifier?.stop())

  const authorized = () => ({ authorization: `Bearer ${home.token}` })
  const quoteOver = (data: Buffer) => {
    const reportData = Buffer.concat([createHash('sha256').update(data).digest(), Buffer.alloc(32)])
    return Buffer.from(machine().sim.quote({ reportData: new Uint8Array(reportData) }))
  }

  it.each([
    ['GET', `/policies/TdxVm${version}`],
    ['PUT', `/policies/TdxVm${version}`],
    ['POST', `/policies/TdxVm:reset${version}`],
    ['GET', `/certificates${version}`],
    ['POST', `/certificates:add${version}`],
    ['GET', '/v1/admin/policies'],
  ] as const)('%s %s is not at the listener of the attestation, whatever the token (POL-903)', async (method, path) => {
    for (const url of [home.urls.attestation, home.url]) {
      const asked = {
        method,
        headers: { ...authorized(), 'content-type': 'text/plain' },
        ...(method === 'GET' ? {} : { body: 'x' }),
      }
      const { status } = url.startsWith('https:')
        ? await askOverTls(`${url}${path}`, home.ca, asked)
        : await fetch(`${url}${path}`, asked)
      expect([url, status]).toEqual([url, 404])
    }
  })

  it.each(['/attest/TdxVm?api-version=2025-06-01', '/v1/attestation', '/challenge'])(
    'POST %s is not at the listener of the administration, also with a token (POL-903)',
    async (path) => {
      const headers = { ...authorized(), 'content-type': 'application/json' }
      const { status } = await askOverTls(`${home.urls.administration}${path}`, home.ca, {
        method: 'POST',
        headers,
        body: '{}',
      })
      expect(status).toBe(404)
    },
  )

  it('needs a token at the administration for everything but keys and metadata, on loopback too (POL-903)', async () => {
    const statuses = async (headers: Readonly<Record<string, string>>) => {
      const paths = [
        `/policies/TdxVm${version}`,
        `/certificates${version}`,
        '/certs',
        '/.well-known/openid-configuration',
      ]
      const answers = paths.map((path) => askOverTls(`${home.urls.administration}${path}`, home.ca, { headers }))
      return (await Promise.all(answers)).map(({ status }) => status)
    }
    expect(await statuses({})).toEqual([401, 401, 200, 200])
    expect(await statuses(authorized())).toEqual([200, 200, 200, 200])
  })

  it.each(names)(
    'a client that speaks HTTP without TLS to the %s gets no answer, and the others theirs',
    async (name) => {
      const plain = new RawClient({ host: '127.0.0.1', port: portOf(home.urls[name]) })
      plain.write(`GET /certs HTTP/1.1\r\nHost: v\r\nAuthorization: Bearer ${home.token}\r\n\r\n`)
      await plain.closed
      expect(plain.received).not.toMatch(/HTTP|keys|\{/)
      expect((await askOverTls(`${home.urls[name]}/certs`, home.ca)).status).toBe(200)
      expect(verifier.log).not.toContain(home.token)
      expect(verifier.log).not.toContain('"event":"bug"')
    },
  )

  it('a client that speaks TLS to the attestation API learns nothing', async () => {
    const secure = home.url.replace('http:', 'https:')
    await expect(askOverTls(`${secure}/status`, home.ca)).rejects.toThrow()
    expect((await fetch(`${home.url}/healthz`)).status).toBe(200)
  })

  it('takes standard base64 as published clients send it, and says what it does not take (POL-910, POL-911, POL-913)', async () => {
    const data = Buffer.from(`{"key":"${randomBytes(15).toString('hex')}"}`)
    const quote = quoteOver(data)
    const body = (more: object = {}) => ({
      quote: quote.toString('base64'),
      runtimeData: { data: data.toString('base64'), dataType: 'JSON' },
      ...more,
    })
    // The shipped policy denies what is simulated: that far comes what is in form.
    const code = async (members: object) => (await askForTd(home, members)).json.error.code
    expect(await code(body())).toBe('PolicyEvaluationError')
    expect(await code(body({ draftPolicyForAttestation: 'x' }))).toBe('InvalidOperation')
    const other = { data: Buffer.from('{}').toString('base64url'), dataType: 'JSON' }
    expect(await code(body({ runtimeData: other }))).toBe('InvalidParameter')
    expect(await code(body({ quote: 'AAAA' }))).toBe('InvalidParameter')
  })

  it('says that collateral cannot be had, not from where, and tells no bug of it', async () => {
    await machine().switchOffPccs()
    const data = randomBytes(16)
    const reportData = Buffer.concat([createHash('sha256').update(data).digest(), Buffer.alloc(32)])
    const platform = { fmspc: '0a0b0c0d0e0f' }
    const quote = machine().sim.quote({ reportData: new Uint8Array(reportData), platform })
    const { status, json } = await askForTd(home, {
      quote: Buffer.from(quote).toString('base64url'),
      runtimeData: { data: data.toString('base64url'), dataType: 'Binary' },
    })
    await machine().switchOnPccs()
    expect([status, json.error.code]).toEqual([503, 'ServiceUnavailable'])
    expect(json.error.message).not.toContain('127.0.0.1')
    expect(verifier.log).not.toContain('"event":"bug"')
  })

  it('one façade that is not configured is not there, and needs no file', async () => {
    const alone = await azureVerifierHome(join(folder, 'alone'), machine(), {
      without: 'administration',
      tables: [memory],
    })
    const process = await VerifierProcess.start(alone)
    expect((await askOverTls(`${alone.urls.attestation}/certs`, alone.ca)).status).toBe(200)
    await expect(askOverTls(`${alone.urls.administration}/certs`, alone.ca)).rejects.toThrow(/ECONNREFUSED/)
    expect(await process.stop()).toBe(0)
  })
})

describe('façades of a verifier that is told to stop', () => {
  const { machine, folder } = useTdMachine()

  /** A request whose head was taken, and whose body is not whole yet. */
  async function begun(home: AzureVerifierHome, name: FacadeName, head: readonly string[], body: string) {
    const socket = connectTls({ host: 'localhost', port: portOf(home.urls[name]), ca: home.ca })
    const chunks: Buffer[] = []
    const closed = once(
      socket.on('error', () => undefined),
      'close',
    )
    socket.on('data', (chunk: Buffer) => chunks.push(chunk))
    const heard = () => Buffer.concat(chunks).toString('latin1')
    const fields = ['Host: v', `Content-Length: ${body.length}`, 'Expect: 100-continue', '', '']
    socket.write([...head, ...fields].join('\r\n'))
    await expect.poll(heard, { timeout: 20_000 }).toMatch(/^HTTP\/1\.1 100 /)
    return async () => {
      socket.write(body)
      await closed
      return /HTTP\/1\.1 [2-5]\d\d .*$/s.exec(heard())?.[0]
    }
  }

  it('answer what has begun, and take nobody new', async () => {
    const home = await azureVerifierHome(join(folder, 'stopping'), machine(), { tables: [memory] })
    const verifier = await VerifierProcess.start(home)
    const policy = 'version= 1.2;authorizationrules{=> permit();};issuancerules{};'
    const payload = JSON.stringify({ AttestationPolicy: Buffer.from(policy).toString('base64url') })
    const jws = `eyJhbGciOiJub25lIn0.${Buffer.from(payload).toString('base64url')}.`
    const put = [
      `PUT /policies/TdxVm${version} HTTP/1.1`,
      `Authorization: Bearer ${home.token}`,
      'Content-Type: text/plain',
    ]
    const post = ['POST /attest/TdxVm?api-version=2025-06-01 HTTP/1.1', 'Content-Type: application/json']
    const setting = await begun(home, 'administration', put, jws)
    const attesting = await begun(home, 'attestation', post, '{}')
    const stopped = verifier.stop()
    await expect.poll(() => verifier.log, { timeout: 20_000 }).toContain('"event":"stopping"')
    for (const name of names) {
      await expect(askOverTls(`${home.urls[name]}/certs`, home.ca)).rejects.toThrow(
        /ECONNREFUSED|ECONNRESET|closed|disconnected/,
      )
    }
    expect(await setting()).toMatch(/^HTTP\/1\.1 200 .*\{"token":"/s)
    expect(await attesting()).toMatch(/^HTTP\/1\.1 400 .*InvalidParameter/s)
    expect(await stopped).toBe(0)
    expect(verifier.log).toContain('"event":"policy.set"')
  })
})

describe('a verifier whose façades cannot be served', () => {
  const { machine, folder } = useTdMachine()

  /** Exit code and the line that says why. */
  async function refusal(
    name: string,
    spec: AzureVerifierSpec,
    spoil: (home: AzureVerifierHome) => unknown = () => undefined,
  ) {
    const home = await azureVerifierHome(join(folder, name), machine(), { tables: [memory], ...spec })
    await spoil(home)
    const verifier = await VerifierProcess.spawn(home)
    const code = await verifier.exited
    expect(verifier.log).not.toContain('"event":"ready"')
    expect(verifier.log).not.toMatch(/BEGIN|PRIVATE/)
    return { code, log: verifier.log, home }
  }
  const file = (home: AzureVerifierHome, name: string) => join(home.folder, name)

  it.each<[string, (home: AzureVerifierHome) => unknown, string]>([
    ['a certificate that is missing', (home) => rmSync(file(home, 'tls.pem')), 'azure.attestation.certificate'],
    ['a key that is missing', (home) => rmSync(file(home, 'tls.key')), 'azure.attestation.key'],
    ['a key that others may read', (home) => chmodSync(file(home, 'tls.key'), 0o644), 'azure.attestation.key'],
    [
      'a certificate that others may write',
      (home) => chmodSync(file(home, 'tls.pem'), 0o666),
      'azure.attestation.certificate',
    ],
    [
      'a key of another certificate',
      (home) => writeFileSync(file(home, 'tls.key'), throwAwayTls().server.key),
      'azure.attestation.key',
    ],
    [
      'a certificate that is none',
      (home) => writeFileSync(file(home, 'tls.pem'), 'no'),
      'azure.attestation.certificate',
    ],
  ])('ends with 78 for %s, and names the key', async (what, spoil, key) => {
    const { code, log, home } = await refusal(what.replaceAll(' ', '-'), {}, spoil)
    expect([code, log]).toEqual([78, expect.stringContaining('CONFIGURATION_INVALID')])
    expect(log).toMatch(new RegExp(`${home.configurationFile}:\\d+: ${key} `))
  })

  it.each<[string, AzureVerifierSpec['change'], string]>([
    [
      'two façades at one port',
      { attestation: { listen: '"127.0.0.1:1"' }, administration: { listen: '"127.0.0.1:1"' } },
      'azure.administration.listen is where azure.attestation.listen already listens',
    ],
    ['a URL of http', { attestation: { url: '"http://127.0.0.1:1"' } }, 'azure.attestation.url cannot be used'],
    [
      'tokens that live for too long',
      { attestation: { lifetime: '"9h"' } },
      'azure.attestation.lifetime is not within',
    ],
    ['no administrator', { administration: { administrators: '[]' } }, 'azure.administration.administrators'],
  ])('ends with 78 for %s', async (what, change, says) => {
    const { code, log } = await refusal(what.replaceAll(' ', '-'), { change: change ?? {} })
    expect([code, log]).toEqual([78, expect.stringContaining(says)])
  })

  it.each(names)('ends with 78 where another program listens at the port of the %s, and says which', async (name) => {
    const other = createServer()
    const spoil = (home: AzureVerifierHome) =>
      new Promise<void>((resolve) => other.listen(portOf(home.urls[name]), '127.0.0.1', resolve))
    const { code, log, home } = await refusal(`occupied-${name}`, {}, spoil)
    other.close()
    expect([code, log]).toEqual([78, expect.stringContaining('AZURE_LISTEN_FAILED')])
    expect(log).toContain(`127.0.0.1 port ${portOf(home.urls[name])}: EADDRINUSE`)
  })
})
