import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type AgentProcess, audience, partOf, problemOf } from '../support/agent-process.ts'
import { assembleOpaPolicy, type Entrypoint, type Piece, type PolicyForm } from '../support/opa-policies.ts'
import { packBundle, sha256Of } from '../support/rego-bundles.ts'
import { logged, startEager } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { op } from '../support/wasm-assembler.ts'

/** A compiled policy beside one of the policy language, both between the verifier of a running agent and its tokens. */

const text = (level: number) =>
  `version=1.2;\nauthorizationrules\n{\n=> permit();\n};\nissuancerules\n{\n=> issue(type="level", value=${level});\n};\n`

const trusted = (hardware: number, executables = 2): Entrypoint => [
  `[{"result":{"hardware":${hardware},"executables":${executables},"configuration":2}}]`,
]
const extensions = (...more: readonly Piece[]): Entrypoint => [
  '[{"result":[{"name":"tcb-by-rego","key":1,"value":"',
  { inputAfter: '"tcb_status":"' },
  '"}',
  ...more,
  ']}]',
]
const policy = (trust: Entrypoint, also: Entrypoint = extensions()): PolicyForm => ({
  entrypoints: { 'policy/trust_claims': trust, 'policy/extensions': also },
})

/** Long enough that the agent parses it in a thread of its own. */
const data = { name: '/data.json', content: JSON.stringify({ padding: 'x'.repeat(400_000) }) }
const bundleOf = (form: PolicyForm) => packBundle(assembleOpaPolicy(form), [data])

const permitting = bundleOf(policy(trusted(2)))
const denying = bundleOf(policy(trusted(97)))

describe('an agent with a policy of each engine', () => {
  const { machine, folder } = useTdMachine()
  const files = { text: join(folder, 'site.policy'), bundle: join(folder, 'bundle.tar.gz') }
  let agent: AgentProcess

  /** What the configuration says of this bundle. */
  const tablesFor = (bundle: Uint8Array, ...more: readonly string[]) => [
    ...['[policies]', 'tdx = ["site", "compiled"]'],
    ...['[[policies.files]]', 'id = "site"', `file = "${files.text}"`],
    ...['[[policies.files]]', 'id = "compiled"', 'engine = "rego-wasm"', `file = "${files.bundle}"`],
    ...[`sha256 = "${sha256Of(bundle)}"`, ...more],
  ]
  const write = (level: number, bundle: Uint8Array) => {
    writeFileSync(files.text, text(level), { mode: 0o600 })
    writeFileSync(files.bundle, bundle, { mode: 0o600 })
  }

  beforeAll(async () => {
    write(1, permitting)
    agent = await startEager(join(folder, 'agent'), machine(), { tables: tablesFor(permitting) })
  })
  afterAll(() => agent?.stop())

  async function reload(bundle: Uint8Array, ...more: readonly string[]): Promise<void> {
    const before = logged(agent, 'reloaded').length
    write(1, bundle)
    agent.home.configure({ tables: tablesFor(bundle, ...more) })
    agent.signal('SIGHUP')
    await agent.until(() => logged(agent, 'reloaded').length === before + 1, 'reloaded')
  }

  async function denial(): Promise<Record<string, unknown>> {
    const answer = await agent.askToken()
    expect(answer.status).toBe(502)
    expect(answer.body).not.toMatch(/mr_td|tcb_status|UpToDate/)
    return problemOf(answer)
  }

  async function told() {
    const { body } = await agent.ask(`/v1/explain?audience=${encodeURIComponent(audience)}`)
    const { appraisals } = await agent.status()
    return {
      log: logged(agent, 'no_token').at(-1),
      explained: JSON.parse(body).cache.last_error,
      said: appraisals.evidence?.policies?.find(({ id }: { id: string }) => id === 'compiled'),
    }
  }

  it('has what both say in the token, and the hash of each (POL-429, POL-711)', async () => {
    const claims = partOf(await agent.token(), 'payload')
    expect(claims).toMatchObject({ level: 1, 'tcb-by-rego': 'UpToDate' })
    expect(claims['evaluation-reports']).toEqual([
      { 'policy-id': 'builtin', 'policy-hash': expect.stringMatching(/^[0-9a-f]{64}$/) },
      { 'policy-id': 'site', 'policy-hash': sha256Of(new TextEncoder().encode(text(1))) },
      { 'policy-id': 'compiled', 'policy-hash': sha256Of(permitting) },
    ])
    const policies = [
      { id: 'site', engine: 'text', usual: true },
      { id: 'compiled', engine: 'rego-wasm', hash: sha256Of(permitting), usual: true },
    ]
    expect(logged(agent, 'policies')).toMatchObject([{ policies }])
    expect(await agent.status()).toMatchObject({ policies })
  })

  it('keeps its token over a reload that changes nothing, and drops it where references are others', async () => {
    const before = await agent.token()
    await reload(permitting)
    expect(await agent.token()).toBe(before)
    await reload(permitting, 'references = { kernel = ["a"] }')
    const after = await agent.token()
    expect(after).not.toBe(before)
    const [was, is] = [before, after].map((token) => partOf(token, 'payload')['evaluation-reports'] as object[])
    expect(is?.[0]).not.toEqual(was?.[0])
    expect(is?.slice(1)).toEqual(was?.slice(1))
  })

  it('refuses what the bundle denies: problem, log, explain and status name policy and reason (POL-443)', async () => {
    await reload(denying)
    const facts = { policy_id: 'compiled', reason: 'deny-rule' }
    expect(await denial()).toMatchObject({
      ...{ code: 'issuer_rejected', upstream_code: 'AS.POLICY.DENIED', retryable: false, ...facts },
      detail: 'policy compiled: its trust claims warn against this machine',
    })
    const { log, explained, said } = await told()
    expect(log).toMatchObject({ code: 'AS.POLICY.DENIED', policy: 'compiled', reason: 'deny-rule' })
    expect(explained).toMatchObject({ code: 'issuer_rejected', ...facts })
    expect(said).toMatchObject({ verdict: 'deny-rule', opposed: [{ name: 'hardware', tier: 'contraindicated' }] })
  })

  it.each<[string, Uint8Array, string, RegExp]>([
    [
      'runs for ever',
      bundleOf({ entrypoints: { 'policy/allow': { code: () => [...op.loop(op.branch(0)), ...op.unreachable] } } }),
      'POL-961',
      /longer than 1000 ms/,
    ],
    [
      'says iss',
      bundleOf(policy(trusted(2), extensions(',{"name":"iss","key":2,"value":"x"}'))),
      'POL-427',
      /iss is reserved/,
    ],
    ['gives another result', bundleOf(policy(['[{"result":7}]'])), 'POL-964', /no object/],
  ])('refuses by a bundle that %s, and answers others meanwhile (POL-424)', async (_what, bundle, rule, says) => {
    await reload(bundle)
    const asked = denial()
    expect((await agent.ask('/livez')).status).toBe(200)
    expect(await asked).toMatchObject({ policy_id: 'compiled', reason: 'error', rule })
    expect((await told()).said).toMatchObject({ verdict: 'error', rule, message: expect.stringMatching(says) })
  })

  const listed = { name: '/data.json', content: `{"a":[${'0,'.repeat(200_000)}0]}` }
  const listing = packBundle(assembleOpaPolicy(policy(trusted(2))), [listed])
  it.each<[string, Uint8Array, Uint8Array, string]>([
    [
      'is not the one that is pinned',
      ...([denying, permitting] as const),
      `${files.bundle} has the SHA-256 ${sha256Of(denying)}, and ${sha256Of(permitting)} is pinned`,
    ],
    ['holds more than is read', listing, listing, `${files.bundle}: /data.json: more than 100000 items`],
  ])('keeps the former policies where the bundle %s (POL-709)', async (_what, bundle, pinned, says) => {
    await reload(permitting)
    const before = await agent.token()
    write(2, bundle)
    agent.home.configure({ tables: tablesFor(pinned) })
    agent.signal('SIGHUP')
    await agent.until(async () => (await agent.status()).configurationError !== null, 'refused')
    expect((await agent.status()).configurationError).toContain(says)
    expect(await agent.token()).toBe(before)
    const anew = await agent.askToken({ audience: `${audience}/${says.length}` })
    expect(partOf(anew.body, 'payload')).toMatchObject({ level: 1, 'tcb-by-rego': 'UpToDate' })
  })

  it('issues by a changed bundle at once: no token of the former one is served', async () => {
    const before = await agent.token()
    const changed = bundleOf(policy(trusted(3), extensions(',{"name":"changed","key":2,"value":true}')))
    await reload(changed)
    const after = await agent.token()
    expect(after).not.toBe(before)
    expect(partOf(after, 'payload')).toMatchObject({ changed: true })
  })
})
