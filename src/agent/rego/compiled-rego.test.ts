import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { afterAll, afterEach, describe, expect, it } from 'vitest'
import { compiledWorker } from '../../../test/support/compiled-worker.ts'
import { packBundle, sha256Of } from '../../../test/support/rego-bundles.ts'
import { RegoCompiler } from '../../../test/support/rego-compiler/compile-rego.ts'
import type { JsonObject } from '../../base/json.ts'
import { encodeInput } from '../../policies/rego/input-text.ts'
import { requireOpaModule } from '../../policies/rego/opa-module.ts'
import { openRegoPolicy, type RegoPolicy } from './open-rego-policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-compiled-rego-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const engine = { entry: compiledWorker('src/agent/rego/rego-worker.ts') }
const compiler = new RegoCompiler()
const now = Date.UTC(2026, 10, 22, 12)

const opened: RegoPolicy[] = []
afterEach(async () => {
  for (const policy of opened.splice(0)) await policy[Symbol.asyncDispose]()
})

const paths = { trust: 'policy/trust_claims', extensions: 'policy/extensions', allow: 'policy/allow' } as const
const all = Object.values(paths)

interface Given {
  readonly entrypoints?: readonly string[]
  /** `/data.json` of the bundle. */
  readonly data?: object
  readonly references?: JsonObject
}

const compiled = (rules: string, entrypoints: readonly string[]) =>
  compiler.compile({ text: `package policy\nimport future.keywords\n${rules}`, entrypoints })

async function open(rules: string, given: Given = {}): Promise<RegoPolicy> {
  const { entrypoints = [paths.trust], data = {}, references = {} } = given
  const manifest = { revision: 'r1', wasm: entrypoints.map((entrypoint) => ({ entrypoint, module: '/policy.wasm' })) }
  const bytes = packBundle(compiled(rules, entrypoints), [
    { name: '/data.json', content: JSON.stringify(data) },
    { name: '/policy.rego', content: rules },
    { name: '/.manifest', content: JSON.stringify(manifest) },
  ])
  const bundle = join(folder, 'bundle.tar.gz')
  writeFileSync(bundle, bytes)
  const policy = await openRegoPolicy({ bundle, sha256: sha256Of(bytes), class: 'cpu', references }, engine)
  opened.push(policy)
  return policy
}

const asked = (policy: RegoPolicy, input: object | string) =>
  policy.evaluateInputs([Buffer.from(typeof input === 'string' ? input : JSON.stringify(input))], now)

async function verdictOf(rules: string, input: object | string = {}, given?: Given) {
  return await asked(await open(rules, given), input)
}

const good = '{"hardware": 2, "executables": 2, "configuration": 2}'
const when = (condition: string) => `default trust_claims = {}\ntrust_claims = ${good} { ${condition} }`

/** Whether a condition holds that OPA compiled. */
async function holds(condition: string, input: object | string = {}, given?: Given): Promise<boolean> {
  const { verdict } = await verdictOf(when(condition), input, given)
  if (verdict === 'error') throw new TypeError('the policy failed')
  return verdict === 'permit'
}

const fleet = `
default hardware = 97
default executables = 33
default configuration = 36

current := {"UpToDate", "SWHardeningNeeded"}

hardware = 2 {
  input.tdx.quote.header.vendor_id == data.vendor
  input.tdx.tcb_status in current
}

booted := {digest |
  some event in input.tdx.uefi_event_logs
  event.type_name == "EV_EFI_BOOT_SERVICES_APPLICATION"
  some one in event.digests
  one.alg == "SHA-384"
  digest := one.digest
}

executables = 3 {
  count(booted) > 0
  every digest in booted { digest in query_reference_value("kernels") }
}

configuration = 2 {
  input.tdx.td_attributes.debug == false
  regex.match("^root=/dev/vda[0-9]+( |$)", input.tdx.kernel_cmdline)
}

trust_claims := {"hardware": hardware, "executables": executables, "configuration": configuration}

extensions := [
  {"name": "level", "key": -70001, "value": sprintf("%s, %d booted", [input.tdx.tcb_status, count(booted)])},
  {"name": "seconds", "key": -70002, "value": floor(time.now_ns() / 1000000000)},
  {"name": "kernels", "key": -70003, "value": sort([digest | some digest in booted])},
]

allow { not expired }
expired { input.attestation.time > data.until }
`

const digest = (letter: string) => letter.repeat(96)
const boot = (letter: string) => ({
  ...{ index: 2, type_name: 'EV_EFI_BOOT_SERVICES_APPLICATION' },
  digests: [{ alg: 'SHA-384', digest: digest(letter) }],
})
const guest = {
  attestation: { type: 'tdx', time: now / 1000 },
  tdx: {
    quote: { header: { vendor_id: '93' } },
    ...{ tcb_status: 'UpToDate', td_attributes: { debug: false }, kernel_cmdline: 'root=/dev/vda1 quiet' },
    uefi_event_logs: [boot('b'), { index: 0, type_name: 'EV_SEPARATOR', digests: [] }, boot('a')],
  },
}
const of = (tdx: object) => ({ ...guest, tdx: { ...guest.tdx, ...tdx } })

describe('a policy for guests that the compiler of OPA 0.47 compiled', () => {
  const given = {
    entrypoints: all,
    data: { vendor: '93', until: now / 1000 },
    references: { kernels: [digest('a'), digest('b')] },
  }

  it('is of ABI 1.2, and asks for nothing but what a policy gets (POL-960)', async () => {
    const { minorVersion, table } = requireOpaModule(compiled(fleet, all))
    expect(minorVersion).toBe(2)
    expect(table?.maximum).toBe(table?.minimum)
    const { entrypoints, notOffered, revision } = await open(fleet, given)
    expect({ entrypoints, notOffered, revision }).toEqual({ entrypoints: all, notOffered: [], revision: 'r1' })
  })

  it('permits what its rules affirm, and its extensions go to the token (POL-964)', async () => {
    const evaluation = await verdictOf(fleet, guest, given)
    const { verdict, token } = evaluation as typeof evaluation & { token?: object }
    expect({ verdict, token: { ...token } }).toEqual({
      verdict: 'permit',
      token: { level: 'UpToDate, 2 booted', seconds: BigInt(now / 1000), kernels: [digest('a'), digest('b')] },
    })
    const trust = Object.fromEntries(evaluation.trust.map(({ name, value }) => [name, value]))
    expect(trust).toEqual({ hardware: 2, executables: 3, configuration: 2 })
  })

  it.each<[string, object, JsonObject]>([
    ['of another vendor', of({ quote: { header: { vendor_id: '94' } } }), { hardware: 97 }],
    ['whose level is out of date', of({ tcb_status: 'OutOfDate' }), { hardware: 97 }],
    ['that booted something else', of({ uefi_event_logs: [boot('a'), boot('c')] }), { executables: 33 }],
    ['in debug mode', of({ td_attributes: { debug: true } }), { configuration: 36 }],
    ['whose mode is not known', of({ td_attributes: {} }), { configuration: 36 }],
    ['with another root', of({ kernel_cmdline: 'quiet root=/dev/vda1' }), { configuration: 36 }],
  ])('denies a guest %s', async (_, input, trust) => {
    const evaluation = await verdictOf(fleet, input, given)
    const judged = Object.fromEntries(evaluation.trust.map(({ name, value }) => [name, value]))
    expect({ verdict: evaluation.verdict, judged }).toMatchObject({ verdict: 'deny', judged: trust })
  })

  it('judges one guest after the other as if it were the first (POL-961)', async () => {
    const policy = await open(fleet, given)
    const verdicts: string[] = []
    for (const input of [guest, of({ uefi_event_logs: [boot('c')] }), guest]) {
      verdicts.push((await asked(policy, input)).verdict)
    }
    expect(verdicts).toEqual(['permit', 'deny', 'permit'])
  })

  it('is an error where an entrypoint is undefined: the guest is late, and allow has no default (POL-961)', async () => {
    expect(await verdictOf(fleet, guest, { ...given, data: { vendor: '93', until: 1 } })).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-961', message: 'policy/allow is undefined for this evidence' },
    })
  })
})

describe('compiled Rego in the engine', () => {
  it('counts Integers exactly, beyond 2^53 as well (POL-401)', async () => {
    const input = '{"n": 9007199254740993, "m": 18446744073709551615}'
    expect(await holds('input.n == 9007199254740993', input)).toBe(true)
    expect(await holds('input.n == 9007199254740992', input)).toBe(false)
    expect(await holds('input.m == 18446744073709551615', input)).toBe(true)
    expect(await holds('input.m > 18446744073709551614', input)).toBe(true)
  })

  it('reads every input document as it was written: one that it could not read would be undefined, and "not" true', async () => {
    const rules = `${when('true')}\nextensions := [{"name": "read", "key": 1, "value": json.marshal(input)}]`
    const policy = await open(rules, { entrypoints: [paths.trust, paths.extensions] })
    const documents = fc.dictionary(fc.string({ unit: 'binary' }), fc.jsonValue({ maxDepth: 4 }))
    await fc.assert(
      fc.asyncProperty(documents, async (document) => {
        const evaluation = await policy.evaluateInputs([encodeInput(document)], now)
        const read = evaluation.verdict === 'permit' ? evaluation.token['read'] : evaluation
        const written = JSON.stringify(document).replaceAll(/(?<=[:[,])-0(?=[,}\]])/g, '0')
        expect(JSON.parse(String(read))).toEqual(JSON.parse(written))
      }),
      { numRuns: 200 },
    )
  })

  it('is an error where a text of the evidence has half a character, which OPA does not read (POL-961)', async () => {
    expect(await verdictOf(when('not input.tdx.debug'), { tdx: { debug: true, name: '\ud800' } })).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-961', message: 'the policy aborted: illegal string escape character' },
    })
  })

  it('has a reference value of every kind, and null for what is not configured (POL-963)', async () => {
    const references = { number: 7, text: 'a', list: ['a', { b: [true] }] }
    const condition = `query_reference_value("number") == 7
      query_reference_value(input.name) == "a"
      query_reference_value("list")[1].b[0]
      query_reference_value("toString") == null`
    expect(await holds(condition, { name: 'text' }, { references })).toBe(true)
    expect(await holds('query_reference_value("number") == 7', {}, { references: { number: 8 } })).toBe(false)
  })

  it('has the time of the appraisal as its time, to the digit (POL-963)', async () => {
    const policy = await open(when('time.now_ns() == input.ns'))
    const at = (ns: bigint) => Buffer.from(`{"ns":${ns}}`)
    const ms = 1_763_812_345_678
    expect((await policy.evaluateInputs([at(BigInt(ms) * 1_000_000n)], ms)).verdict).toBe('permit')
    expect((await policy.evaluateInputs([at(BigInt(ms) * 1_000_000n + 1n)], ms)).verdict).toBe('deny')
  })

  it('has regular expressions in one entrypoint after another, in one memory', async () => {
    const rules = `${when('regex.match("^a+$", input.s)')}
      extensions := [{"name": "second", "key": 1, "value": regex.match("^a+$", input.s)}]
      allow { regex.match("^b+$", input.t); glob.match("b*", [], input.t); not regex.match("^a+$", input.t) }`
    expect(await verdictOf(rules, { s: 'aaa', t: 'bbb' }, { entrypoints: all })).toMatchObject({
      verdict: 'permit',
      token: { second: true },
    })
  })

  it('has functions, else, partial rules and mocked input', async () => {
    const rules = `
      level(x) = "high" { x > 9 } else = "low" { x > 0 } else = "none" { true }
      seen[x] { x := level(input.levels[_]) }
      named[key] = value { value := input.names[key] }
      twice := y { y := count(seen) with input as {"levels": [1, 2]} }
      trust_claims := {"hardware": 2, "executables": count(seen), "configuration": twice + named.a}`
    const evaluation = await verdictOf(rules, { levels: [10, 1, 0], names: { a: 1, b: 9 } })
    const trust = Object.fromEntries(evaluation.trust.map(({ name, value }) => [name, value]))
    expect(trust).toEqual({ hardware: 2, executables: 3, configuration: 2 })
  })

  it.each<[string, string, string | RegExp]>([
    [
      'two values of one rule',
      'trust_claims = {"hardware": 2} { input.a }\ntrust_claims = {} { input.a }',
      'aborted: policy.rego:4',
    ],
    [
      'more memory than it gets',
      when('count(numbers.range(1, 100000000)) > 1'),
      /aborted: opa_malloc: failed|took longer/,
    ],
    [
      'a search that takes for ever',
      `n := numbers.range(1, 1000)\n${when('n[_] + n[_] + n[_] == -1')}`,
      /took longer than 1000 ms|opa_malloc: failed/,
    ],
    ['division by zero', `trust_claims := {"hardware": 1 / input.zero}`, 'is undefined for this evidence'],
    ['half a number', 'trust_claims := {"hardware": 5 / 2}', 'hardware is no integer'],
    ['a set for an object', 'trust_claims := {"hardware"}', 'is no object'],
  ])('is an error with %s (POL-961)', async (_, rules, says) => {
    const evaluation = await verdictOf(rules, { a: true, zero: 0 })
    const message = evaluation.verdict === 'error' ? evaluation.error.message : evaluation.verdict
    expect(message).toMatch(says)
  })

  it('is an error with a function that no policy gets, by its name, even if it would not be called (POL-963)', async () => {
    const rules = `${when('true')}\nextensions := [regex.split("a", x) | x := input.texts[_]]`
    const policy = await open(rules, { entrypoints: [paths.trust, paths.extensions] })
    expect(policy.notOffered).toEqual(['regex.split'])
    expect(await asked(policy, { texts: [] })).toMatchObject({ verdict: 'error', error: { id: 'POL-963' } })
  })

  it('formats as OPA does, and is an error where it would make one text of two values (POL-963)', async () => {
    expect(
      await holds('sprintf("%v-%d-%x", ["a", input.n, 255]) == "a-9007199254740993-ff"', '{"n":9007199254740993}'),
    ).toBe(true)
    const evaluation = await verdictOf(when('sprintf("%v", [input.a]) == sprintf("%v", [{"b": 2}])'), { a: { b: 1 } })
    expect(evaluation).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-961', message: 'sprintf formats no array, set or object here' },
    })
  })
})
