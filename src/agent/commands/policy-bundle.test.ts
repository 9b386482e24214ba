import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, relative } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { assembleOpaPolicy, type Piece, type PolicyForm } from '../../../test/support/opa-policies.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { packBundle, packTar, sha256Of } from '../../../test/support/rego-bundles.ts'
import { runAttestd } from '../../../test/support/run-command.ts'
import { haveVectors, vectorsFolder } from '../../../test/support/vectors.ts'
import { op } from '../../../test/support/wasm-assembler.ts'
import { parseQuote } from '../../evidence/tdx/quote.ts'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-bundle-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const json = (name: string, value: unknown) => file(name, JSON.stringify(value))

/** In this process, for what needs no engine. */
const policy = (...args: readonly string[]) => runInProcess(policyCommand, ...args)
/** The built program, which has the thread that evaluates. */
const attestd = (...args: readonly string[]) => runAttestd(['policy', ...args])

/** Trusts hardware as far as the input, or a reference value, says. */
const trusting = (hardware: Piece, level: Piece = { inputAfter: '"level":"' }): PolicyForm => ({
  entrypoints: {
    'policy/trust_claims': ['[{"result":{"executables":2,"configuration":2,"hardware":', hardware, '}}]'],
    'policy/extensions': ['[{"result":[{"name":"level","key":1,"value":"', level, '"}]}]'],
  },
})
const wasm = assembleOpaPolicy(trusting({ inputAfter: '"hardware":"' }))
const manifest = '{"revision":"r7","wasm":[{"entrypoint":"policy/trust_claims","module":"/policy.wasm"}]}'
const bundle = packBundle(wasm, [{ name: '/.manifest', content: manifest }])
const path = file('bundle.tar.gz', bundle)
const referring = file(
  'referring.wasm',
  assembleOpaPolicy(trusting({ builtIn: 'query_reference_value', values: ['"hw"'] })),
)
const lacking = file('lacking.wasm', assembleOpaPolicy({ ...trusting('2'), builtIns: ['http.send'] }))
const text = file('site.policy', 'version=1.2;\nauthorizationrules { [type=="a"] => permit(); };\n')
const good = json('good.json', { hardware: '2', level: 'high' })
const bad = json('bad.json', { hardware: '97', level: 'high' })

describe('attestd policy check of a Rego bundle', () => {
  it('opens it as an agent does, beside texts', async () => {
    const { code, out } = await attestd('check', path, text)
    const asked = 'asked for policy/trust_claims, policy/extensions'
    expect(out).toContain(`${path}: loads: Rego bundle, ABI 1.3, ${asked}, sha256 ${sha256Of(bundle)}\n`)
    expect([code, out]).toEqual([0, expect.stringContaining(`${text}: loads: version 1.2`)])
  })

  it.each<[string, string, RegExp]>([
    [
      'a function that nobody gets',
      lacking,
      /^refused REGO_FUNCTION_ABSENT: the policy needs http\.send\n {2}remedy: /,
    ],
    ['no module', file('empty.tar.gz', packBundle(wasm).subarray(0, 40)), /^refused REGO_BUNDLE_UNREADABLE: /],
    [
      'no entrypoint of ours',
      file('other.wasm', assembleOpaPolicy({ entrypoints: { 'policy/other': ['[]'] } })),
      /^refused REGO_ENTRYPOINT_MISSING: /,
    ],
    [
      'an end that never comes',
      file('loop.wasm', assembleOpaPolicy({ ...trusting('2'), start: op.loop(op.branch(0)) })),
      /^refused REGO_BUNDLE_UNREADABLE: .*longer than 3000 ms/,
    ],
  ])('says why one with %s does not load, and ends with 1 (POL-804)', async (_what, bundled, says) => {
    const { code, out, err } = await attestd('check', bundled)
    expect([code, out]).toEqual([1, expect.stringMatching(says)])
    expect([out, err]).toEqual([
      expect.stringContaining(`${bundled}: does not load: `),
      expect.stringContaining('POLICY_INVALID'),
    ])
  })

  it('prints what it found as JSON, and no SARIF: nothing in it has a line', async () => {
    const { out } = await attestd('check', '--json', path, lacking)
    expect(JSON.parse(out).files).toMatchObject([
      { file: path, engine: 'rego-wasm', loads: true, sha256: sha256Of(bundle), revision: 'r7', problems: [] },
      { file: lacking, loads: false, problems: [{ code: 'REGO_FUNCTION_ABSENT' }] },
    ])
    expect((await policy('check', '--sarif', path)).error).toMatchObject({ code: 'USAGE' })
  })
})

describe('attestd policy hash and inspect of a Rego bundle', () => {
  it('hash prints the name by which tokens and configurations know it (POL-711)', async () => {
    const { out } = await policy('hash', path)
    expect(out).toBe(`${path}\n  sha256                  ${sha256Of(bundle)}\n`)
    const [hashes] = JSON.parse((await policy('hash', '--json', path)).out)
    expect(hashes).toEqual({ file: path, sha256: sha256Of(bundle), policy_hash: null, policy_token_hash: null })
  })

  it('inspect shows what is in it, and runs nothing of it', async () => {
    const { out, error } = await policy('inspect', path)
    expect(error).toBeNull()
    expect(out).toContain(`sha256       ${sha256Of(bundle)}\n  module       ABI 1.3, ${wasm.length} bytes\n`)
    expect(out).toContain('memory       5 to 2048 pages of 64 KiB\n  revision     r7\n')
    const start = assembleOpaPolicy({ ...trusting('2'), start: op.loop(op.branch(0)) })
    expect((await policy('inspect', file('start.wasm', start))).error).toBeNull()
  })

  it('inspect says what is wrong, with nothing that a terminal would obey', async () => {
    const evil = new Uint8Array(
      await (await import('node:util')).promisify((await import('node:zlib')).gzip)(
        packTar([{ name: '/\u001b[2Jevil', content: 'x' }]),
      ),
    )
    const { out, error } = await policy('inspect', file('evil.tar.gz', evil))
    expect(error).toMatchObject({ code: 'POLICY_REFUSED', exitCode: 1 })
    expect(out).toMatch(/^refused REGO_BUNDLE_UNREADABLE: the bundle has the file .*evil/m)
    expect(out).not.toContain('\u001b')
    expect((await policy('inspect', path, '--signer', 'a.pem')).error).toMatchObject({ code: 'USAGE' })
  })
})

describe('attestd policy explain of a Rego bundle', () => {
  it('shows verdict, trust vector and claims for the token (POL-964)', async () => {
    const { code, out } = await attestd('explain', path, '--input', good)
    expect([code, out]).toEqual([
      0,
      [
        `${path}: PERMIT`,
        'trust vector:',
        '    executables           2  affirming, required',
        '    configuration         2  affirming, required',
        '    hardware              2  affirming, required',
        'claims for the token:',
        '    level  "high"',
        'asked for policy/trust_claims, policy/extensions; rules inside are explained by `opa eval --explain` on the source\n',
      ].join('\n'),
    ])
  })

  it('shows what stands against it, and what is missing', async () => {
    const { out } = await attestd('explain', path, '--input', bad, '--rego-require', 'hardware,file-system')
    expect(out).toContain('DENY: deny-rule\n')
    expect(out).toContain(
      '    hardware             97  contraindicated, required\n    file-system           –  absent, required\n',
    )
    const { out: document } = await attestd('explain', path, '--input', bad, '--json')
    expect(JSON.parse(document)).toMatchObject({ verdict: 'deny', reason: 'deny-rule', required: { length: 3 } })
  })

  it('gives it the reference values of a file (POL-963)', async () => {
    const references = (hw: unknown) => ['--rego-references', json('references.json', { hw })]
    expect((await attestd('explain', referring, '--input', good, ...references(2))).out).toContain('PERMIT')
    expect((await attestd('explain', referring, '--input', good, ...references(97))).out).toContain('DENY: deny-rule')
    expect((await attestd('explain', referring, '--input', good)).out).toContain('DENY: error: POL-964')
  })

  it.each<[string, readonly string[]]>([
    ['claims', [path, '--claims', good]],
    ['nothing', [path]],
    ['evidence and an input', [path, '--evidence', good, '--input', good]],
    ['custom claims', [path, '--input', good, '--custom-claims', good]],
    ['an input, and a text', [text, '--input', good]],
  ])('takes no %s', async (_what, args) => {
    expect((await policy('explain', ...args)).error).toMatchObject({ code: 'USAGE' })
  })
})

describe('attestd policy test of a Rego bundle (POL-830)', () => {
  const beside = 'bundle.tar.gz'
  const run = (input: object, expected: object) => ({ input, expect: expected })
  const runTests = async (...tests: readonly object[]) => {
    const { code, out, err } = await attestd(
      'test',
      json('a.policytest.json', { format: 'attestd-policy-tests/1', tests }),
    )
    return { code, out, err }
  }

  it('passes where the bundle answers as expected', async () => {
    const added = (type: string, value: unknown) => ({ type, value, issuer: 'AttestationPolicy' })
    const permit = {
      ...{ verdict: 'permit', token: { level: 'high' }, properties: {} },
      added: [
        ...['executables', 'configuration', 'hardware'].map((name) => added(`trust_claims.${name}`, 2)),
        added('level', 'high'),
      ],
    }
    const { code, out } = await runTests(
      {
        ...{ name: 'levels', policy: beside },
        runs: [
          run({ hardware: '2', level: 'high' }, permit),
          run({ hardware: '97', level: 'x' }, { verdict: 'deny', reason: 'deny-rule' }),
          run({ hardware: '0', level: 'x' }, { verdict: 'deny', reason: 'no-permit' }),
          run({ level: 'x' }, { verdict: 'error', error: { id: 'POL-961' } }),
        ],
      },
      {
        ...{ name: 'references', policy: 'referring.wasm', rego: { require: ['hardware'], references: { hw: 3 } } },
        runs: [run({ level: '' }, { verdict: 'permit' })],
      },
      {
        ...{ name: 'refused', policy: 'lacking.wasm' },
        expect: { load: { status: 'rejected', id: 'REGO_FUNCTION_ABSENT', messageIncludes: 'http.send' } },
      },
    )
    expect([code, out]).toEqual([0, expect.stringContaining('3 tests, 5 runs: all passed')])
  })

  it.each<[string, object]>([
    ['verdict', { policy: beside, runs: [run({ hardware: '97' }, { verdict: 'permit' })] }],
    ['token', { policy: beside, runs: [run({ hardware: '2', level: 'a' }, { verdict: 'permit', token: {} })] }],
    ['load.status', { policy: beside, expect: { load: { status: 'rejected' } } }],
    ['load.status', { policy: 'lacking.wasm' }],
    ['load.id', { policy: 'lacking.wasm', expect: { load: { status: 'rejected', id: 'REGO_SOURCE' } } }],
  ])('fails by %s where it does not', async (what, test) => {
    const { code, out } = await runTests({ name: 'a', ...test })
    expect([code, out]).toEqual([1, expect.stringMatching(new RegExp(`(?:policy|run 1): ${what}\n`))])
  })

  it.each<[string, object]>([
    ['lints', { policy: beside, expect: { lints: { mustNot: ['*'] } } }],
    ['a line', { policy: beside, expect: { load: { status: 'rejected', line: 1 } } }],
    ['claims', { policy: beside, runs: [{ input: {}, claims: [], expect: { verdict: 'permit' } }] }],
    ['nothing to ask about', { policy: beside, runs: [{ expect: { verdict: 'permit' } }] }],
    ['an input for a text', { policy: 'site.policy', runs: [{ input: {}, expect: { verdict: 'permit' } }] }],
    ['references for a text', { policy: 'site.policy', rego: {} }],
  ])('refuses %s, which would mean nothing', async (_what, test) => {
    const { code, err } = await runTests({ name: 'a', ...test })
    expect([code, err]).toEqual([2, expect.stringContaining('MALFORMED')])
  })
})

describe('what works on texts alone', () => {
  it.each([['fmt'], ['lint'], ['diff', text], ['sign', '--unsigned'], ['lint', '--json']])(
    'attestd policy %s says so of a bundle, packed or bare',
    async (...args) => {
      for (const bundled of [path, referring]) {
        const { error, out } = await policy(...args, bundled)
        expect([out, error?.code, error?.message]).toEqual(['', 'POLICY_COMPILED', expect.stringContaining(bundled)])
      }
    },
  )

  it.each(['check', 'fmt', 'inspect', 'hash', 'explain'])(
    'attestd policy %s says how Rego source is compiled',
    async (name) => {
      const source = file('site.rego', '# ours\npackage policy\n\ndefault allow := false\n')
      expect((await policy(name, source)).error).toMatchObject({
        code: 'REGO_SOURCE',
        remedy: expect.stringContaining('opa build -t wasm'),
      })
    },
  )

  it('ends with 2, as for any file that is no policy (POL-804)', async () => {
    expect((await attestd('fmt', path)).code).toBe(2)
  })
})

describe.skipIf(!haveVectors)('a Rego bundle and a recorded quote', () => {
  const recorded = (name: string) => join(vectorsFolder, 'tdx', name)
  const quote = recorded('quotes/dcapqvl-tdx_quote-v4.bin')
  const nonce = haveVectors ? Buffer.from(parseQuote(readFileSync(quote)).body.report.reportData).toString('hex') : ''
  const collateral = recorded('collateral/dcapqvl-tdx-b0c06f-2025-06.json')
  const at = '2025-06-20T00:00:00Z'
  const asked = ['--evidence', quote, '--nonce', nonce, '--at', at, '--collateral', collateral]
  const judging = file('judging.wasm', assembleOpaPolicy(trusting('2', { inputAfter: '"tcb_status":"' })))
  const denying = file('denying.wasm', assembleOpaPolicy(trusting('97')))

  it('are run as an agent would: verdict, token and input document (POL-962)', async () => {
    const { code, out } = await attestd('run', judging, ...asked, '--json')
    const { token, input, trust, sha256, ...others } = JSON.parse(out)
    expect([code, others, token]).toEqual([
      0,
      expect.objectContaining({ verdict: 'permit', engine: 'rego-wasm', kinds: ['tdx'] }),
      { level: input.tdx.tcb_status },
    ])
    expect([trust.length, sha256]).toEqual([3, sha256Of(readFileSync(judging))])
    const { out: shown } = await attestd('run', judging, ...asked, '--show-claims')
    expect(JSON.parse(shown.split('\n')[0] ?? '')).toEqual(input)
  })

  it('end with 1 where it does not permit, and are explained', async () => {
    const { code, out, err } = await attestd('run', denying, ...asked)
    expect([code, out]).toEqual([1, expect.stringContaining('DENY: deny-rule\n')])
    expect(err).toContain('POLICY_DENIED')
    expect((await attestd('explain', denying, ...asked)).out).toContain('97  contraindicated, required')
  })

  it('is asked beside texts, and all must permit (POL-429)', async () => {
    const named = file(
      'named.policy',
      'version=1.0; authorizationrules { => permit(); }; issuancerules { => issue(type="a", value=1); };',
    )
    const { code, out } = await attestd('run', named, judging, ...asked, '--json')
    const { verdict, token, policies } = JSON.parse(out)
    expect([code, verdict, token]).toEqual([0, 'permit', { a: 1, level: expect.any(String) }])
    expect(policies).toMatchObject([
      { policy: named },
      { policy: judging, engine: 'rego-wasm', sha256: sha256Of(readFileSync(judging)) },
    ])
    const { out: permitted } = await attestd('run', named, judging, ...asked)
    expect(permitted).toContain(`${judging}: PERMIT\n`)
    const { code: denied, out: shown } = await attestd('run', named, denying, ...asked)
    expect([denied, shown]).toEqual([1, expect.stringContaining(`together: DENY: ${denying}: deny-rule\n`)])
    expect((await attestd('explain', named, denying, ...asked)).code).toBe(2)
  })

  it('are a test, if the evidence is affirmed (POL-430)', async () => {
    const beside = (name: string) => relative(folder, name)
    const appraise = { nonce, at, collateral: beside(collateral) }
    const test = (name: string, change: object) => ({
      ...{ name, policy: 'judging.wasm' },
      runs: [{ evidence: beside(quote), appraise: { ...appraise, ...change }, expect: { verdict: 'permit' } }],
    })
    const tests = [test('good', {}), test('other', { nonce: '00'.repeat(32) })]
    const { out } = await attestd('test', json('quote.policytest.json', { format: 'attestd-policy-tests/1', tests }))
    expect(out).toMatch(/^ok {6}good \(1 run\)\nFAILED {2}other /)
  })
})
