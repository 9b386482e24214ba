import { createHash } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentProcess, audience, partOf, problemOf } from '../support/agent-process.ts'
import { logged, startEager } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** Appraisal policies between the verifier of a running agent and the tokens that it issues. */

const policy = (rules: string, issuance = '') =>
  `version=1.2;\nauthorizationrules\n{\n${rules}\n};\n${issuance === '' ? '' : `issuancerules\n{\n${issuance}\n};\n`}`

/** Permits the TD of this suite, which is simulated, and issues what it saw. */
const permitting = (level: number) =>
  policy(
    '[type=="tdx.report_data_bound", value==true, issuer=="AttestationService"] => permit();',
    `c:[type=="tdx.tcb_status"] => issue(type="tcb-word", value=c.value);\n=> issue(type="level", value=${level});`,
  )

const denying = policy('=> permit();\n[type=="attestation.simulated", value==true] => deny();')
const failing = policy('[type=="tdx.tcb_status", value > 3] => permit();')
const hashOf = (text: string) => createHash('sha256').update(text).digest('hex')

describe('an agent with an appraisal policy', () => {
  const { machine, folder } = useTdMachine()
  const file = join(folder, 'site.policy')
  const site = ['[policies]', 'tdx = ["site"]', '[[policies.files]]', 'id = "site"', `file = "${file}"`]
  let agent: AgentProcess

  const write = (text: string) => writeFileSync(file, text, { mode: 0o600 })
  beforeAll(async () => {
    write(permitting(1))
    agent = await startEager(join(folder, 'agent'), machine(), { tables: site })
  })
  afterAll(() => agent?.stop())

  async function reload(text: string, tables = site): Promise<void> {
    const before = logged(agent, 'reloaded').length
    write(text)
    agent.home.configure({ tables })
    agent.signal('SIGHUP')
    await agent.until(() => logged(agent, 'reloaded').length === before + 1, 'reloaded')
  }

  async function explained(): Promise<Record<string, unknown>> {
    const { body } = await agent.ask(`/v1/explain?audience=${encodeURIComponent(audience)}`)
    return JSON.parse(body).cache.last_error
  }

  /** The answer to a request for the token that there was before. */
  async function denial(): Promise<Record<string, unknown>> {
    const answer = await agent.askToken()
    expect(answer.status).toBe(502)
    expect(answer.body).not.toMatch(/mr_td|tcb_status|UpToDate/)
    return problemOf(answer)
  }

  it('has its claims, its id and its hash in the token (POL-711)', async () => {
    const claims = partOf(await agent.token(), 'payload')
    expect(claims).toMatchObject({ 'tcb-word': 'UpToDate', level: 1, attestd: { simulated: true } })
    expect(claims['evaluation-reports']).toEqual([
      { 'policy-id': 'builtin', 'policy-hash': expect.stringMatching(/^[0-9a-f]{64}$/) },
      { 'policy-id': 'site', 'policy-hash': hashOf(permitting(1)) },
    ])
    expect(logged(agent, 'policies')).toMatchObject([{ policies: [{ id: 'site', usual: true }] }])
  })

  it('issues by a changed policy at once: no token of the former one is served', async () => {
    const before = await agent.token()
    await reload(permitting(2))
    const after = await agent.token()
    expect(after).not.toBe(before)
    expect(partOf(after, 'payload')).toMatchObject({ level: 2 })
  })

  it('keeps its token where a reload changes nothing of the policy', async () => {
    const before = await agent.token()
    await reload(permitting(2))
    expect(await agent.token()).toBe(before)
  })

  it('keeps the former policy where the file does not load, and says so (POL-709, POL-802)', async () => {
    const before = await agent.token()
    write('version=1.2;\nauthorizationrules\n{\n  => permt();\n};\n')
    agent.signal('SIGHUP')
    await agent.until(async () => (await agent.status()).configurationError !== null, 'refused')
    const says = new RegExp(`policies\\.files\\[0\\]\\.file does not load:\\n${file}:4:6: error POL-\\d+: .*permt`)
    expect((await agent.status()).configurationError).toMatch(says)
    expect(logged(agent, 'reload_refused').at(-1)).toMatchObject({
      errors: expect.arrayContaining([expect.anything()]),
    })
    expect(await agent.token()).toBe(before)
    const anew = await agent.askToken({ audience: `${audience}/anew` })
    expect(partOf(anew.body, 'payload')).toMatchObject({ level: 2 })
  })

  it('refuses what a rule denies: problem, log, explain and status name the rule (POL-421, POL-443)', async () => {
    await reload(denying)
    const told = { policy_id: 'site', reason: 'deny-rule', lines: '5' }
    expect(await denial()).toMatchObject({
      ...{ code: 'issuer_rejected', upstream_code: 'AS.POLICY.DENIED', retryable: false },
      ...told,
      detail: 'policy site: a rule denies (line 5)',
    })
    expect(await explained()).toMatchObject({ code: 'issuer_rejected', ...told })
    expect(logged(agent, 'no_token').at(-1)).toMatchObject({
      ...{ issuer: 'local', code: 'AS.POLICY.DENIED' },
      ...{ policy: 'site', reason: 'deny-rule', lines: '5' },
    })
    const { appraisals } = await agent.status()
    expect(appraisals.evidence).toMatchObject({ affirmed: true, policies: [{ id: 'site', verdict: 'deny-rule' }] })
  })

  it('refuses what a policy cannot judge, by the rule of the error (POL-412, POL-424)', async () => {
    await reload(failing)
    expect(await denial()).toMatchObject({
      ...{ upstream_code: 'AS.POLICY.DENIED', policy_id: 'site', reason: 'error', lines: '4', rule: 'POL-412' },
      message: 'an ordering of values that are not both Integers',
    })
  })

  it('permits no simulated device by a shipped default (POL-440, POL-441)', async () => {
    await reload(failing, ['[policies]'])
    expect(await denial()).toMatchObject({ policy_id: 'attestd-default-tdx-v1', reason: 'deny-rule' })
  })

  it('issues again as soon as the policy permits, and without the section as before', async () => {
    await reload(permitting(3))
    expect(partOf(await agent.token(), 'payload')).toMatchObject({ level: 3 })
    await reload(permitting(3), [])
    const claims = partOf(await agent.token(), 'payload')
    expect(claims['evaluation-reports']).toMatchObject([{ 'policy-id': 'builtin' }])
    expect(claims).not.toHaveProperty('level')
  })
})
