import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { compiledWorker } from '../../../test/support/compiled-worker.ts'
import { EmbeddedMachine, embeddedRequest } from '../../../test/support/embedded-machine.ts'
import { FakeClock, settled } from '../../../test/support/fake-clock.ts'
import { assembleOpaPolicy, type Entrypoint, type PolicyForm } from '../../../test/support/opa-policies.ts'
import { sha256Of } from '../../../test/support/rego-bundles.ts'
import { SoftwareTpm } from '../../../test/support/software-tpm.ts'
import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { classifyFailure } from '../../passport/failure.ts'
import { policyDigest } from '../../policies/index.ts'
import { type RegoEvaluation, regoError, regoVerdict } from '../../policies/rego/rego-evaluation.ts'
import { openRegoPolicy } from '../rego/open-rego-policy.ts'
import type { AppraisalPolicy, BundledPolicy } from './appraisal-policies.ts'
import { BundleLane } from './bundle-lane.ts'

const never = new AbortController().signal
const folder = mkdtempSync(join(tmpdir(), 'attestd-bundled-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const entry = compiledWorker('src/agent/rego/rego-worker.ts')
/** One for all: its keys take longest to make. */
const tpm = new SoftwareTpm()

async function bundled(id: string, form: PolicyForm, settings: JsonObject = {}): Promise<BundledPolicy> {
  const wasm = assembleOpaPolicy(form)
  const bundle = join(folder, id)
  writeFileSync(bundle, wasm)
  const opened = await openRegoPolicy(
    { bundle, sha256: sha256Of(wasm), class: 'cpu', require: ['hardware'] },
    { entry },
  )
  return { id, hash: opened.hash, bundle: opened, settings }
}

const trust = (vector: string, ...extensions: readonly string[]): PolicyForm => {
  const also: Record<string, Entrypoint> =
    extensions.length === 0 ? {} : { 'policy/extensions': [`[{"result":[${extensions.join()}]}]`] }
  return { entrypoints: { 'policy/trust_claims': [`[{"result":${vector}}]`], ...also } }
}
const extension = (name: string, value: string) => `{"name":"${name}","key":1,"value":${value}}`

function text(id: string, issuance: string): AppraisalPolicy {
  const policy = `version=1.2;authorizationrules{=> permit();};issuancerules{${issuance}};`
  return { id, text: policy, hash: policyDigest(new TextEncoder().encode(policy)), documents: false }
}

async function machineUnder(...usual: readonly AppraisalPolicy[]) {
  const machine = new EmbeddedMachine({ tpm })
  machine.policies = { usual, configured: usual }
  const { source } = await machine.sourceAndKeys()
  const obtain = async () => {
    const token = await source.obtainToken(embeddedRequest(), never)
    await source.acceptToken(token, embeddedRequest())
    return { token, claims: JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString()) }
  }
  const denied = async () => {
    const reason: unknown = await obtain().catch((error: unknown) => error)
    if (!(reason instanceof AttestdError)) throw new Error('a token was issued')
    const { error } = classifyFailure(reason, 'obtain', 0)
    return { message: error.message, facts: error.facts }
  }
  return { source, obtain, denied, said: () => machine.appraisals.snapshot().evidence?.policies }
}

describe('a bundle beside texts of the policy language', () => {
  it('is told the verified trees, and its words stand in the token beside theirs (POL-962, POL-429)', async () => {
    const name = { inputAfter: '"ak_name":"' }
    const form: PolicyForm = {
      entrypoints: {
        ...trust('{"hardware":2}').entrypoints,
        'policy/extensions': ['[{"result":[{"name":"key-by-rego","key":1,"value":"', name, '"}]}]'],
      },
    }
    const byText = text('site', 'c:[type=="tpm.ak_name"] => issue(type="key-by-text", value=c.value);')
    const compiled = await bundled('compiled', form)
    const { obtain, said } = await machineUnder(compiled, byText)
    const { claims } = await obtain()
    expect(claims['key-by-rego']).toMatch(/^[0-9a-f]{68}$/)
    expect(claims['key-by-text']).toBe(claims['key-by-rego'])
    const reports = claims['evaluation-reports'].slice(1)
    expect(reports).toEqual([compiled, byText].map(({ id, hash }) => ({ 'policy-id': id, 'policy-hash': hash })))
    const permit = { verdict: 'permit', lines: [], missed: [], opposed: [], rule: null, message: null }
    expect(said()).toContainEqual({ id: 'compiled', ...permit })
  })

  it('contradicts a text by another value under one name (POL-429)', async () => {
    const form = trust('{"hardware":2}', extension('level', '1'))
    const same = await machineUnder(await bundled('one', form), text('site', '=> issue(type="level", value=1);'))
    expect((await same.obtain()).claims.level).toBe(1)
    const other = await machineUnder(await bundled('two', form), text('site', '=> issue(type="level", value="1");'))
    expect((await other.denied()).facts).toMatchObject({ policy_id: 'two, site', reason: 'error', rule: 'POL-429' })
  })

  it.each<[string, PolicyForm, object, object]>([
    [
      'warns',
      trust('{"hardware":40,"executables":97}'),
      { reason: 'deny-rule', message: 'policy warns: its trust claims warn against this machine' },
      {
        opposed: [
          { name: 'hardware', tier: 'warning' },
          { name: 'executables', tier: 'contraindicated' },
        ],
      },
    ],
    [
      'affirms nothing',
      trust('{"executables":2}'),
      { reason: 'no-permit', message: 'policy affirms-nothing: it does not affirm all that is required' },
      { opposed: [{ name: 'hardware', tier: 'absent' }] },
    ],
    [
      'does not allow',
      { entrypoints: { 'policy/allow': ['[{"result":false}]'] } },
      { reason: 'no-permit', message: 'policy does-not-allow: it does not affirm all that is required' },
      { opposed: [] },
    ],
    [
      'is undefined',
      { entrypoints: { 'policy/allow': ['[]'] } },
      { reason: 'error', rule: 'POL-961' },
      { message: 'policy/allow is undefined for this evidence' },
    ],
  ])('that %s denies, and operators see why (POL-443, POL-964)', async (what, form, told, seen) => {
    const { denied, said } = await machineUnder(await bundled(what.replaceAll(' ', '-'), form))
    const { message, facts } = await denied()
    expect({ message, ...facts, ...('rule' in told ? { message: undefined } : {}) }).toMatchObject(told)
    expect(said()).toMatchObject([seen])
  })

  it.each(['iss', 'sub', 'exp', 'attestd', 'evaluation-reports', 'tdx', 'x-ms-policy', 'x-ms-runtime', 'acr', 'cnf'])(
    'says nothing under the reserved name %s (POL-427)',
    async (name) => {
      const { denied } = await machineUnder(await bundled(name, trust('{"hardware":2}', extension(name, '"x"'))))
      expect((await denied()).facts).toMatchObject({ reason: 'error', rule: 'POL-427' })
    },
  )

  it('is not asked about evidence that is not affirmed (POL-430)', async () => {
    const machine = new EmbeddedMachine({ tpm })
    const asked: unknown[] = []
    const bundle: BundledPolicy['bundle'] = {
      required: [],
      evaluateInputs: async (inputs) => regoError('POL-961', `asked ${asked.push(inputs)}`),
    }
    const usual = [{ id: 'spy', hash: '', bundle, settings: {} }]
    machine.policies = { usual, configured: usual }
    machine.change = (evidence) => ({ ...evidence, quotes: [] })
    const { source } = await machine.sourceAndKeys()
    await expect(source.obtainToken(embeddedRequest(), never)).rejects.toMatchObject({ code: 'EVIDENCE_NOT_AFFIRMED' })
    expect(asked).toEqual([])
  })

  it('issued no token for other references, nor under another bundle (BRK-117, TOK-26)', async () => {
    const form = trust('{"hardware":2}')
    const { obtain } = await machineUnder(await bundled('own', form, { references: { a: 1 } }))
    const { token } = await obtain()
    const others = [
      await bundled('own', form, { references: { a: 2 } }),
      await bundled('own', trust('{"hardware":3}'), { references: { a: 1 } }),
    ]
    for (const other of others) {
      const { source } = await machineUnder(other)
      await expect(source.acceptToken(token, embeddedRequest())).rejects.toMatchObject({ facts: { check: 'TOK-26' } })
    }
  })
})

/** A bundle whose evaluations are told when to end. */
class HeldBundle implements BundledPolicy {
  readonly hash = 'b'.repeat(64)
  readonly settings = {}
  readonly bundle: BundledPolicy['bundle']
  readonly id: string
  asked = 0
  readonly #open: (() => void)[] = []

  constructor(id: string, order: string[] = []) {
    this.id = id
    const evaluateInputs = () => {
      this.asked++
      order.push(id)
      const verdict = regoVerdict('permit', { trust: [], extensions: [], token: { [`by-${id}`]: 1n } })
      return new Promise<RegoEvaluation>((resolve) => this.#open.push(() => resolve(verdict)))
    }
    this.bundle = { required: [], evaluateInputs }
  }

  /** Ends the evaluation that is under way, when it has begun. */
  async end(): Promise<void> {
    await expect.poll(() => this.#open.length).toBeGreaterThan(0)
    this.#open.shift()?.()
  }
}

/** A machine whose requests are under a text, unless they name others. */
async function machineBeside(...others: readonly AppraisalPolicy[]) {
  const site = text('site', '')
  const machine = new EmbeddedMachine({ tpm })
  machine.policies = { usual: [site], configured: [site, ...others] }
  const { source } = await machine.sourceAndKeys()
  const obtain = (policyIds: readonly string[] = [], signal = never) =>
    source.obtainToken(embeddedRequest({ policyIds }), signal)
  const said = () => machine.appraisals.snapshot().evidence?.policies?.map(({ id, verdict }) => `${id} ${verdict}`)
  return { machine, obtain, said }
}

const claimsOf = (token: string) => JSON.parse(Buffer.from(token.split('.')[1] ?? '', 'base64url').toString())

describe('a bundle that takes long', () => {
  it('delays nobody who is not under it, in the batch of those who are or behind it (POL-961)', async () => {
    const slow = new HeldBundle('slow')
    const { machine, obtain, said } = await machineBeside(slow)
    const [judged, beside] = [obtain(['slow']), obtain()]
    expect(claimsOf(await beside)).not.toHaveProperty('by-slow')
    await obtain()
    expect(said()).toEqual(['site permit'])
    await slow.end()
    expect(claimsOf(await judged)['by-slow']).toBe(1)
    expect(said()).toEqual(['site permit', 'slow permit'])
    await obtain()
    expect(said()).toEqual(['slow permit', 'site permit'])
    expect([slow.asked, machine.quoted.length]).toEqual([1, 3])
  })

  it('is asked once for all requests of a batch (POL-429)', async () => {
    const slow = new HeldBundle('slow')
    const { machine, obtain } = await machineBeside(slow)
    const all = Promise.all([obtain(['slow']), obtain(['slow', 'site']), obtain(['slow'])])
    await slow.end()
    await all
    expect([slow.asked, machine.quoted.length]).toEqual([1, 1])
  })

  it('is waited for before evidence is collected: who comes meanwhile shares the next quote (BRK-85)', async () => {
    const slow = new HeldBundle('slow')
    const { machine, obtain } = await machineBeside(slow)
    const first = obtain(['slow'])
    await expect.poll(() => slow.asked).toBe(1)
    const later = Promise.all([1, 2, 3].map(() => obtain(['slow'])))
    await settled(50)
    expect(machine.quoted).toHaveLength(1)
    await slow.end()
    await slow.end()
    await Promise.all([first, later])
    expect([slow.asked, machine.quoted.length]).toEqual([2, 2])
  })

  it('holds nobody who has gone away', async () => {
    const slow = new HeldBundle('slow')
    const { machine, obtain } = await machineBeside(slow)
    const gone = new AbortController()
    const first = expect(obtain(['slow'], gone.signal)).rejects.toThrow('gone')
    await expect.poll(() => slow.asked).toBe(1)
    const second = expect(obtain(['slow'], gone.signal)).rejects.toThrow('gone')
    gone.abort(new Error('gone'))
    await Promise.all([first, second])
    expect(machine.quoted).toHaveLength(1)
    await slow.end()
  })
})

describe('several bundles', () => {
  const input = { document: new Uint8Array() }
  const lane = (capacity = 64) =>
    new BundleLane({ clock: new FakeClock(0), capacity, refuse: () => new Error('no place') })

  it('are asked one at a time, going round: each may take 128 MiB', async () => {
    const order: string[] = []
    const [slow, other] = [new HeldBundle('slow', order), new HeldBundle('other', order)]
    const all = lane()
    const judged = [slow, slow, slow, other].map((policy) => all.judge(policy, input, 0))
    for (const policy of [slow, other, slow, slow]) {
      await policy.end()
      await settled()
    }
    await Promise.all(judged)
    expect(order).toEqual(['slow', 'other', 'slow', 'slow'])
  })

  it('have places that one of them cannot take from the others', async () => {
    const [slow, other] = [new HeldBundle('slow'), new HeldBundle('other')]
    const all = lane(2)
    const first = all.judge(slow, input, 0)
    await expect.poll(() => slow.asked).toBe(1)
    const waiting = [slow, slow].map((policy) => all.judge(policy, input, 0))
    const refused = expect(waiting[1]).rejects.toThrow('no place')
    const late = all.judge(other, input, 0)
    await refused
    for (const policy of [slow, other, slow]) await policy.end()
    expect((await late).id).toBe('other')
    await Promise.all([first, waiting[0]])
  })

  it('are an error where the input is too long for any policy (POL-606)', async () => {
    const evaluateInputs = () => Promise.reject(new Error('nobody may be asked'))
    const policy = { id: 'a', hash: '', bundle: { required: [], evaluateInputs }, settings: {} }
    const { evaluation } = await lane().judge(policy, { unfit: 'the input is longer than 1 byte' }, 0)
    expect(evaluation).toMatchObject({ verdict: 'error', error: { id: 'POL-606' } })
  })
})
