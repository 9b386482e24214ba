import { createHash, randomBytes } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { request as httpRequest } from 'node:http'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { canonicalJson, type JsonObject } from '../../src/base/json.ts'
import { type AgentMachine, partOf } from '../support/agent-process.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { type VerifierHome, type VerifierLines, VerifierProcess, verifierHome } from '../support/verifier-process.ts'

/** What the configuration of the verifier service says, seen by its clients; and what a restart leaves of it. */

const { machine, folder } = useTdMachine()
let home: VerifierHome
let verifier: VerifierProcess
afterEach(() => verifier?.stop())

const permit = 'version= 1.2;\nauthorizationrules {\n  => permit();\n};\nissuancerules {};\n'

async function start(name: string, lines: VerifierLines = {}, from: AgentMachine = machine()): Promise<void> {
  const file = join(folder, `${name}.policy`)
  writeFileSync(file, permit, { mode: 0o600 })
  const tables = [`[[policies.files]]\nid = "all"\nfile = "${file}"\n`, ...(lines.tables ?? [])]
  const anchors = [`tdx_anchors = ["${machine().root}"]`, ...(lines.verifier ?? [])]
  const policies = ['default = ["all"]']
  home = await verifierHome(join(folder, name), from, { ...lines, policies, verifier: anchors, tables })
  verifier = await VerifierProcess.start(home)
}

interface Answer {
  readonly status: number
  readonly headers: Readonly<Record<string, string | string[] | undefined>>
  readonly body: string
}

/** Over the socket of the configuration, where it has one. */
function post(
  path: string,
  body: string,
  headers: Readonly<Record<string, string>> = {},
  socketPath?: string,
): Promise<Answer> {
  const to = socketPath === undefined ? { agent: false as const } : { socketPath, agent: false as const }
  return new Promise((resolve, reject) => {
    const request = httpRequest(`${home.url}${path}`, { ...to, method: 'POST', headers }, async (response) => {
      const text = (await response.toArray()).map(String).join('')
      resolve({ status: response.statusCode ?? 0, headers: response.headers, body: text })
    })
    request.on('error', reject).end(body)
  })
}

/** A request about a new quote over this document; null: about one that is bound to nothing. */
function requestOver(document: JsonObject | null): string {
  const reportData = new Uint8Array(64)
  if (document === null) reportData.set(randomBytes(64))
  else reportData.set(createHash('sha384').update(canonicalJson(document)).digest())
  const quote = Buffer.from(machine().sim.quote({ reportData })).toString('base64')
  const evidence = Buffer.from(JSON.stringify({ quote })).toString('base64url')
  const runtime = document === null ? {} : { runtime_data: { structured: document } }
  return JSON.stringify({ tee: 'tdx', evidence, ...runtime })
}

const attest = (body: string, headers = {}, socketPath?: string) => post('/v1/attestation', body, headers, socketPath)

const challenge = async (): Promise<string> =>
  JSON.parse((await post('/challenge', '')).body)['extra-params'].jwt as string

/** Statuses of so many requests at once that one address may not send them. */
async function floodOf(addressOf: (at: number) => string, socketPath?: string): Promise<readonly number[]> {
  const asked = Array.from({ length: 200 }, (_, at) =>
    post('/challenge', '', { 'x-forwarded-for': addressOf(at) }, socketPath),
  )
  return [...new Set((await Promise.all(asked)).map(({ status }) => status))].sort()
}

describe('the configuration of a verifier service', () => {
  it('lets in what it names: unbound evidence, a web origin, a proxy; and refusals say little (SVC-05, SVC-27, ERR-02)', async () => {
    const service = ['allow_unbound = true', 'allowed_origins = ["https://console.example"]', 'bare_problems = true']
    await start('open', { service: [...service, 'trusted_proxies = ["127.0.0.0/8"]'] })
    expect((await attest(requestOver(null))).status).toBe(200)
    const listed = await attest(requestOver(null), { origin: 'https://console.example' })
    expect([listed.status, listed.headers['access-control-allow-origin']]).toEqual([200, 'https://console.example'])
    const other = await attest(requestOver(null), { origin: 'https://other.example' })
    expect(other.status).toBe(400)
    expect(Object.keys(JSON.parse(other.body)).sort()).toEqual(['code', 'instance', 'status'])
    expect(await floodOf((at) => `192.0.2.${at}`)).toEqual([200])
    expect(await floodOf(() => '198.51.100.1')).toEqual([200, 429])
  })

  it('takes nothing of it by default', async () => {
    await start('closed')
    const unbound = await attest(requestOver(null))
    expect([unbound.status, JSON.parse(unbound.body).field]).toEqual([400, 'runtime_data'])
    const origin = await attest(requestOver({ a: 1 }), { origin: 'https://console.example' })
    expect([origin.status, typeof JSON.parse(origin.body).remedy]).toEqual([400, 'string'])
    expect(await floodOf((at) => `192.0.2.${at}`)).toEqual([200, 429])
  })

  it('serves on a Unix socket for its group, and believes the proxy there (SVC-43)', async () => {
    const socket = join(folder, 'api.sock')
    home = await verifierHome(join(folder, 'unix'), machine(), { verifier: [`tdx_anchors = ["${machine().root}"]`] })
    const text = readFileSync(home.configurationFile, 'utf8')
    const moved = text.replace(/^listen = .*$/m, `listen = "${socket}"\ntrusted_proxies = ["unix"]`)
    writeFileSync(home.configurationFile, moved, { mode: 0o600 })
    verifier = await VerifierProcess.start(home)
    expect(statSync(socket).mode & 0o777).toBe(0o660)
    expect(await floodOf((at) => `192.0.2.${at}`, socket)).toEqual([200])
    expect(await floodOf(() => '198.51.100.1', socket)).toEqual([200, 429])
  })

  it('demands measurements and logs (SVC-20)', async () => {
    const reference = `[verifier.td]\nmr_td = ["${'00'.repeat(48)}"]\n`
    await start('strict', { tables: [reference], verifier: ['cc_event_log = "required"'] })
    const { status, body } = await attest(requestOver({ a: 1 }))
    expect([status, JSON.parse(body).code]).toEqual([422, 'AS.EVIDENCE.VERIFICATION_FAILED'])
    const ids = JSON.parse(body).findings.map(({ id }: { id: string }) => id)
    expect(ids).toEqual(expect.arrayContaining(['tdx.references', 'tdx.eventlog.present']))
  })

  it('asks for early collateral, and lets tokens live for six hours (PCS-04, TOK-43)', async () => {
    const { configuration } = machine()
    const early = { ...configuration, collateral: [...configuration.collateral, 'update = "early"'] }
    await start('early', {}, { configuration: early, adopt: (child) => machine().adopt(child) })
    const claims = partOf((await attest(requestOver({ a: 1 }))).body, 'payload')
    expect(Number(claims['exp']) - Number(claims['iat'])).toBe(21_600)
    expect(machine().pccs.requests.join('\n')).toContain('update=early')
  })
})

describe('a verifier service that is started again', () => {
  it('takes no challenge that it may have taken before (SVC-30)', async () => {
    await start('again')
    const used = requestOver({ challenge_token: await challenge() })
    const unused = requestOver({ challenge_token: await challenge() })
    expect((await attest(used)).status).toBe(200)
    await verifier.kill()
    verifier = await VerifierProcess.start(home)
    for (const request of [used, unused]) {
      const { status, body } = await attest(request)
      expect([status, JSON.parse(body).code]).toEqual([401, 'AS.CHALLENGE.INVALID_TOKEN'])
    }
    expect((await attest(requestOver({ challenge_token: await challenge() }))).status).toBe(200)
  })

  it('answers whoever has begun before it stops', async () => {
    await start('stopping')
    const body = requestOver({ a: 1 })
    const answered = new Promise<number | undefined>((resolve, reject) => {
      const headers = { 'content-type': 'application/json', 'content-length': String(body.length) }
      const asked = httpRequest(`${home.url}/v1/attestation`, { agent: false, method: 'POST', headers })
      asked.on('error', reject).on('response', ({ statusCode }) => resolve(statusCode))
      asked.on('socket', (socket) =>
        socket.once('connect', async () => {
          asked.write(body.slice(0, 100))
          // The service takes connections in their order: this one was taken when a later one is answered.
          await post('/challenge', '')
          verifier.child.kill('SIGTERM')
          while (!verifier.log.includes('"event":"stopping"')) await new Promise((wake) => setTimeout(wake, 5))
          asked.end(body.slice(100))
        }),
      )
      asked.flushHeaders()
    })
    expect(await answered).toBe(200)
    expect(await verifier.exited).toBe(0)
  })
})
