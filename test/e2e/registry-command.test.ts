import { readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, problemOf } from '../support/agent-process.ts'
import { runAttestd } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** An operator looks at the registry of a running agent, and decides about the TPM of its machine. */

interface Listed {
  readonly akName: string
  readonly ekName: string
  readonly state: string
  readonly reason: string | null
}

describe.skipIf(!haveSwtpm)('attestd registry', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  let audiences = 0

  beforeAll(async () => {
    agent = await AgentProcess.start(
      new AgentHome(join(folder, 'agent'), machine(), { registry: ['store = "embedded"'] }),
    )
  })
  afterAll(() => agent?.stop())

  const registry = (...args: string[]) => runAttestd(['registry', ...args, '--socket', agent.home.path('admin.sock')])
  const list = async (): Promise<Listed[]> => JSON.parse((await registry('list', '--json')).out).enrolments
  const other = () => ({ audience: `${audience}/${++audiences}` })

  async function active(): Promise<Listed> {
    const found = (await list()).find(({ state }) => state === 'active')
    if (found === undefined) throw new Error('nothing is enrolled')
    return found
  }

  const issues = (request: object) => async () => (await agent.askToken(request)).status === 200

  async function refusal(request: object) {
    const { status, body } = await agent.askToken(request)
    expect(status, status === 200 ? 'a token' : body).toBe(502)
    return JSON.parse(body)
  }

  const ended = (state: string) => ({
    code: 'issuer_rejected',
    upstream_code: 'enrolment_state',
    detail: `the enrolment is ${state} (operator)`,
    remedy: expect.stringContaining('attestd registry'),
  })

  it('shows the TPM of this machine, and nothing of it on the socket of workloads', async () => {
    expect(await registry('list')).toMatchObject({ code: 0, out: 'no TPM is enrolled\n' })
    await agent.token()
    const { akName } = await active()
    const listed = await registry('list')
    expect(listed.out.split('\n')[1]).toMatch(new RegExp(`^${akName}  active  ek-certificate  .* SIMULATED$`))
    const shown = await registry('show', akName.slice(0, 12))
    expect([shown.code, shown.err]).toEqual([0, ''])
    expect(shown.out).toMatch(/^IMA {8}5 records of boot \d+\/0 judged$/m)
    expect(shown.out).toMatch(/^ {2}\S+Z {2}affirmed {2}boot \d+\/0$/m)
    for (const path of ['', `/${akName}`]) {
      const answer = await agent.ask(`/v1/admin/registry${path}`)
      expect([answer.status, problemOf(answer)['code']]).toEqual([404, 'not_found'])
    }
  })

  it('shows what was refused, and why', async () => {
    const before = readFileSync(machine().imaLog)
    await machine().measureFiles(3)
    const log = readFileSync(machine().imaLog)
    writeFileSync(machine().imaLog, before)
    expect(await refusal(other())).toMatchObject({ upstream_code: 'EVIDENCE_NOT_AFFIRMED' })
    writeFileSync(machine().imaLog, log)
    const { akName } = await active()
    const { history } = JSON.parse((await registry('show', akName, '--json')).out)
    expect(history.map(({ affirmed }: { affirmed: boolean }) => affirmed)).toEqual([false, true])
    expect(history[0]).toMatchObject({ failed: expect.arrayContaining([expect.stringMatching(/^tpm\.ima\./)]) })
    expect(history[0].counters).toMatchObject({ resetCount: history[1].counters.resetCount })
    expect(history[0].firmwareVersion).toBe(history[1].firmwareVersion)
    expect((await registry('show', akName)).out).toMatch(/^ {2}\S+Z {2}REFUSED {3}boot \S+ {2}failed: .*tpm\.ima\./m)
    await agent.until(issues(other()), 'issuing')
  })

  it('suspends: what is at hand is not served any more, also behind a restart; resumes', async () => {
    const request = other()
    const token = await agent.token(request)
    expect(await agent.token(request)).toBe(token)
    const { akName } = await active()
    expect(await registry('suspend', akName)).toMatchObject({ code: 0, err: '' })
    expect(await refusal(request)).toMatchObject(ended('suspended'))
    expect(await refusal(other())).toMatchObject(ended('suspended'))
    await agent.stop()
    agent = await AgentProcess.start(agent.home)
    expect(await refusal(request)).toMatchObject(ended('suspended'))
    const { out, code } = await registry('resume', akName.slice(0, 16))
    expect([code, out]).toEqual([0, expect.stringContaining('state      active\n')])
    await agent.until(issues(request), 'issuing again')
  })

  it('suspends while a quote is under way: what it was for is refused', async () => {
    const { akName } = await active()
    machine().freeze()
    const waiting = agent.askToken(other())
    await agent.until(async () => (await agent.status()).broker.flights === 1, 'at the TPM')
    expect(await registry('suspend', akName)).toMatchObject({ code: 0 })
    machine().thaw()
    const { status, body } = await waiting
    expect([status, JSON.parse(status === 200 ? '{}' : body)]).toEqual([
      502,
      expect.objectContaining(ended('suspended')),
    ])
    expect(await registry('resume', akName)).toMatchObject({ code: 0 })
    await agent.until(issues(other()), 'issuing again')
  })

  it('revokes: no token, not even one from the cache; the key stays dead', async () => {
    const request = other()
    await agent.token(request)
    const { akName } = await active()
    const { code, out } = await registry('revoke', akName, '--json')
    const { enrolment, tokens } = JSON.parse(out)
    expect([code, enrolment.state, enrolment.reason]).toEqual([0, 'revoked', 'operator'])
    expect(tokens).toBeGreaterThanOrEqual(1)
    expect(await refusal(request)).toMatchObject(ended('revoked'))
    expect(await refusal(request)).toMatchObject(ended('revoked'))
    const again = await registry('resume', akName)
    expect(again).toMatchObject({ code: 77, out: '' })
    expect(again.err).toMatch(
      /^error enrolment_state: the enrolment is revoked \(operator\)\n {2}remedy: .*registry release/,
    )
  })

  it('releases: the TPM enrols again, with another key', async () => {
    const [dead, ...none] = await list()
    expect([dead?.state, none]).toEqual(['revoked', []])
    const { akName = '', ekName = '' } = dead ?? {}
    expect(await registry('release', ekName)).toMatchObject({
      code: 0,
      out: expect.stringMatching(/^released 1 enrolment;/),
    })
    await agent.until(issues(other()), 'issuing again')
    const all = await list()
    const told = (one: Listed | undefined) =>
      one && [one.akName === akName, one.ekName === ekName, one.state, one.reason]
    expect(told(all.find(({ state }) => state === 'active'))).toEqual([false, true, 'active', null])
    expect(told(all.find(({ state }) => state !== 'active'))).toEqual([true, true, 'revoked', 'released'])
    const absent = await registry('show', `${akName.slice(0, -16)}${'f'.repeat(16)}`, '--json')
    expect([absent.code, JSON.parse(absent.err).error.code]).toEqual([77, 'ak_unknown'])
    expect((await registry('show', 'x')).code).toBe(64)
  })
})
