import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { partOf } from '../support/agent-process.ts'
import { assembleOpaPolicy } from '../support/opa-policies.ts'
import { packBundle, sha256Of } from '../support/rego-bundles.ts'
import { RegoCompiler } from '../support/rego-compiler/compile-rego.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { type VerifierHome, VerifierProcess, verifierHome } from '../support/verifier-process.ts'
import { op } from '../support/wasm-assembler.ts'

/** Bundles of Rego in the verifier service: what OPA compiled decides there as text policies do, and comes by files alone. */

const entrypoints = ['policy/trust_claims', 'policy/extensions']
const rules = `package policy
import future.keywords
default hardware = 97
hardware = 2 { input.tdx.tcb_status == data.accepted }
trust_claims := {"hardware": hardware, "executables": 2, "configuration": 2}
extensions := [{"name": "tcb-by-rego", "key": -70001, "value": input.tdx.tcb_status}]
`
const compiled = new RegoCompiler().compile({ text: rules, entrypoints })
const bundleFor = (accepted: string) =>
  packBundle(compiled, [{ name: '/data.json', content: JSON.stringify({ accepted }) }])
const endless = { code: () => [...op.loop(op.branch(0)), ...op.unreachable] }
const bundles = {
  current: bundleFor('UpToDate'),
  outdated: bundleFor('OutOfDate'),
  endless: packBundle(assembleOpaPolicy({ entrypoints: { 'policy/allow': endless } })),
}
type BundleId = keyof typeof bundles

const text = 'version= 1.2;\nauthorizationrules {\n  => permit();\n};\nissuancerules {};\n'
const hashOf = (content: string) => sha256Of(new TextEncoder().encode(content))

describe('the verifier service with bundles of Rego', () => {
  const { machine, folder } = useTdMachine()
  const place = join(folder, 'verifier')
  let home: VerifierHome
  let verifier: VerifierProcess

  const configured = (ids: readonly BundleId[], usual: readonly string[]) =>
    verifierHome(place, machine(), {
      verifier: [`tdx_anchors = ["${machine().root}"]`],
      policies: [`default = ${JSON.stringify(usual)}`],
      tables: ids.map((id) => {
        const file = join(folder, `${id}.tar.gz`)
        writeFileSync(file, bundles[id], { mode: 0o600 })
        const lines = [
          `id = "${id}"`,
          'engine = "rego-wasm"',
          `file = "${file}"`,
          `sha256 = "${sha256Of(bundles[id])}"`,
        ]
        return `[[policies.files]]\n${lines.join('\n')}\n`
      }),
    })
  const restartWith = async (ids: readonly BundleId[], usual: readonly string[]) => {
    await verifier?.stop()
    home = await configured(ids, usual)
    verifier = await VerifierProcess.start(home)
  }

  beforeAll(() => restartWith(['current', 'outdated', 'endless'], ['current', 'site']))
  afterAll(() => verifier?.stop())

  async function ask(policyIds: readonly string[] = []) {
    const reportData = new Uint8Array(randomBytes(64))
    const quote = Buffer.from(machine().sim.quote({ reportData })).toString('base64')
    const answer = await fetch(`${home.url}/v1/attestation`, {
      method: 'POST',
      headers: { 'content-type': 'application/json' },
      body: JSON.stringify({
        tee: 'tdx',
        evidence: Buffer.from(JSON.stringify({ quote, cc_eventlog: null })).toString('base64url'),
        runtime_data: { raw: Buffer.from(reportData).toString('base64url') },
        policy_ids: policyIds,
      }),
    })
    return { status: answer.status, body: await answer.text() }
  }
  const claims = async (policyIds?: readonly string[]) => {
    const { status, body } = await ask(policyIds)
    if (status !== 200) throw new Error(`no token but ${status}: ${body}`)
    return partOf(body, 'payload')
  }
  const denial = async (policyIds: readonly string[]) => {
    const { status, body } = await ask(policyIds)
    expect(body).not.toMatch(/UpToDate|mr_td|tcb_status/)
    return { ...JSON.parse(body), status }
  }
  const builtin = { 'policy-id': 'builtin', 'policy-hash': expect.stringMatching(/^[0-9a-f]{64}$/) }
  const report = (id: string, hash: string) => ({ 'policy-id': id, 'policy-hash': hash })
  const set = (id: string, name = 'site.policy') => {
    const file = join(folder, name)
    writeFileSync(file, text)
    return verifier.administer('policies', 'set', '--id', id, file)
  }

  it('issues by a bundle that a request names; the token names it by the hash of its file (POL-711)', async () => {
    expect((await claims(['current']))['evaluation-reports']).toEqual([
      builtin,
      report('current', sha256Of(bundles.current)),
    ])
  })

  it('evaluates a bundle by default, beside a policy of the store', async () => {
    expect(await ask()).toMatchObject({ status: 503, body: expect.stringContaining('AS.SERVICE.POLICY_MISSING') })
    expect((await set('site')).code).toBe(0)
    const reports = [builtin, report('current', sha256Of(bundles.current)), report('site', hashOf(text))]
    expect((await claims())['evaluation-reports']).toEqual(reports)
    expect((await claims(['site', 'current']))['evaluation-reports']).toEqual([reports[0], reports[2], reports[1]])
  })

  it('refuses what a bundle denies, naming it and no claim, also where others permit (POL-443)', async () => {
    for (const ids of [['outdated'], ['current', 'site', 'outdated']]) {
      expect(await denial(ids)).toMatchObject({
        ...{ status: 403, code: 'AS.POLICY.DENIED', policy_id: 'outdated', reason: 'deny-rule' },
      })
    }
  })

  it('refuses by a bundle that runs for ever, and answers others (POL-424, POL-961)', async () => {
    const [slow, ...others] = await Promise.all([denial(['endless']), ...[1, 2, 3].map(() => ask(['current']))])
    expect(slow).toMatchObject({ status: 403, policy_id: 'endless', reason: 'error', rule: 'POL-961' })
    expect(others.map(({ status }) => status)).toEqual([200, 200, 200])
  })

  it('says that an id of the configuration cannot be set in the store, and keeps it out (POL-442)', async () => {
    const { code, err } = await set('current')
    expect([code, err]).toEqual([77, expect.stringContaining('ADMINISTRATION_POLICY_CONFIGURED')])
    expect(err).toContain('choose another id')
    expect((await verifier.administer('policies', 'list', '--json')).out).not.toContain('id:current')
    expect(verifier.log).not.toContain('policy_shadowed')
  })

  it('takes no compiled policy into the store', async () => {
    const { code, err } = await verifier.administer('policies', 'set', '--id', 'new', join(folder, 'current.tar.gz'))
    expect([code === 0, err]).toEqual([false, expect.stringMatching(/POLICY_COMPILED|compiled/)])
  })

  it('warns at its start of a policy that the store had before a file took its id, until it is reset', async () => {
    await restartWith([], ['site'])
    expect((await set('current')).code).toBe(0)
    expect((await claims(['current']))['evaluation-reports']).toEqual([builtin, report('current', hashOf(text))])
    await restartWith(['current'], ['site'])
    expect(verifier.log).toMatch(/"level":40.*"event":"policy_shadowed","policy":"current"/)
    expect((await claims(['current']))['evaluation-reports']).toEqual([
      builtin,
      report('current', sha256Of(bundles.current)),
    ])
    const restored = await verifier.administer('policies', 'restore', '--id', 'current', '1')
    expect([restored.code, restored.err]).toEqual([77, expect.stringContaining('ADMINISTRATION_POLICY_CONFIGURED')])
    expect((await verifier.administer('policies', 'reset', '--id', 'current')).code).toBe(0)
    await restartWith(['current'], ['site'])
    expect(verifier.log).not.toContain('policy_shadowed')
  }, 120_000)

  it('does not start with a bundle that is not the one that is pinned', async () => {
    await verifier.stop()
    home = await configured(['current'], ['current'])
    writeFileSync(join(folder, 'current.tar.gz'), bundles.outdated)
    const refused = await VerifierProcess.spawn(home)
    expect(await refused.exited).toBe(78)
    expect(refused.log).toMatch(
      /policies\.files\[0\]\.file .* has the SHA-256 [0-9a-f]{64}, and [0-9a-f]{64} is pinned/,
    )
  })
})
