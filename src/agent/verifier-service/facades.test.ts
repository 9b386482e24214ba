import { createHash, randomBytes } from 'node:crypto'
import { decodeJwt } from 'jose'
import { pino } from 'pino'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createSimulator, type SimulatedTdx } from '../../../mocks/tdx/simulator.ts'
import { askOverTls, type TlsRequest } from '../../../test/support/azure-verifier.ts'
import { directAppraiser } from '../../../test/support/embedded-machine.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { rsaKey } from '../../../test/support/issuing.ts'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { runTogether } from '../../base/tasks.ts'
import { MaaJudge } from '../../issuer/azure/maa-judge.ts'
import { openKeyRing } from '../../issuer/open-key-ring.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import { PolicyBook } from '../../registry/policies/policy-book.ts'
import { SignerBook } from '../../registry/policies/signer-book.ts'
import { parseConfigurationBy } from '../configuration/load.ts'
import { serviceSchema } from '../configuration/service-schema.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { type FacadeParts, serveFacades } from './facades.ts'
import { TdAppraisals } from './td-appraisals.ts'

/** How the service mounts its façades: what of its settings and rooms they are given, and what it tells of them. */

const token = randomBytes(32).toString('base64')
const hash = createHash('sha256').update(token).digest('hex')
const files = 'certificate = "/tls.pem"\nkey = "/tls.key"\n'
const text = `[issuer]\nurl = "https://verifier.example"
[azure.attestation]\nurl = "https://attest.example"\nlisten = "127.0.0.1:0"\nlifetime = "1h"\n${files}
[azure.administration]\nurl = "https://policies.example"\nlisten = "127.0.0.1:0"\n${files}
administrators = [{ name = "ann", token_sha256 = "${hash}" }]\n`
const configuration = parseConfigurationBy(serviceSchema, text, 'verifier.toml')
const tls = throwAwayTls()
const clock = new FakeClock(Date.UTC(2026, 5, 1))
let sim: SimulatedTdx
beforeAll(() => {
  sim = createSimulator({ clock })
})
const endings: (() => Promise<void>)[] = []
afterEach(async () => {
  for (const end of endings.splice(0)) await end()
})

async function serve(requirements: Partial<TdRequirements> = {}, change: Partial<FacadeParts> = {}) {
  const lines: Record<string, unknown>[] = []
  const bugs: unknown[] = []
  const log = pino({ level: 'debug' }, { write: (line) => void lines.push(JSON.parse(line)) })
  const ring = await openKeyRing({
    ...{ purpose: 'azure', store: 'ephemeral', algorithms: ['RS256'], clock, initialKeys: [rsaKey()] },
  })
  const tdRequirements = { trustAnchors: [{ ...sim.pki.anchor, simulator: false }], ...requirements }
  const book = { store: new MemoryPolicyStore(), clock, random: randomBytes, signsTokens: () => false }
  const collateral = { heldFor: () => null, collateralOf: async () => sim.collateral() }
  const judge = new MaaJudge()
  let served = 0
  const tasks = serveFacades({
    settings: {
      ...{ configuration, issuerUrl: 'https://verifier.example', lifetimeS: 21_600, tdRequirements, policyFiles: [] },
      tls: { attestation: tls.server, administration: tls.server },
    },
    keys: {
      ...{
        tokens: ring,
        challenges: ring,
        challengePlace: 'here',
        facades: { attestation: ring, administration: ring },
      },
      ...{ signsTokens: () => false, tasks: [] },
    },
    appraisals: new TdAppraisals({ pool: directAppraiser, collateral, requirements: tdRequirements, clock }),
    pool: { judgeMaa: async (question) => judge.judge(question) },
    ...{ policies: new PolicyBook(book), signers: new SignerBook(book), clock, log },
    random: (size) => new Uint8Array(randomBytes(size)),
    onBug: (error) => bugs.push(error),
    grace: { ms: 5_000, clock },
    listening: () => {
      served += 1
    },
    ...change,
  })
  const stop = new AbortController()
  const running = runTogether(stop.signal, ...tasks)
  endings.push(() => {
    stop.abort()
    return running
  })
  await expect.poll(() => served).toBe(2)
  const told = (event: string) => lines.filter((line) => line['event'] === event)
  const ask = (facade: string, path: string, asked: TlsRequest) => {
    const address = String(told('listening').find((line) => line['facade'] === facade)?.['address'])
    return askOverTls(`https://localhost:${new URL(address).port}${path}`, tls.ca, asked)
  }
  return { bugs, told, ask }
}

type Served = Awaited<ReturnType<typeof serve>>

function attest({ ask }: Served) {
  const data = randomBytes(16)
  const reportData = Buffer.concat([createHash('sha256').update(data).digest(), Buffer.alloc(32)])
  const quote = Buffer.from(sim.quote({ reportData: new Uint8Array(reportData) })).toString('base64url')
  return ask('attestation', '/attest/TdxVm?api-version=2025-06-01', {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ quote, runtimeData: { data: data.toString('base64url'), dataType: 'Binary' } }),
  })
}

describe('the attestation for clients of Azure', () => {
  it('gives tokens of its issuer, each with a name of its own, that live as long as its section says', async () => {
    const served = await serve()
    const [one, other] = [await attest(served), await attest(served)]
    const [claims, others] = [decodeJwt(one.json.token), decodeJwt(other.json.token)]
    expect([claims.iss, Number(claims.exp) - Number(claims.iat)]).toEqual(['https://attest.example', 3_600])
    expect(others.jti).not.toBe(claims.jti)
  })

  it('says of a service in simulator mode that its evidence is simulated (TOK-04)', async () => {
    const { status, json } = await attest(await serve({ simulator: true }))
    expect([status, json.error?.code]).toEqual([400, 'PolicyEvaluationError'])
  })

  it('tells the service of a bug, and the client nothing of it', async () => {
    const bug = new TypeError('the secret')
    const served = await serve({}, { pool: { judgeMaa: () => Promise.reject(bug) } })
    const { status, text: told } = await attest(served)
    expect([status, served.bugs]).toEqual([500, [bug]])
    expect(told).not.toContain('secret')
  })
})

describe('the administration for clients of Azure', () => {
  it('is told to the log: who asked for what from where; a refusal is a warning, and no token is there (POL-903)', async () => {
    const served = await serve()
    const reset = (authorization: string) =>
      served.ask('administration', '/policies/TdxVm:reset?api-version=2020-10-01', {
        ...{ method: 'POST', headers: { authorization, 'content-type': 'text/plain' } },
        body: 'eyJhbGciOiJub25lIn0..',
      })
    expect((await reset(`Bearer ${token}`)).status).toBe(200)
    expect((await reset('Bearer other')).status).toBe(401)
    const facts = { operation: 'resetPolicy', from: expect.stringContaining('127.0.0.1') }
    expect(served.told('azure_administration')).toMatchObject([
      { level: 30, administrator: 'ann', code: null, ...facts },
      { level: 40, administrator: null, code: expect.any(String), ...facts },
    ])
    expect(JSON.stringify(served.told('azure_administration'))).not.toContain(token)
  })
})
