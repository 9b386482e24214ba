import { existsSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { createTokenVerifier } from '../../src/relying-party/index.ts'
import {
  AgentHome,
  type AgentMachine,
  AgentProcess,
  audience,
  type ConfigurationLines,
  freePort,
  partOf,
} from '../support/agent-process.ts'
import { runAttestd } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { startEager, toldAnew } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { commandCodes } from '../support/tpm-tap.ts'

/** Tokens about a TD, alone and with a TPM, from the socket of the agent to a relying party. */

async function listening(): Promise<{ readonly issuer: string; readonly lines: ConfigurationLines }> {
  const issuer = `http://127.0.0.1:${await freePort()}`
  const listen = `listen = "${issuer.slice('http://'.length)}"`
  return { issuer, lines: { issuer: [`url = "${issuer}"`, listen, 'allow_http_loopback = true'] } }
}

function relyingParty(issuer: string, allowSimulated: boolean) {
  const keys = { discovery: { allowLoopbackHttp: true } }
  return createTokenVerifier({ issuer, audience, keys, tee: ['tdx'], measurements: null, allowSimulated })
}

describe('a guest that is a TD and has no TPM', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess
  let issuer: string
  beforeAll(async () => {
    const { issuer: url, lines } = await listening()
    issuer = url
    agent = await startEager(join(folder, 'agent'), machine(), lines)
  })
  afterAll(() => agent?.stop())

  it('has tokens that say what was quoted, and that it was simulated', async () => {
    const claims = partOf(await agent.token(), 'payload')
    expect(claims).toMatchObject({
      tee: 'tdx',
      acr: 'urn:attestd:acr:simulated',
      attestd: { simulated: true, freshness: 'challenge', binding: [] },
      dbgstat: 'disabled',
      sub: expect.stringMatching(/^attestd:v1:workload:[\w-]{43}$/),
      tcb: { status: 'UpToDate', advisories: [], evaluationDataNumber: 17 },
      tdx: {
        report_data_bound: true,
        eventlog_verified: true,
        rtmr_replayed: [0, 1, 2, 3],
        quote: { body: { report_data: Buffer.from(machine().quoted.at(-1) ?? []).toString('hex') } },
      },
    })
    expect(claims).not.toHaveProperty('tpm')
  })

  it('has another quote for each token, and one name for them all', async () => {
    const before = machine().quoted.length
    const tokens = [await agent.token({ fresh: true }), await agent.token({ fresh: true })]
    const subjects = tokens.map((token) => partOf(token, 'payload')['sub'])
    expect(machine().quoted.length).toBe(before + 2)
    expect(new Set(machine().quoted.map((data) => Buffer.from(data).toString('hex'))).size).toBe(before + 2)
    expect(new Set(subjects).size).toBe(1)
  })

  it('is believed by a relying party that takes simulated hardware, and by no other', async () => {
    const eatNonce = 'nonce-of-a-relying-party'
    const token = await agent.token({ nonces: [eatNonce] })
    const accepted = await relyingParty(issuer, true).accept(token, { eatNonce })
    expect(accepted).toMatchObject({ simulated: true, issuer })
    const refused = await relyingParty(issuer, false).appraise(token, { eatNonce })
    expect(refused.findings.filter(({ outcome }) => outcome === 'failed').map(({ id }) => id)).toEqual([
      'token.simulated',
    ])
    await expect(
      relyingParty(issuer, true).accept(token, { eatNonce: 'nonce-of-another-party' }),
    ).rejects.toMatchObject({ code: 'DISTRUSTED' })
  })

  it('is shown by `attestd status`, with the collateral at hand', async () => {
    await agent.token()
    const shown = await runAttestd(['status', '--socket', agent.home.path('admin.sock')])
    expect([shown.code, shown.err]).toEqual([0, ''])
    expect(shown.out).toMatch(/^ready\n/)
    expect(shown.out).toContain(`simulator at ${machine().folder}/kernel.sock`)
    const { td, tpm } = await agent.status()
    expect(tpm).toBe(null)
    expect(td).toMatchObject({ simulated: true, quotes: { queued: 0, stuck: false, inFlightMs: null } })
    expect(td.collateral.map(({ item }: { item: string }) => item).sort()).toEqual([
      'pck-crl-platform',
      'root-crl',
      'tdx-qe-identity-standard',
      'tdx-tcb-info-51d0ac000000-standard',
    ])
  })

  it('leaves nothing in the report folder, and speaks to no address that evidence names', async () => {
    await agent.token({ fresh: true })
    expect(await machine().entries()).toEqual([])
    const paths = machine().pccs.requests.map((target) => target.split('?')[0])
    expect(new Set(paths)).toEqual(
      new Set([
        '/tdx/certification/v4/tcb',
        '/tdx/certification/v4/qe/identity',
        '/sgx/certification/v4/pckcrl',
        '/sgx/certification/v4/rootcacrl',
      ]),
    )
    expect(machine().pccs.requests.length).toBe(4)
  })
})

describe.skipIf(!haveSwtpm)('a guest that is a TD and has a TPM', () => {
  const { machine, folder } = useTdMachine({ tpm: true })
  let agent: AgentProcess | undefined
  let homes = 0
  const started = async (lines: ConfigurationLines = {}) => {
    agent = await startEager(join(folder, `agent-${homes++}`), machine(), lines)
    return agent
  }
  afterEach(() => agent?.stop())
  const roomy = ['url = "https://issuer.example"', 'max_characters = 12000']

  it('has tokens about both, bound to each other and to one nonce', async () => {
    const { issuer, lines } = await listening()
    const running = await started({ ...lines, issuer: [...(lines.issuer ?? []), 'max_characters = 12000'] })
    const [tdQuotes, tpmQuotes] = [machine().quoted.length, machine().tpm.tap.count(commandCodes.quote)]
    const eatNonce = 'nonce-of-a-relying-party'
    const token = await running.token({ nonces: [eatNonce] })
    expect(partOf(token, 'payload')).toMatchObject({
      tee: 'tdx',
      eat_nonce: eatNonce,
      acr: 'urn:attestd:acr:simulated',
      attestd: { binding: [{ edge: 'tdx+tpm', outcome: 'passed' }] },
      sub: expect.stringMatching(/^attestd:v1:ek:/),
      tdx: { report_data_bound: true },
      tpm: { eventlog_present: true },
    })
    expect(machine().quoted.length - tdQuotes).toBe(1)
    expect(machine().tpm.tap.count(commandCodes.quote)).toBeGreaterThan(tpmQuotes)
    const { findings } = (await running.status()).appraisals.evidence
    for (const id of ['tdx.reportData', 'tpm.quote.nonce', 'composite.nonce', 'composite.devices']) {
      expect(findings).toContainEqual(expect.objectContaining({ id, outcome: 'passed' }))
    }
    expect(await relyingParty(issuer, true).accept(token, { eatNonce })).toMatchObject({ simulated: true })
  })

  it.each<[string, ConfigurationLines, object]>([
    ['tdx.use = "off": the TPM alone', { tdx: ['use = "off"'] }, { tee: 'tpm' }],
    ['tpm.use = "off": the TD alone', { tpm: ['use = "off"'] }, { tee: 'tdx', attestd: { binding: [] } }],
    [
      'tpm.use = "auto" and no such device: the TD alone',
      { tpm: ['tcti = "device:/dev/attestd-no-tpm"'] },
      { tee: 'tdx', attestd: { binding: [] } },
    ],
  ])('with %s', async (_, lines, expected) => {
    const running = await started({ ...lines, issuer: roomy })
    const claims = partOf(await running.token(), 'payload')
    expect(claims).toMatchObject(expected)
    expect([Object.hasOwn(claims, 'tpm'), Object.hasOwn(claims, 'tdx')]).toEqual([
      claims['tee'] === 'tpm',
      claims['tee'] === 'tdx',
    ])
  })

  it('has no token with a TPM that is required and not there', async () => {
    const running = await started({ tpm: ['tcti = "device:/dev/attestd-no-tpm"', 'use = "required"'] })
    expect(await toldAnew(running)).toEqual([503, 'evidence_unavailable', 'TPM_UNAVAILABLE'])
  })
})

describe('a guest whose TD is required', () => {
  const { machine, folder } = useTdMachine()
  const without = (...tdx: string[]): AgentMachine => ({
    configuration: { ...machine().configuration, tdx, verifier: [] },
    adopt: (process) => machine().adopt(process),
  })

  it.skipIf(existsSync('/dev/tdx_guest'))('and that is none, runs and has no token', async () => {
    const lacking = without('use = "required"', `report = "${folder}/no-report-folder"`)
    const agent = await startEager(join(folder, 'none'), lacking)
    expect(await toldAnew(agent)).toEqual([503, 'evidence_unavailable', 'tsm_absent'])
    expect((await agent.status()).td).toMatchObject({ simulated: false })
    await agent.stop()
  })

  it.each<[string, readonly string[], RegExp]>([
    ['a simulated TD that is not allowed', ['simulator_socket = "/nowhere/kernel.sock"'], /tdx\.simulator = true/],
    ['neither a TD nor a TPM', ['use = "off"'], /tpm\.use .*no evidence at all/],
  ])('does not start with %s', async (_, tdx, says) => {
    const agent = await AgentProcess.spawn(new AgentHome(join(folder, 'refused'), without(...tdx)))
    const { code } = await agent.exited
    expect(agent.log).toMatch(says)
    expect(code).toBe(78)
  })
})
