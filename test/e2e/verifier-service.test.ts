import { createHash, randomBytes } from 'node:crypto'
import { statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { QuoteOptions } from '../../mocks/tdx/quotes.ts'
import { askSocket } from '../../src/client/socket-request.ts'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import { type AgentProcess, audience, callerRule, partOf } from '../support/agent-process.ts'
import { remoteLines } from '../support/attestation-service.ts'
import { startEager, told } from '../support/td-agent.ts'
import { type TdMachine, useTdMachine } from '../support/td-machine.ts'
import { type VerifierHome, type VerifierLines, VerifierProcess, verifierHome } from '../support/verifier-process.ts'

/** The verifier as a service of its own: tokens, the policies that decide about them, and who may change these. */

const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const permit = 'version= 1.2;\nauthorizationrules {\n  => permit();\n};\nissuancerules {};\n'
const secretTd = `version= 1.2;
authorizationrules {
  c:[type == "tdx_mrtd", value == "${'00'.repeat(48)}"] => permit();
};
issuancerules {};
`
const denying = 'version= 1.2;\nauthorizationrules {\n  => permit();\n  => deny();\n};\nissuancerules {};\n'

interface Answer {
  readonly status: number
  readonly type: string | null
  readonly body: string
  // biome-ignore lint/suspicious/noExplicitAny: a test reads what it expects, and fails where that is not there
  readonly problem: any
}

class Room {
  readonly machine: TdMachine
  readonly home: VerifierHome
  verifier: VerifierProcess

  private constructor(machine: TdMachine, home: VerifierHome, verifier: VerifierProcess) {
    this.machine = machine
    this.home = home
    this.verifier = verifier
  }

  static async open(folder: string, machine: TdMachine, lines: VerifierLines = {}): Promise<Room> {
    const anchors = [`tdx_anchors = ["${machine.root}"]`]
    const home = await verifierHome(folder, machine, { verifier: anchors, ...lines })
    return new Room(machine, home, await VerifierProcess.start(home))
  }

  async restart(): Promise<void> {
    if (this.verifier.running) await this.verifier.stop()
    this.verifier = await VerifierProcess.start(this.home)
  }

  /** A request about a new quote. */
  request(more: object = {}, quote: Partial<QuoteOptions> = {}): object {
    const reportData = new Uint8Array(randomBytes(64))
    const bytes = this.machine.sim.quote({ reportData, ...quote })
    const evidence = { quote: Buffer.from(bytes).toString('base64'), cc_eventlog: null }
    return {
      tee: 'tdx',
      evidence: Buffer.from(JSON.stringify(evidence)).toString('base64url'),
      runtime_data: { raw: Buffer.from(reportData).toString('base64url') },
      ...more,
    }
  }

  async ask(request: object = this.request()): Promise<Answer> {
    const headers = { 'content-type': 'application/json' }
    const answer = await fetch(`${this.home.url}/v1/attestation`, {
      method: 'POST',
      headers,
      body: JSON.stringify(request),
    })
    const [body, type] = [await answer.text(), answer.headers.get('content-type')]
    return { status: answer.status, type, body, problem: answer.status === 200 ? null : JSON.parse(body) }
  }

  /** The policies that a new token names, and their hashes. */
  async reported(policyIds?: readonly string[]): Promise<Readonly<Record<string, string>>> {
    const { status, body } = await this.ask(this.request(policyIds === undefined ? {} : { policy_ids: policyIds }))
    if (status !== 200) throw new Error(`no token but ${status}: ${body}`)
    const reports = partOf(body, 'payload')['evaluation-reports'] as Record<string, string>[]
    return Object.fromEntries(reports.map((report) => [report['policy-id'], report['policy-hash'] ?? '']))
  }

  async set(id: string, text: string): Promise<void> {
    const file = join(this.home.folder, `${id}.policy`)
    writeFileSync(file, text)
    const { code, err } = await this.verifier.administer('policies', 'set', '--id', id, file)
    if (code !== 0) throw new Error(`policy ${id} was not set: ${err}`)
  }
}

describe('the verifier service', () => {
  const { machine, folder } = useTdMachine()
  let room: Room
  beforeAll(async () => {
    room = await Room.open(join(folder, 'verifier'), machine(), { policies: ['default = ["usual"]'] })
  })
  afterAll(() => room?.verifier.stop())

  it('says which policy is missing, and issues nothing, until the policy that it evaluates by default is set', async () => {
    expect(await room.ask()).toMatchObject({
      status: 503,
      problem: { code: 'AS.SERVICE.POLICY_MISSING', retryable: true },
    })
    await room.set('usual', permit)
    expect((await room.ask()).status).toBe(200)
  })

  it('issues tokens that a relying party believes who takes simulated hardware, and no other (TOK-04)', async () => {
    const { body, type } = await room.ask()
    expect(type).toBe('application/jwt')
    const { url } = room.home
    const relyingParty = (allowSimulated: boolean) =>
      createTokenVerifier({
        ...{ issuer: url, audience: url, profile: 'alibaba', tee: ['tdx'], measurements: null, allowSimulated },
        keys: { discovery: { allowLoopbackHttp: true } },
        requireTcbStatus: null,
      })
    expect(await relyingParty(true).accept(body)).toMatchObject({ simulated: true, issuer: url })
    await expect(relyingParty(false).accept(body)).rejects.toMatchObject({ code: 'DISTRUSTED' })
  })

  it('evaluates the policies that a request names, and the token names them with their hashes (SVC-08, POL-711)', async () => {
    await room.set('second', `${permit}// another`)
    expect(await room.reported()).toEqual({ builtin: expect.stringMatching(/^[0-9a-f]{64}$/), usual: sha256(permit) })
    expect(await room.reported(['second'])).toMatchObject({ second: sha256(`${permit}// another`) })
    expect(Object.keys(await room.reported(['second', 'usual']))).toEqual(['builtin', 'second', 'usual'])
    expect(Object.keys(await room.reported(['default', 'second']))).toEqual(['builtin', 'usual', 'second'])
  })

  it('names the policy that nobody knows by its place in the request', async () => {
    expect(await room.ask(room.request({ policy_ids: ['usual', 'absent'] }))).toMatchObject({
      status: 400,
      problem: { code: 'AS.REQUEST.INVALID_ARGUMENT', field: 'policy_ids[1]', status: 400 },
    })
  })

  it('says which policy denied and where, and no value of a claim (POL-443)', async () => {
    await room.set('denying', denying)
    await room.set('secret', secretTd)
    const denied = await room.ask(room.request({ policy_ids: ['usual', 'denying'] }))
    const facts = { code: 'AS.POLICY.DENIED', policy_id: 'denying', reason: 'deny-rule', lines: '4' }
    expect(denied).toMatchObject({ status: 403, type: 'application/problem+json', problem: facts })
    const missed = await room.ask(room.request({ policy_ids: ['secret'] }))
    expect(missed).toMatchObject({ status: 403, problem: { policy_id: 'secret', reason: 'no-permit' } })
    expect(missed.body).not.toMatch(/[0-9a-f]{32}(?![0-9a-f-])/)
  })

  it('follows its store at once, and remembers what is set, shown, restored and reset', async () => {
    await room.set('moving', permit)
    const later = `${permit}// later`
    await room.set('moving', later)
    expect((await room.reported(['moving']))['moving']).toBe(sha256(later))
    const restored = await room.verifier.administer('policies', 'restore', '--id', 'moving', '1')
    expect(restored).toMatchObject({ code: 0 })
    expect((await room.reported(['moving']))['moving']).toBe(sha256(permit))
    const refused = await room.verifier.administer('policies', 'set', '--id', 'moving', room.home.configurationFile)
    expect(refused.code).not.toBe(0)
    expect((await room.reported(['moving']))['moving']).toBe(sha256(permit))
  })

  it('has its policies, its keys and the mark of its challenges after a kill as before (SVC-30)', async () => {
    const issued = async () => {
      const answer = await fetch(`${room.home.url}/challenge`, { method: 'POST', body: '{}' })
      const { 'extra-params': extra } = (await answer.json()) as { 'extra-params': { jwt: string } }
      return partOf(extra.jwt, 'payload')
    }
    const challenge = await issued()
    const kid = partOf((await room.ask()).body, 'header')['kid']
    const before = await room.reported(['usual', 'moving'])
    await room.verifier.kill()
    await room.restart()
    expect(await room.reported(['usual', 'moving'])).toEqual(before)
    expect(partOf((await room.ask()).body, 'header')['kid']).toBe(kid)
    const { place, run } = await issued()
    expect([typeof place, place === challenge['place'], run === challenge['run']]).toEqual(['string', true, false])
  })

  it('asks nobody about forged evidence, and says so where collateral cannot be had', async () => {
    const forged = room.request({}, { platform: { fmspc: '010203040506' } })
    const { pccs } = machine()
    const asked = pccs.requests.length
    const broken = structuredClone(forged) as { evidence: string }
    const evidence = JSON.parse(Buffer.from(broken.evidence, 'base64url').toString())
    const quote = Buffer.from(evidence.quote, 'base64')
    quote.writeUInt8(quote.readUInt8(200) ^ 1, 200)
    broken.evidence = Buffer.from(JSON.stringify({ ...evidence, quote: quote.toString('base64') })).toString(
      'base64url',
    )
    expect(await room.ask(broken)).toMatchObject({ status: 422, problem: { code: 'AS.EVIDENCE.VERIFICATION_FAILED' } })
    expect(pccs.requests.length).toBe(asked)
    await machine().switchOffPccs()
    const answer = await room.ask(forged)
    await machine().switchOnPccs()
    expect(answer).toMatchObject({ status: 503, problem: { code: 'AS.DEPENDENCY.UNAVAILABLE', retryable: true } })
    expect(answer.body).not.toContain('127.0.0.1')
  })

  it('tells its administrator how it is, at a socket for nobody else', async () => {
    expect(statSync(room.home.admin).mode & 0o777).toBe(0o600)
    const { code, out } = await room.verifier.administer('policies', 'list', '--json')
    expect(code).toBe(0)
    expect(out).toContain('id:usual')
    const status = await room.verifier.administer('status')
    expect(status).toMatchObject({ code: 0, err: '' })
    expect(status.out).toContain(`issuer      ${room.home.url}\n`)
    expect(status.out).toContain('policies    usual\n')
    expect(status.out).toContain('simulated TDs pass')
    const request = { socket: room.home.admin, method: 'GET', path: '/v1/admin/metrics', timeoutMs: 10_000 } as const
    const { status: answered, body } = await askSocket(request, null)
    expect(answered).toBe(200)
    expect(body).toMatch(/^attestd_verifier_request_total\{route="\/v1\/attestation",code="200"\} [1-9]/m)
    expect(body).toMatch(/^attestd_verifier_jobs 0$/m)
  })

  it('serves one state directory once', async () => {
    const second = await VerifierProcess.spawn(room.home)
    expect(await second.exited).not.toBe(0)
    expect(second.log).toContain('LOCK_HELD')
  })

  it('hears SIGHUP, changes nothing, and stops on SIGTERM', async () => {
    room.verifier.child.kill('SIGHUP')
    expect((await room.ask()).status).toBe(200)
    expect(room.verifier.log).toContain('reload_ignored')
    expect(await room.verifier.stop()).toBe(0)
    await room.restart()
    expect((await room.ask()).status).toBe(200)
  })

  it('keeps tokens, evidence and nonces out of its log', async () => {
    const request = room.request() as { evidence: string; runtime_data: { raw: string } }
    const { body } = await room.ask(request)
    expect(body.split('.')).toHaveLength(3)
    const { log } = room.verifier
    expect(log).toContain('"route"')
    for (const secret of [body.split('.')[2] ?? '', request.evidence.slice(0, 64), request.runtime_data.raw]) {
      expect(log).not.toContain(secret)
    }
  })
})

describe('an agent that has its tokens from the verifier service', () => {
  const { machine, folder } = useTdMachine()
  let room: Room
  let agent: AgentProcess
  beforeAll(async () => {
    room = await Room.open(join(folder, 'verifier'), machine(), { policies: ['default = ["usual"]'] })
    await room.set('usual', permit)
    const rate = ', issuers = ["verifier"], rate = { per_min = 600000, burst = 10000, raise = true }'
    const rules = [callerRule('tests', `uid = ${process.getuid?.() ?? 0}`, [audience, room.home.url], rate)]
    const remotes = [remoteLines(room.home.url, { name: 'verifier' })]
    agent = await startEager(join(folder, 'agent'), machine(), { remotes, rules })
  })
  afterAll(async () => {
    await agent?.stop()
    await room?.verifier.stop()
  })

  const ask = (more: object = {}) => agent.askToken({ issuer: 'verifier', audience: undefined, ...more })

  it('gives a workload the token about a quote of this very request', async () => {
    const answer = await ask({ fresh: true })
    expect(told(answer)).toEqual([200])
    const claims = partOf(answer.body, 'payload')
    const status = JSON.parse(String(claims['tcb-status']))
    expect(claims['iss']).toBe(room.home.url)
    expect(status['tdx.quote.body.report_data']).toBe(Buffer.from(machine().quoted.at(-1) ?? []).toString('hex'))
  })

  it('tells a workload that a policy said no, and has tokens again when the policy is restored', async () => {
    await room.set('usual', denying)
    expect((await ask({ fresh: true })).status).not.toBe(200)
    const restored = await room.verifier.administer('policies', 'restore', '--id', 'usual', '1')
    expect(restored.code).toBe(0)
    await agent.until(async () => (await ask({ fresh: true })).status === 200, 'served again', 60_000)
  })
})
