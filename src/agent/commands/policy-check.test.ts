import { spawnSync } from 'node:child_process'
import { closeSync, mkdtempSync, openSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { builtProgram } from '../../../test/support/built-program.ts'
import { type PolicyCase, policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { runAttestd } from '../../../test/support/run-command.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { defaultPolicies } from '../../policies/index.ts'
import { mostFindings } from '../../policies/lint/gather-findings.ts'
import { policyCommand } from './policy.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-policy-check-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const file = (name: string, content: string | Uint8Array) => {
  const path = join(folder, name)
  writeFileSync(path, content)
  return path
}
const policy = (...args: readonly string[]) => runInProcess(policyCommand, ...args)

const good = defaultPolicies[0]?.text ?? ''
const broken =
  'version=1.0;\nauthorizationrules {\n  [type=="a", value="b"] => permitt();\n  [type=="a"] => permit()\n};\n'
const warned = 'version=1.0;\nauthorizationrules { => permit(); };\n'
const erring =
  'version=1.0;\nauthorizationrules { => permit(); };\nissuancerules { => issue(type="iss", value="x"); };\n'

describe('attestd policy check', () => {
  it('of a good policy names its hash', async () => {
    const { out, error } = await policy('check', '--kinds', 'tdx', file('good.policy', good))
    expect([error, out]).toEqual([
      null,
      expect.stringMatching(/: loads: version 1\.2, 9 rules, nothing doubtful; policy hash \S{43}\n$/),
    ])
  })

  it('shows several errors, each with its line, a caret and a hint (POL-802)', async () => {
    const path = file('broken.policy', broken)
    const { out, error } = await policy('check', path)
    expect(error).toMatchObject({ code: 'POLICY_INVALID', exitCode: 1 })
    expect(out).toContain(`${path}:3:20: error POL-206: `)
    expect(out).toContain('\n                   ^\nhint: ')
    expect(out.match(/: error POL-/g)?.length).toBeGreaterThan(1)
    expect(out).toContain('does not load: ')
  })

  it('says that more errors than it shows may be there (POL-804)', async () => {
    const many = (count: number) =>
      `version=1.2;\nauthorizationrules\n{\n${'[type="a"] => permit();\n'.repeat(count)}};\n`
    expect((await policy('check', file('many.policy', many(64)))).out).toContain('does not load: the first 64 errors\n')
    expect((await policy('check', file('some.policy', many(63)))).out).toContain('does not load: 63 errors\n')
  })

  it('passes warnings, refuses them with --strict, and always refuses lints of severity error', async () => {
    expect((await policy('check', file('w.policy', warned))).error).toBeNull()
    expect((await policy('check', '--strict', file('w.policy', warned))).error?.message).toContain('L13')
    expect((await policy('check', file('e.policy', erring))).error?.message).toMatch(/L16$|L16, and/)
    expect(
      (await policy('check', file('m.policy', erring.replace('"iss"', '"tee"')), '--profile', 'maa')).error,
    ).toBeNull()
    expect((await policy('check', file('m.policy', erring.replace('"iss"', '"tee"')))).error?.message).toContain('L16')
  })

  it('takes kinds of evidence (L20) and the wrong case (L18)', async () => {
    const path = file('good.policy', good)
    expect((await policy('check', '--strict', '--kinds', 'tpm,ima', path)).error?.message).toContain('L20')
    const shouted = file('shouted.policy', good.replace('permit()', 'Permit()'))
    expect((await policy('check', shouted)).error?.message).toContain('POL-110')
    expect((await policy('check', '--lenient', shouted)).out).toContain('warning L18')
  })

  it('prints diagnostics as objects (POL-801)', async () => {
    const { out } = await policy('check', '--json', file('broken.policy', broken), file('w.policy', warned))
    const { files } = JSON.parse(out)
    expect(files[0]).toMatchObject({
      loads: false,
      diagnostics: [{ id: 'POL-206', severity: 'error', line: 3, column: 20 }, {}],
    })
    expect(files[1]).toMatchObject({ loads: true, diagnostics: [{ id: 'L13', severity: 'warning' }] })
    const members = ['id', 'severity', 'message', 'line', 'column', 'length', 'found', 'expected', 'path', 'hint']
    expect(members).toEqual(expect.arrayContaining(Object.keys(files[0].diagnostics[0])))
  })

  it('lint names chosen lints only, and an error at load in any case', async () => {
    const path = file('e.policy', erring)
    expect((await policy('lint', '--only', 'L13', path)).error).toBeNull()
    expect((await policy('lint', '--only', 'L13,L16', path)).error?.message).toContain('L16')
    expect((await policy('lint', '--only', 'L13', file('b.policy', broken))).error?.message).toContain('POL-206')
    expect((await policy('lint', '--only', 'L02,L05', path)).out).toContain(', nothing of L02, L05; policy hash')
  })

  it('lint says that it stopped, whatever lints were chosen: an error behind the limit is not missed (L25)', async () => {
    const rule = `[${'value==1, '.repeat(11)}value==1] ${'&& [] '.repeat(15)}=> permit();\n`
    const flood = file('flood.policy', erring.replace('{', `{${rule.repeat(mostFindings / 16)}`))
    expect(await policy('lint', '--only', 'L16', flood)).toMatchObject({
      error: { code: 'POLICY_INVALID', message: `${flood}:1:1: L25` },
      out: expect.stringMatching(/, 1 error; policy hash/),
    })
  })

  it('obeys nothing that a hostile text says to the terminal', async () => {
    const { out } = await policy(
      'check',
      file('h.policy', `version=1.0;\n\u001b[2J\u009b31m authorizationrules\u202e {};`),
    )
    expect(out).toMatch(/POL-104/)
    expect(out).not.toMatch(/[\u001b\u009b\u202e]/)
  })
})

describe('SARIF 2.1.0', () => {
  const sarif = async (...args: readonly string[]) => JSON.parse((await policy('check', '--sarif', ...args)).out)

  it('has a rule for every result, and regions in code points', async () => {
    const text = 'version=1.0;\r\nauthorizationrules {\r\n[value=="😀", valu=="a"] => permit();\r\n};'
    const log = await sarif(file('region.policy', text))
    const [run] = log.runs
    expect([log.version, run.columnKind, run.tool.driver.name]).toEqual([
      '2.1.0',
      'unicodeCodePoints',
      'attestd policy',
    ])
    const [first] = run.results
    expect(run.tool.driver.rules[first.ruleIndex]).toMatchObject({
      id: 'POL-207',
      shortDescription: { text: expect.any(String) },
    })
    expect(first).toMatchObject({ ruleId: 'POL-207', level: 'error' })
    expect(first.locations[0].physicalLocation.region).toEqual({
      startLine: 3,
      startColumn: 14,
      endLine: 3,
      endColumn: 18,
    })
  })

  it('of a rule over several lines ends behind its last character', async () => {
    const twice = '[type=="a",\r\n issuer=="CustomClaim"] => permit();'
    const log = await sarif(file('twice.policy', `version=1.0;\nauthorizationrules {\n${twice}\n${twice}\n};`))
    const found = log.runs[0].results.find(({ ruleId }: { ruleId: string }) => ruleId === 'L19')
    expect(found.locations[0].physicalLocation.region).toEqual({
      startLine: 5,
      startColumn: 1,
      endLine: 6,
      endColumn: 37,
    })
  })

  it('escapes what would be a placeholder in a message', async () => {
    const log = await sarif(file('brace.policy', 'version=1.0;\nauthorizationrules => permit(); };'))
    const [{ message }] = log.runs[0].results
    expect(message.text).toContain("'{{'")
    expect(message.text.replaceAll('{{', '').replaceAll('}}', '')).not.toMatch(/[{}]/)
  })

  it('names files by URI references, and standard input by a description', async () => {
    const path = file('a b%:#é.policy', warned)
    const log = await sarif(path)
    expect(log.runs[0].artifacts[0].location.uri).toMatch(/^file:\/\/\/.*a%20b%25:%23%C3%A9\.policy$/)
    const { out } = await runAttestd(['policy', 'check', '--sarif', '-'], { input: warned })
    const location = { description: { text: 'standard input' } }
    expect(JSON.parse(out).runs[0].artifacts).toEqual([{ location }])
  })
})

describe.skipIf(!haveVectors)('the recorded policies', () => {
  const cases: readonly PolicyCase[] = haveVectors ? policyCases() : []

  it('have regions inside of their text, with an end that is not before the start', async () => {
    const files = cases.map((each, at) => file(`case-${at}.policy`, policyBytes(each)))
    const log = JSON.parse((await policy('check', '--sarif', ...files)).out)
    expect(log.runs[0].results.length).toBeGreaterThan(150)
    for (const { ruleId, ruleIndex, locations } of log.runs[0].results) {
      const { startLine, startColumn, endLine, endColumn } = locations[0].physicalLocation.region
      expect([log.runs[0].tool.driver.rules[ruleIndex].id, startLine >= 1, startColumn >= 1]).toEqual([
        ruleId,
        true,
        true,
      ])
      expect(endLine > startLine || endColumn >= startColumn).toBe(true)
    }
  })
})

describe('exit codes of the program (POL-804)', () => {
  it('has one form for what cannot be understood, also as JSON', async () => {
    const { code, out, err } = await runAttestd(['policy', 'check', '--json'])
    expect([code, out]).toEqual([2, ''])
    expect(JSON.parse(err).error).toMatchObject({
      code: 'USAGE',
      remedy: 'attestd policy check --help shows what it takes',
    })
    expect((await runAttestd(['policy', 'chekc'])).err).toMatch(
      /^error USAGE: unknown command 'chekc'\n {2}\(Did you mean check\?\)\n {2}remedy: /,
    )
  })

  it('is no success, and no bug, where standard output is full', async () => {
    const program = await builtProgram()
    const full = openSync('/dev/full', 'w')
    const stdio = ['ignore', full, 'pipe'] as const
    const { status, stderr } = spawnSync(process.execPath, [program, 'policy', 'new', '--kind', 'tdx'], {
      stdio: [...stdio],
    })
    closeSync(full)
    expect([status, String(stderr)]).toEqual([
      2,
      expect.stringMatching(/^error OUTPUT_UNWRITABLE: standard output: ENOSPC\n/),
    ])
  })

  it.each<[number, string[], string]>([
    [0, ['check', '-'], warned],
    [1, ['check', '--strict', '-'], warned],
    [1, ['check', '-'], erring],
    [1, ['check', '-'], broken],
    [1, ['check', '-'], ''],
    [2, ['check', '--sarif', '--json', '-'], good],
    [2, ['check', '--kinds', 'sev', '-'], good],
    [2, ['lint', '--only', 'L99', '-'], good],
    [2, ['check', folder], ''],
  ])('%i for %j', async (code, args, input) => {
    expect((await runAttestd(['policy', ...args], { input })).code).toBe(code)
  })
})
