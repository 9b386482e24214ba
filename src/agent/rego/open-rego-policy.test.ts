import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createRequire } from 'node:module'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, describe, expect, it, vi } from 'vitest'
import { compiledWorker } from '../../../test/support/compiled-worker.ts'
import { assembleOpaPolicy, type Piece, type PolicyForm } from '../../../test/support/opa-policies.ts'
import { packBundle, sha256Of } from '../../../test/support/rego-bundles.ts'
import { op } from '../../../test/support/wasm-assembler.ts'
import type { RegoEvidence } from '../../policies/rego/rego-input.ts'
import { openRegoPolicy, type RegoEngine, type RegoPolicy, type RegoPolicyConfig } from './open-rego-policy.ts'
import { longestRegoQueue } from './rego-thread.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-rego-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const entry = compiledWorker('src/agent/rego/rego-worker.ts')
const locate = () => createRequire(import.meta.url).resolve('@open-policy-agent/opa-wasm')
const engine: RegoEngine = { locate, entry }

const now = Date.UTC(2026, 10, 22, 12)
const attestation = { type: 'tdx', time: now / 1000, simulated: false }
const evidence: RegoEvidence = {
  trees: {
    attestation,
    tdx: { tcb_status: 'UpToDate', td_attributes: { debug: false }, hardware: '2', tcb_eval_num: 2n ** 60n + 1n },
    report_data: 'ab',
  },
}

const opened: RegoPolicy[] = []
afterEach(async () => {
  for (const policy of opened.splice(0)) await policy[Symbol.asyncDispose]()
})

function file(name: string, bytes: Uint8Array): Pick<RegoPolicyConfig, 'bundle' | 'sha256'> {
  const bundle = join(folder, name)
  writeFileSync(bundle, bytes)
  return { bundle, sha256: sha256Of(bytes) }
}

type Settings = Partial<RegoPolicyConfig>

async function open(bytes: Uint8Array, settings: Settings = {}, from = engine): Promise<RegoPolicy> {
  const config = { ...file('bundle', bytes), class: 'cpu', ...settings } as const
  const policy = await openRegoPolicy(config, from)
  opened.push(policy)
  return policy
}

const assembled = (form: PolicyForm, settings?: Settings) => open(assembleOpaPolicy(form), settings)

/** A policy whose trust claims are these pieces. */
const trust = (...pieces: readonly Piece[]): PolicyForm => ({
  entrypoints: { 'policy/trust_claims': ['[{"result":', ...pieces, '}]'] },
})

const good = '{"hardware":2,"executables":3,"configuration":2}'

async function verdictOf(form: PolicyForm, settings?: Settings) {
  const policy = await assembled(form, settings)
  return await policy.evaluate(evidence, now)
}

const codeOf = async (opening: Promise<unknown>) =>
  opening.then(
    () => 'opened',
    ({ code, message }) => `${code}: ${message}`,
  )

const looping = op.loop(op.branch(0))

describe('a policy in a hand-written module of ABI 1.x, run by the real library (no compiled Rego)', () => {
  it('permits what it affirms, and shows its vector (POL-964)', async () => {
    const evaluation = await verdictOf(trust(good))
    expect(evaluation).toEqual({
      verdict: 'permit',
      token: {},
      properties: {},
      trust: [
        { name: 'hardware', value: 2, tier: 'affirming' },
        { name: 'executables', value: 3, tier: 'affirming' },
        { name: 'configuration', value: 2, tier: 'affirming' },
      ],
      added: [
        { type: 'trust_claims.hardware', value: 2n, issuer: 'AttestationPolicy' },
        { type: 'trust_claims.executables', value: 3n, issuer: 'AttestationPolicy' },
        { type: 'trust_claims.configuration', value: 2n, issuer: 'AttestationPolicy' },
      ],
      decidedBy: [],
      firedLines: [],
      steps: 0,
    })
  })

  it.each([0, 1, 2, 3])('works by ABI 1.%i, with one call or with a context', async (minor) => {
    const pieces = ['{"executables":2,"configuration":2,"hardware":', { inputAfter: '"hardware":"' }, '}']
    expect(await verdictOf({ ...trust(...pieces), abi: [1, minor] })).toMatchObject({ verdict: 'permit' })
  })

  it('reads the input document and gives parts of it to the token (POL-962)', async () => {
    const pieces: Piece[] = [
      '[{"result":[{"name":"level","key":-1,"value":"',
      { inputAfter: '"tcb_status":"' },
      '"},{"name":"report","key":-2,"value":"',
      { inputAfter: '"report_data":"' },
      '"}]}]',
    ]
    const { entrypoints } = trust(good)
    const evaluation = await verdictOf({ entrypoints: { ...entrypoints, 'policy/extensions': pieces } })
    expect(evaluation).toMatchObject({ verdict: 'permit', token: { level: 'UpToDate', report: 'ab' } })
  })

  it('gets the data of its bundle, and says which revision it is', async () => {
    const wasm = assembleOpaPolicy(trust({ whole: 'data' }))
    const manifest =
      '{"revision":"r7","roots":[""],"wasm":[{"entrypoint":"policy/trust_claims","module":"/policy.wasm"}]}'
    const policy = await open(
      packBundle(wasm, [
        { name: '/data.json', content: good },
        { name: '/.manifest', content: manifest },
      ]),
    )
    expect(policy.revision).toBe('r7')
    expect(await policy.evaluate(evidence, now)).toMatchObject({ verdict: 'permit' })
  })

  it('is named by the SHA-256 of its file, packed or bare (POL-711)', async () => {
    const bare = assembleOpaPolicy(trust(good))
    expect((await open(bare)).hash).toBe(sha256Of(bare))
    const packed = packBundle(bare)
    expect((await open(packed)).hash).toBe(sha256Of(packed))
  })

  it('denies where a claim warns, and where one that is required is missing', async () => {
    const lacking = '{"hardware":2,"executables":2}'
    expect(await verdictOf(trust('{"hardware":2,"executables":33,"configuration":2}'))).toMatchObject({
      verdict: 'deny',
      reason: 'deny-rule',
    })
    expect(await verdictOf(trust(lacking))).toMatchObject({ verdict: 'deny', reason: 'no-permit' })
    expect(await verdictOf(trust(lacking), { require: ['hardware'] })).toMatchObject({ verdict: 'permit' })
  })

  it('is asked for policy/allow where it has nothing else', async () => {
    const allow = (text: string): PolicyForm => ({ entrypoints: { 'policy/allow': [`[{"result":${text}}]`] } })
    expect(await verdictOf(allow('true'))).toMatchObject({ verdict: 'permit', trust: [] })
    expect(await verdictOf(allow('false'))).toMatchObject({ verdict: 'deny', reason: 'no-permit' })
    expect(await verdictOf(allow('"true"'))).toMatchObject({ verdict: 'error', error: { id: 'POL-964' } })
  })

  it('judges every device of its class, and permits only if it permits each (POL-962)', async () => {
    const form = trust('{"hardware":', { inputAfter: '"value":"' }, '}')
    const policy = await assembled(form, { class: 'gpu' })
    const device = (value: string, kind: 'gpu' | 'switch' = 'gpu') => ({ kind, claims: { value } })
    const judge = (...devices: ReturnType<typeof device>[]) => policy.evaluate({ trees: { attestation }, devices }, now)
    expect(await judge(device('2'), device('3'))).toMatchObject({
      verdict: 'permit',
      trust: [{ value: 2 }, { value: 3 }],
    })
    expect(await judge(device('2'), device('97'))).toMatchObject({ verdict: 'deny', reason: 'deny-rule' })
    expect(await judge(device('97'), device('200'))).toMatchObject({ verdict: 'error' })
    expect(await judge(device('2'), device('97', 'switch'))).toMatchObject({ verdict: 'permit' })
    expect(await judge(device('2', 'switch'))).toMatchObject({ verdict: 'error', error: { id: 'POL-962' } })
  })
})

describe('built-ins of a policy (POL-963), called by a hand-written module', () => {
  const reference = (...values: string[]) =>
    trust('{"executables":2,"configuration":2,"hardware":', { builtIn: 'query_reference_value', values }, '}')

  it('query_reference_value gives what is configured', async () => {
    expect(await verdictOf(reference('"a"'), { references: { a: 2 } })).toMatchObject({ verdict: 'permit' })
    expect(await verdictOf(reference('"a"'), { references: { a: 97 } })).toMatchObject({ verdict: 'deny' })
  })

  it.each(['"b"', '"toString"', '"__proto__"', '""'])('query_reference_value gives null for %s', async (name) => {
    expect(await verdictOf(reference(name), { references: { a: 2 } })).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-964', message: 'hardware is no integer from -127 to 127' },
    })
  })

  it('query_reference_value takes a name and nothing else', async () => {
    expect(await verdictOf(reference('1'), { references: { 1: 2 } })).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-961', message: 'the policy failed: TypeError' },
    })
  })

  it('time.now_ns is the time of the appraisal, to the digit', async () => {
    const pieces: Piece[] = [
      '[{"result":[{"name":"at","key":1,"value":"',
      { builtIn: 'time.now_ns', values: [] },
      '"}]}]',
    ]
    const { entrypoints } = trust(good)
    const policy = await assembled({ entrypoints: { ...entrypoints, 'policy/extensions': pieces } })
    for (const at of [now, now + 123, 1]) {
      expect(await policy.evaluate(evidence, at)).toMatchObject({ token: { at: String(BigInt(at) * 1_000_000n) } })
    }
  })

  it.each([
    ...['http.send', 'opa.runtime', 'net.lookup_ip_addr', 'rand.intn', 'regex.split', 'yaml.unmarshal', 'yaml.marshal'],
    ...['constructor', 'toString', 'hasOwnProperty'],
  ])('%s is not offered, and a policy that has it never permits', async (name) => {
    const policy = await assembled({ ...trust(good), builtIns: [name] })
    expect(policy.notOffered).toEqual([name])
    const error = { id: 'POL-963', message: `the policy needs built-ins that are not offered: ${name}` }
    expect(await policy.evaluate(evidence, now)).toMatchObject({ verdict: 'error', error })
  })

  it('what the library computes without reaching out is offered', async () => {
    const builtIns = ['sprintf', 'json.is_valid']
    const sprintf: Piece = { builtIn: 'sprintf', values: ['"%d"', '[2]'] }
    const pieces: Piece[] = ['[{"result":[{"name":"n","key":1,"value":', sprintf, '}]}]']
    const { entrypoints } = trust(good)
    const policy = await assembled({ entrypoints: { ...entrypoints, 'policy/extensions': pieces }, builtIns })
    expect(policy.notOffered).toEqual([])
    expect(await policy.evaluate(evidence, now)).toMatchObject({ token: { n: '2' } })
  })
})

describe('a hostile policy in a hand-written module is verdict error (POL-961)', () => {
  const coded = (
    code: (
      host: Parameters<Extract<PolicyForm['entrypoints'][string], { code: unknown }>['code']>[0],
    ) => readonly number[],
  ) => ({ entrypoints: { 'policy/trust_claims': { code } } }) satisfies PolicyForm

  const messageOf = async (form: PolicyForm) => {
    const evaluation = await verdictOf(form)
    return evaluation.verdict === 'error' ? `${evaluation.error.id}: ${evaluation.error.message}` : evaluation.verdict
  }

  it.each<[string, PolicyForm, string | RegExp]>([
    ['undefined', { entrypoints: { 'policy/trust_claims': ['[]'] } }, /POL-961: policy\/trust_claims is undefined/],
    ['two results', { entrypoints: { 'policy/trust_claims': [`[{"result":${good}},{"result":{}}]`] } }, /POL-961/],
    ['no JSON', { entrypoints: { 'policy/trust_claims': ['[{'] } }, 'POL-961: the policy failed: SyntaxError'],
    ['an unknown name', trust('{"hardware":2,"hardwear":2}'), /POL-964.*"hardwear"/],
    ['a trap', coded(() => op.unreachable), 'POL-961: the policy was stopped: unreachable'],
    ['a read behind the memory', coded(() => [...op.constant(-4), ...op.load]), /stopped: memory access out of bounds/],
    ['a call without end of itself', coded(() => op.call(12)), 'POL-961: the policy failed: RangeError'],
    ['an address that is none', coded(() => op.constant(-1)), 'POL-961: the policy gives a text that does not end'],
    [
      'the end of the memory',
      coded(() => op.constant(5 * 65_536)),
      'POL-961: the policy gives a text that does not end',
    ],
    ['an abort at no address', coded((host) => [...op.constant(-9), ...host.abort, ...op.unreachable]), /does not end/],
    [
      'a built-in of no number',
      coded((host) => [...op.constant(9), ...op.constant(0), ...host.builtIn(0)]),
      /not offered/,
    ],
    ['lists in lists', trust('['.repeat(60_000), ']'.repeat(60_000)), /POL-961: .*(?:RangeError|nested deeper)/],
  ])('%s', async (_, form, says) => {
    expect(await messageOf(form)).toMatch(says)
  })

  it('an abort, in words of the policy that are cut and printable', async () => {
    const text = `conflict\u001b[31m\u00e9${'x'.repeat(300)}`
    const at = 60_000
    const evaluation = await messageOf({
      ...coded((host) => [...op.constant(at), ...host.abort, ...op.unreachable]),
      change: (form) => ({ ...form, data: [...form.data, { at, bytes: new TextEncoder().encode(`${text}\0`) }] }),
    })
    expect(evaluation).toMatch(/^POL-961: the policy aborted: conflict\?\[31m\?x+$/)
    expect(evaluation.length).toBeLessThan(240)
  })

  it('a loop without end, and the thread is ended: the next evaluation gets a new one', async () => {
    const isLooping: Piece[] = ['[{"result":', good, '}]']
    const policy = await assembled({
      entrypoints: {
        'policy/trust_claims': isLooping,
        'policy/allow': { code: () => [...looping, ...op.unreachable] },
      },
    })
    const started = performance.now()
    expect(await policy.evaluate(evidence, now)).toMatchObject({
      verdict: 'error',
      error: { id: 'POL-961', message: 'the policy took longer than 1000 ms' },
    })
    expect(performance.now() - started).toBeLessThan(5000)
    expect(await policy.evaluate(evidence, now)).toMatchObject({ verdict: 'error' })
  })

  it('growing without end stops at 2048 pages', async () => {
    const grown = coded(() => [
      ...op.block(
        op.loop(
          [...op.constant(227), ...op.memoryGrow, ...op.constant(-1), ...op.equal, ...op.branchIf(1)],
          op.branch(0),
        ),
      ),
      ...[...op.memorySize, ...op.constant(2048), ...op.equal],
      ...op.when(op.unreachable),
      ...looping,
      ...op.unreachable,
    ])
    expect(await messageOf(grown)).toBe('POL-961: the policy was stopped: unreachable')
  })

  it('a table of nine million entries, which would be beside the memory and beside every limit', async () => {
    const grown = coded(() => [
      ...[...op.noFunction, ...op.constant(9_000_000), ...op.tableGrow],
      ...[...op.constant(-1), ...op.equal],
      ...op.when([...op.unreachable]),
      ...looping,
      ...op.unreachable,
    ])
    const evaluation = await messageOf({ ...grown, change: (form) => ({ ...form, tables: [{ minimum: 1 }] }) })
    expect(evaluation).toBe('POL-961: the policy was stopped: unreachable')
  })

  it('a text of two mebibytes', async () => {
    const filled = coded(() => [
      ...[...op.constant(40), ...op.memoryGrow, ...op.drop],
      ...[...op.constant(0), ...op.constant(0x31), ...op.constant(2 << 20)],
      ...[0xfc, 0x0b, 0],
      ...op.constant(0),
    ])
    expect(await messageOf(filled)).toBe('POL-961: the policy gives more than 1048576 bytes')
  })

  it('a result of a million lists: twenty million would keep a parser busy for minutes, and nothing could stop it', async () => {
    const [at, length] = [65_536, 0]
    const doubled = coded(() => [
      ...[...op.constant(128), ...op.memoryGrow, ...op.drop],
      ...[...op.constant(at), ...op.constant(0x5d5b_5b), ...op.store],
      ...[...op.constant(at + 3), ...op.constant(0x2c), ...op.storeByte],
      ...[...op.constant(3), ...op.set(length)],
      ...op.loop(
        [
          ...op.constant(at + 1),
          ...op.get(length),
          ...op.add,
          ...op.constant(at + 1),
          ...op.get(length),
          ...op.memoryCopy,
        ],
        [...op.get(length), ...op.get(length), ...op.add, ...op.set(length)],
        [...op.get(length), ...op.constant(3_000_000), ...op.below, ...op.branchIf(0)],
      ),
      ...[...op.constant(at), ...op.get(length), ...op.add, ...op.constant(0x5d), ...op.store],
      ...op.constant(at),
    ])
    expect(await messageOf(doubled)).toBe('POL-961: the policy gives more than 1048576 bytes')
  })

  it('a result that is more than a token holds (POL-609)', async () => {
    const name = 'policy/extensions'
    const long = (length: number): PolicyForm => ({
      entrypoints: {
        ...trust(good).entrypoints,
        [name]: [`[{"result":[{"key":1,"name":"n","value":"`, 'x'.repeat(length), '"}]}]'],
      },
    })
    const overhead = '[{"result":[{"key":1,"name":"n","value":""}]}]'.length
    expect(await messageOf(long(262_144 - overhead))).toBe('permit')
    expect(await messageOf(long(262_144 - overhead + 1))).toBe(`POL-961: ${name} gives 262145 characters`)
  })

  it('prints nothing: what it prints may be evidence', async () => {
    const written: unknown[] = []
    const write = process.stdout.write
    process.stdout.write = ((chunk: unknown) => written.push(chunk) > 0) as typeof write
    try {
      const at = 60_000
      await messageOf({
        ...coded((host) => [...op.constant(at), ...host.print, ...op.unreachable]),
        change: (form) => ({ ...form, data: [...form.data, { at, bytes: new TextEncoder().encode('SECRET\0') }] }),
      })
    } finally {
      process.stdout.write = write
    }
    expect(written.join('')).not.toContain('SECRET')
  })

  it.each([
    ['a width of half a gigabyte', '"%0500000000d"', '[1]'],
    ['a width behind an escape', '"\\u00250500000000d"', '[1]'],
    ['many widths', `"${'%999d'.repeat(100_000)}"`, `[${'1,'.repeat(99_999)}1]`],
  ])('sprintf with %s', async (_, format, values) => {
    const padded: Piece = { builtIn: 'sprintf', values: [format, values] }
    expect(await messageOf(trust(padded))).toBe('POL-961: sprintf would give too long a text')
  })

  it.each([0, 1, 3, 4])('sprintf called with %i values, which the library would take without bounds', async (count) => {
    const values = ['"%0500000000d"', '[1]', '1', '1'].slice(0, count)
    const called: Piece = { builtIn: 'sprintf', values }
    expect(await messageOf(trust(called))).toBe('POL-961: sprintf takes a text and an array of values')
  })

  it('a table of built-ins that is another one when it is asked for again', async () => {
    const [at, texts] = [60_000, ['{"yaml.unmarshal":0}', '{}']]
    const [first = '', second = ''] = texts
    const lying = assembleOpaPolicy({
      ...trust(good),
      change: (form) => ({
        ...form,
        functions: form.functions.map((one) =>
          one.name === 'builtins'
            ? {
                ...one,
                body: [
                  ...[...op.constant(at), ...op.loadByte],
                  ...op.when([...op.constant(at + 1 + first.length + 1), ...op.return]),
                  ...[...op.constant(at), ...op.constant(1), ...op.storeByte, ...op.constant(at + 1)],
                ],
              }
            : one,
        ),
        data: [...form.data, { at, bytes: new TextEncoder().encode(`\u0000${first}\u0000${second}\u0000`) }],
      }),
    })
    expect((await open(lying)).notOffered).toEqual(['yaml.unmarshal'])
  })

  it('sprintf with a format that is another one when it is looked at again', async () => {
    const [first, second] = ['"%d"', '"%0500000000d"']
    const at = 60_000
    const lying = assembleOpaPolicy({
      ...trust({ builtIn: 'sprintf', values: [first, '[1]'] }),
      change: (form) => ({
        ...form,
        functions: form.functions.map((one) =>
          one.name === 'opa_json_dump'
            ? {
                ...one,
                // Gives what it is asked for, but a format by turns: the short one, the long one.
                body: [
                  ...[...op.get(0), ...op.loadByte, ...op.constant(0x22), ...op.unequal],
                  ...op.when([...op.get(0), ...op.return]),
                  ...[
                    ...op.constant(at),
                    ...op.constant(at),
                    ...op.loadByte,
                    ...op.constant(1),
                    ...op.add,
                    ...op.storeByte,
                  ],
                  ...[...op.constant(at), ...op.loadByte, ...op.constant(1), ...op.equal],
                  ...op.when([...op.get(0), ...op.return]),
                  ...op.constant(at + 1),
                ],
              }
            : one,
        ),
        data: [...form.data, { at, bytes: new TextEncoder().encode(`\u0000${second}\u0000`) }],
      }),
    })
    const evaluation = await (await open(lying)).evaluate(evidence, now)
    expect(evaluation).toMatchObject({ verdict: 'error', error: { id: 'POL-964' } })
  })

  it('keeps nothing from one evaluation for the next', async () => {
    // Counts in its data segment: a memory that is used again would show it.
    const at = 60_000
    const policy = await assembled({
      ...coded(() => [
        ...[...op.constant(at), ...op.loadByte, ...op.constant(0x32), ...op.unequal],
        ...op.when(op.unreachable),
        ...[...op.constant(at), ...op.constant(0x39), ...op.storeByte],
        ...op.constant(at + 1),
      ]),
      change: (form) => ({
        ...form,
        data: [...form.data, { at, bytes: new TextEncoder().encode(`2[{"result":${good}}]\0`) }],
      }),
    })
    for (let run = 0; run < 3; run++) expect(await policy.evaluate(evidence, now)).toMatchObject({ verdict: 'permit' })
  })

  it('is asked one after another, and not by more than can wait', async () => {
    const policy = await assembled(trust(good))
    const evaluations = await Promise.all(
      Array.from({ length: longestRegoQueue + 1 }, () => policy.evaluate(evidence, now)),
    )
    expect(evaluations.filter(({ verdict }) => verdict === 'permit')).toHaveLength(longestRegoQueue)
    expect(evaluations.at(-1)).toMatchObject({ error: { message: '64 evaluations are waiting' } })
  })

  it('holds no thread while it rests: reloads one after another would add them up', async () => {
    const threads = () => readdirSync('/proc/self/task').length
    const wasm = assembleOpaPolicy(trust(good))
    const policies = await Promise.all(Array.from({ length: 8 }, () => open(wasm)))
    const before = threads()
    for (const policy of policies) policy.rest()
    await vi.waitFor(() => expect(threads()).toBeLessThanOrEqual(before - 6), { timeout: 8000 })
  })

  it('takes another thread for the next evaluation once it rested, and rests not while it is asked', async () => {
    const policy = await assembled(trust(good))
    policy.rest()
    const asked = Array.from({ length: 6 }, () => policy.evaluate(evidence, now))
    for (const evaluation of asked) {
      expect(await evaluation).toMatchObject({ verdict: 'permit' })
      // The thread has the next question by then, of all but the last.
      await new Promise((resolve) => setImmediate(resolve))
      policy.rest()
    }
    expect(await policy.evaluate(evidence, now)).toMatchObject({ verdict: 'permit' })
  })

  it('gives no verdict but error once it is closed', async () => {
    const policy = await assembled(trust(good))
    await policy[Symbol.asyncDispose]()
    expect(await policy.evaluate(evidence, now)).toMatchObject({ error: { message: 'the policy is closed' } })
  })

  it('gives the verdict error to all who wait when it is closed', async () => {
    const policy = await assembled({ entrypoints: { 'policy/allow': { code: () => [...looping, ...op.unreachable] } } })
    const waiting = [1, 2, 3].map(() => policy.evaluate(evidence, now))
    await policy[Symbol.asyncDispose]()
    const verdicts = (await Promise.all(waiting)).map(({ verdict }) => verdict)
    expect(verdicts).toEqual(['error', 'error', 'error'])
  })

  it('an input that no policy can be given (POL-606)', async () => {
    const policy = await assembled(trust(good))
    const long = { trees: { attestation, tdx: { text: 'x'.repeat(16 << 20) } } }
    expect(await policy.evaluate(long, now)).toMatchObject({ verdict: 'error', error: { id: 'POL-606' } })
    const fitting = { trees: { attestation, tdx: { text: 'x'.repeat(15 << 20) } } }
    expect(await policy.evaluate(fitting, now)).toMatchObject({ verdict: 'permit' })
  })
})

describe('opening a bundle (POL-960), with hand-written modules', () => {
  it('refuses source, by its name or by what it says, and tells how to compile it', async () => {
    const source = new TextEncoder().encode('# a policy\npackage policy\n\ndefault allow := false\n')
    const config = { class: 'cpu', sha256: '0'.repeat(64) } as const
    const opening = openRegoPolicy({ ...config, bundle: file('policy.rego', source).bundle }, engine)
    await expect(opening).rejects.toMatchObject({
      code: 'REGO_SOURCE',
      remedy: expect.stringContaining('opa build -t wasm'),
    })
    expect(await codeOf(openRegoPolicy({ ...config, bundle: file('source', source).bundle }, engine))).toMatch(
      /^REGO_SOURCE/,
    )
  })

  it('refuses a file with another hash before it reads anything of it', async () => {
    const wasm = assembleOpaPolicy(trust(good))
    const config = { ...file('pinned', wasm), class: 'cpu' } as const
    writeFileSync(config.bundle, wasm.with(-1, 1))
    expect(await codeOf(openRegoPolicy(config, engine))).toMatch(/^REGO_BUNDLE_HASH/)
    expect(await codeOf(open(wasm, { sha256: sha256Of(wasm).toUpperCase() }))).toBe('opened')
  })

  it.each<[string, PolicyForm | Uint8Array, RegExp]>([
    ['neither form', new TextEncoder().encode('{}'), /^REGO_BUNDLE_UNREADABLE: .* neither/],
    ['a damaged archive', new Uint8Array([0x1f, 0x8b, 8, 0, 1, 2, 3]), /^REGO_BUNDLE_UNREADABLE: .*unpacked/],
    [
      'code that does not compile',
      { ...trust(good), start: [0xff] },
      /^REGO_BUNDLE_UNREADABLE: policy.wasm: WebAssembly/,
    ],
    ['a start that traps', { ...trust(good), start: op.unreachable }, /^REGO_BUNDLE_UNREADABLE: .*unreachable/],
    ['a start that never ends', { ...trust(good), start: looping }, /^REGO_BUNDLE_UNREADABLE: .*longer than 3000 ms/],
    ['no entrypoint of ours', { entrypoints: { 'policy/other': ['[]'] } }, /^REGO_ENTRYPOINT_MISSING/],
    ['entrypoints that are no JSON', { ...trust(good), entrypointText: '{' }, /^REGO_BUNDLE_UNREADABLE/],
    ['entrypoints that are null', { ...trust(good), entrypointText: 'null' }, /^REGO_BUNDLE_UNREADABLE/],
  ])('refuses %s', async (_, what, says) => {
    const bytes = what instanceof Uint8Array ? what : assembleOpaPolicy(what)
    expect(await codeOf(open(bytes))).toMatch(says)
  })

  it('refuses entrypoints that the configuration or the manifest names and the module has not', async () => {
    expect(await codeOf(assembled(trust(good), { entrypoints: ['policy/trust_claims', 'policy/extensions'] }))).toMatch(
      /^REGO_ENTRYPOINT_MISSING: the configuration names policy\/extensions/,
    )
    const manifest = '{"wasm":[{"entrypoint":"policy/extensions","module":"/policy.wasm"}]}'
    const bundle = packBundle(assembleOpaPolicy(trust(good)), [{ name: '/.manifest', content: manifest }])
    expect(await codeOf(open(bundle))).toMatch(/^REGO_ENTRYPOINT_MISSING: the manifest/)
  })

  it('takes a file of 8 MiB and none that is longer', async () => {
    const bare = assembleOpaPolicy(trust(good))
    /** With a custom section, which takes a size of four bytes and a name of one. */
    const padded = (length: number) => {
      const left = length - bare.length - 5
      const size = [0, 7, 14, 21].map((shift) => ((left >> shift) & 0x7f) | (shift < 21 ? 0x80 : 0))
      return new Uint8Array(Buffer.concat([bare, new Uint8Array([0, ...size]), new Uint8Array(left)]))
    }
    const fitting = padded(8 << 20)
    expect(fitting).toHaveLength(8_388_608)
    expect(await codeOf(open(fitting))).toBe('opened')
    expect(await codeOf(open(padded((8 << 20) + 1)))).toMatch(/^INPUT_UNREADABLE: .* more than 8388608 bytes/)
  })

  it('refuses an archive that unpacks to more than 32 MiB', async () => {
    const bomb = packBundle(new Uint8Array(33 << 20))
    expect(bomb.length).toBeLessThan(100_000)
    expect(await codeOf(open(bomb))).toMatch(/^REGO_BUNDLE_UNREADABLE: .*more than 33554432 bytes/)
  })

  it('says how to install the engine where it is absent', async () => {
    const absent = () => createRequire(import.meta.url).resolve('@open-policy-agent/absent')
    const opening = open(assembleOpaPolicy(trust(good)), {}, { locate: absent, entry })
    await expect(opening).rejects.toMatchObject({
      code: 'REGO_ENGINE_ABSENT',
      kind: 'configuration',
      remedy: expect.stringContaining('npm install @open-policy-agent/opa-wasm'),
    })
  })

  it.each([
    ['damaged', 'export default {', /^REGO_ENGINE_ABSENT: the engine does not start/],
    [
      'of another make, whose instances are not bounded',
      'export default { loadPolicySync: () => ({ wasmInstance: { exports: {} }, entrypoints: {}, setData() {} }) }',
      /^REGO_ENGINE_ABSENT: the library cannot be bounded/,
    ],
  ])('says so where the engine is %s', async (name, text, says) => {
    const library = join(folder, `${name.slice(0, 7)}.mjs`)
    writeFileSync(library, text)
    expect(await codeOf(open(assembleOpaPolicy(trust(good)), {}, { locate: () => library, entry }))).toMatch(says)
  })
})
