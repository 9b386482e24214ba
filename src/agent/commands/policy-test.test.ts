import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { runAttestd } from '../../../test/support/run-command.ts'
import { haveVectors, vectorJson, vectorsFolder } from '../../../test/support/vectors.ts'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-test-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const policy = (...args: readonly string[]) => runInProcess(policyCommand, ...args)

const testFile = (...tests: readonly unknown[]) => JSON.stringify({ format: 'attestd-policy-tests/1', tests })
const runTests = (tests: readonly unknown[], ...options: readonly string[]) =>
  policy('test', file('some.policytest.json', testFile(...tests)), ...options)

const text = [
  'version=1.2;',
  'authorizationrules { c:[type=="n", issuer=="AttestationService"] => add(type="m", value=c.value); => permit(); };',
  'issuancerules { d:[type=="m"] => issue(type="n", value=d.value); => issueproperty(type="report_validity_in_minutes", value=5); };',
].join('\n')
const added = (type: string, value: unknown) => ({ type, value, issuer: 'AttestationPolicy' })
const run = (changes: object = {}) => ({
  claims: [{ type: 'n', value: 3, issuer: 'AttestationService' }],
  expect: {
    verdict: 'permit',
    token: { n: 3 },
    properties: { report_validity_in_minutes: 5 },
    added: [added('m', 3), added('n', 3), added('report_validity_in_minutes', 5)],
    firedLines: [2, 2, 3, 3],
    ...changes,
  },
})
const good = { name: 'good', policyText: text, runs: [run()] }

describe.skipIf(!haveVectors)('the recorded cases', () => {
  const path = join(vectorsFolder, 'policy/cases.json')

  it('all pass, through the program', async () => {
    const { code, out } = await runAttestd(['policy', 'test', path])
    expect([code, out.split('\n').at(-2)]).toEqual([0, '190 tests, 255 runs: all passed'])
  })

  it('each fail if one expectation of it is changed', async () => {
    const { tests } = vectorJson('policy/cases.json')
    const changed = tests
      .filter((test: { policy?: string }) => test.policy === undefined)
      .map((test: { expect: { load: { status: string; id?: string } }; runs?: { expect: { verdict: string } }[] }) => {
        const [first, ...others] = test.runs ?? []
        if (first === undefined) {
          const status = test.expect.load.status === 'ok' ? 'rejected' : 'ok'
          return { ...test, expect: { ...test.expect, load: { ...test.expect.load, status } } }
        }
        const verdict = first.expect.verdict === 'permit' ? 'deny' : 'permit'
        return { ...test, runs: [{ ...first, expect: { ...first.expect, verdict } }, ...others] }
      })
    const { out } = await runTests(changed, '--json')
    expect(JSON.parse(out)).toMatchObject({ passed: 0, failed: changed.length })
    expect(changed.length).toBeGreaterThan(100)
  })
})

describe('what a test expects (POL-830)', () => {
  it('passes where it is so', async () => {
    const { out, error } = await runTests([good])
    expect([error, out]).toEqual([null, 'ok      good (1 run)\n1 test, 1 run: all passed\n'])
  })

  it.each<[string, object]>([
    ['verdict', { verdict: 'deny' }],
    ['verdict', { verdict: 'error', error: { id: 'POL-410' } }],
    ['reason', { reason: 'no-permit' }],
    ['error.id', { error: { id: ['POL-410', 'POL-412'] } }],
    ['error.line', { error: { id: 'POL-410', line: 3 } }],
    ['token', { token: {} }],
    ['token', { token: { n: '3' } }],
    ['token', { token: { n: [3] } }],
    ['token', { token: { n: 3, m: 3 } }],
    ['properties', { properties: {} }],
    ['added', { added: [] }],
    ['added', { added: [added('m', '3'), added('n', 3), added('report_validity_in_minutes', 5)] }],
    ['firedLines', { firedLines: [2, 3] }],
  ])('fails by %s of %j', async (what, changes) => {
    const { out, error } = await runTests([{ ...good, runs: [run(), { ...run(changes), note: 'why' }] }], '--json')
    expect(error).toMatchObject({ code: 'POLICY_TESTS_FAILED', exitCode: 1 })
    const [{ problems }] = JSON.parse(out).tests
    expect(problems.map((each: { what: string }) => each.what)).toContain(what)
    expect(problems[0]).toMatchObject({ run: 2, note: 'why' })
  })

  it.each<[string, object]>([
    ['load.status', { load: { status: 'rejected', id: 'POL-206' } }],
    ['policyHash', { policyHash: 'E95Y_r0pFtvJNT3sQgH76Kae5PHCIW0NQxT-E-a1TQA' }],
    ['lints.must', { lints: { must: [{ id: 'L13', line: 1, column: 1 }] } }],
    ['lints.mustNot', { lints: { mustNot: ['L13'] } }],
    ['lints.mustNot', { lints: { mustNot: ['*'] } }],
  ])('fails by %s of the policy', async (what, expected) => {
    const { out } = await runTests([{ name: 'a', policyText: text, expect: expected }], '--json')
    const [{ problems }] = JSON.parse(out).tests
    expect(problems).toContainEqual(expect.objectContaining({ what, run: null }))
  })

  it.each<[string, object]>([
    ['load.id', { id: 'POL-205' }],
    ['load.line', { id: 'POL-206', line: 1 }],
    ['load.column', { id: 'POL-206', column: 1 }],
    ['load.found', { id: 'POL-206', found: '==' }],
    ['load.expectedIncludes', { expectedIncludes: "'~'" }],
    ['load.hintIncludes', { hintIncludes: 'no such hint' }],
    ['load.messageIncludes', { messageIncludes: 'no such words' }],
  ])('fails by %s of an error at load', async (what, changes) => {
    const bad = 'version=1.0;\nauthorizationrules { [type="a"] => permit(); };'
    const test = { name: 'a', policyText: bad, expect: { load: { status: 'rejected', ...changes } } }
    const { out } = await runTests([test], '--json')
    expect(JSON.parse(out).tests[0].problems).toMatchObject([{ what }])
    const { error } = await runTests([
      { ...test, expect: { load: { status: 'rejected', id: 'POL-206', line: 2, column: 27 } } },
    ])
    expect(error).toBeNull()
  })

  it('compares integers beyond 2^53 exactly, as numbers and as Strings with their type', async () => {
    const claims = '[{"type":"n","value":"9007199254740993","valueType":"Integer","issuer":"AttestationService"}]'
    const of = (token: string) =>
      `{"format":"attestd-policy-tests/1","tests":[{"name":"a","policyText":${JSON.stringify(text)},"runs":[{"claims":${claims},"expect":{"verdict":"permit","token":{"n":${token}},"added":[{"type":"m","value":"9007199254740993","valueType":"Integer","issuer":"AttestationPolicy"},{"type":"n","value":9007199254740993,"issuer":"AttestationPolicy"},{"type":"report_validity_in_minutes","value":5,"issuer":"AttestationPolicy"}]}}]}]}`
    expect((await policy('test', file('exact.json', of('9007199254740993')))).error).toBeNull()
    expect((await policy('test', file('inexact.json', of('9007199254740992')))).error?.code).toBe('POLICY_TESTS_FAILED')
  })

  it('takes policies beside the file, in base64, generated, and shipped', async () => {
    file('beside.policy', text)
    const tests = [
      { name: 'beside', policy: 'beside.policy' },
      { name: 'bytes', policyBase64: Buffer.from(text).toString('base64') },
      {
        name: 'generated',
        generate: { prefix: text, unit: '\n// x', count: 20_000, suffix: '' },
        expect: { load: { status: 'rejected', id: 'POL-601' } },
      },
      {
        name: 'shipped',
        shippedPolicy: 'attestd-deny-all-v1',
        runs: [{ expect: { verdict: 'deny', reason: 'deny-rule' } }],
      },
      {
        name: 'lenient',
        policyText: text.replace('permit', 'Permit'),
        mode: 'lenient',
        expect: { lints: { must: [{ id: 'L18' }] } },
      },
    ]
    expect((await runTests(tests)).error).toBeNull()
    const { out } = await runTests(
      [{ name: 'other', policy: 'beside.policy', shippedPolicy: 'attestd-deny-all-v1' }],
      '--json',
    )
    expect(JSON.parse(out).tests[0].problems).toMatchObject([{ what: 'shippedPolicy' }])
  })
})

describe('a file that means nothing is refused, and not taken for a good one', () => {
  it.each<[string, unknown, string]>([
    ['another format', { format: 'attestd-policy-tests/2', tests: [good] }, 'format'],
    ['no test', { format: 'attestd-policy-tests/1', tests: [] }, 'tests'],
    ['a test without policy', JSON.parse(testFile({ name: 'a' })), 'tests[0]'],
    ['a test with two', JSON.parse(testFile({ ...good, policy: 'a' })), 'tests[0]'],
    ['a misspelt expectation', JSON.parse(testFile({ ...good, runs: [run({ tokn: {} })] })), 'tests[0].runs[0].expect'],
    ['a misspelt member of a test', JSON.parse(testFile({ ...good, run: [] })), 'tests[0]'],
    [
      'a run that expects nothing',
      JSON.parse(testFile({ ...good, runs: [{ claims: [] }] })),
      'tests[0].runs[0].expect',
    ],
    [
      'a claim with a misspelt member',
      JSON.parse(testFile({ ...good, runs: [{ ...run(), claims: [{ typ: 'a' }] }] })),
      'test "good": claims[0]',
    ],
    ['a path that is not relative', JSON.parse(testFile({ name: 'a', policy: '/etc/passwd' })), 'test "a": policy'],
    ['standard input for a policy', JSON.parse(testFile({ name: 'a', policy: '-' })), 'test "a": policy'],
    [
      'a text of terabytes',
      JSON.parse(testFile({ name: 'a', generate: { prefix: '', unit: 'xx', count: 1e12, suffix: '' } })),
      'tests[0].generate',
    ],
    [
      'a negative count',
      JSON.parse(testFile({ name: 'a', generate: { prefix: '', unit: 'xx', count: -1, suffix: '' } })),
      'tests[0].generate.count',
    ],
  ])('%s', async (_, document, place) => {
    const { error } = await policy('test', file('refused.json', JSON.stringify(document)))
    expect(error).toMatchObject({ code: 'MALFORMED', message: expect.stringContaining(place) })
  })

  it('an unknown shipped policy, and a policy that is not there', async () => {
    expect((await runTests([{ name: 'a', shippedPolicy: 'attestd-permit-all-v1' }])).error?.code).toBe('MALFORMED')
    expect((await runTests([{ name: 'a', policy: 'absent.policy' }])).error?.code).toBe('INPUT_UNREADABLE')
  })

  it('a token that expects `__proto__` is not taken for one that expects nothing', async () => {
    const document = testFile({ ...good, runs: [run({ token: { n: 3, mark: 1 } })] }).replace('"mark"', '"__proto__"')
    expect((await policy('test', file('proto.json', document))).error?.code).toBe('POLICY_TESTS_FAILED')
  })
})

describe('results', () => {
  const failing = { name: 'bad # one\u001b[2J', policyText: text, runs: [run({ verdict: 'deny' })] }

  it('are shown to people with what was expected and found', async () => {
    const { out, error } = await runTests([good, failing])
    expect(out).toContain('run 1: verdict\n            expected  deny\n            found     permit, line 2\n')
    expect(out).toMatch(/2 tests, 2 runs: 1 failed\n$/)
    expect(out).not.toContain('\u001b')
    expect(error?.message).toContain('1 of 2: bad # one')
  })

  it('are TAP 14 with --tap', async () => {
    const { out } = await runTests([good, failing], '--tap')
    const lines = out.trimEnd().split('\n')
    expect(lines.slice(0, 4)).toEqual(['TAP version 14', '1..2', 'ok 1 - good', 'not ok 2 - bad \\# one\\\\x1b[2J'])
    expect([lines[4], lines.at(-1)]).toEqual(['  ---', '  ...'])
    expect(lines.slice(5, -1).every((line) => line.startsWith('  '))).toBe(true)
  })

  it.each<[number, string[], string]>([
    [0, ['-'], testFile(good)],
    [1, ['-', '--tap'], testFile(failing)],
    [2, ['-'], '{}'],
    [2, ['-', '--tap', '--json'], testFile(good)],
    [2, [], ''],
  ])('end with %i for %j', async (code, args, input) => {
    expect((await runAttestd(['policy', 'test', ...args], { input })).code).toBe(code)
  })
})
