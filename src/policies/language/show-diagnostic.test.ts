import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'
import { parsePolicy } from './parse-policy.ts'
import { azureParsingError, diagnosticExcerpt, showDiagnostic } from './show-diagnostic.ts'

function firstOf(source: string | Uint8Array): PolicyDiagnostic {
  const [first] = parsePolicy(source).diagnostics ?? []
  if (first === undefined) throw new TypeError('the policy loads')
  return first
}

const ruleText = (rule: string) => `version=1.2;\nauthorizationrules {\n${rule}\n};\n`

describe.skipIf(!haveVectors)('the recorded renderings (POL-801, POL-802, POL-803)', () => {
  const renderings = haveVectors ? vectorJson('policy/diagnostics.json').cases : []

  it.each(renderings as { case: string; diagnostic: object; excerpt: string; caret: string; compatMessage: string }[])(
    '$case',
    ({ case: name, diagnostic, excerpt, caret, compatMessage }) => {
      const found = policyCases().find((each) => each.name === name)
      if (found === undefined) throw new TypeError(`no case ${name}`)
      const source = policyBytes(found)
      const first = firstOf(source)
      expect(first).toMatchObject(diagnostic)
      expect(showDiagnostic(first, source, 'a.policy').split('\n').slice(1, 3)).toEqual([excerpt, caret])
      expect(azureParsingError(first)).toEqual({ code: 'PolicyParsingError', message: compatMessage })
    },
  )
})

describe('a diagnostic for people (POL-802)', () => {
  it('has place, message, line, caret and hint', () => {
    const source = ruleText('  [type=="a", value=="b"] \u2192 permit();')
    expect(showDiagnostic(firstOf(source), source, 'site.policy').split('\n')).toEqual([
      'site.policy:3:27: error POL-104: U+2192 RIGHTWARDS ARROW has no place here',
      '  [type=="a", value=="b"] \u2192 permit();',
      `${' '.repeat(26)}^`,
      'hint: type =>',
    ])
  })

  it('keeps TABs before the caret, so that it stands under the place', () => {
    const source = ruleText('\t\t[type="a"] => permit();')
    expect(showDiagnostic(firstOf(source), source, 'p').split('\n')[2]).toBe('\t\t     ^')
  })

  it('says where bytes are no UTF-8', () => {
    const source = new Uint8Array([...new TextEncoder().encode(ruleText('[type=="\u6f22')), 0xc3, 0x28])
    const broken = new Uint8Array([...new TextEncoder().encode('version=1.2;\r\n// \u6f22'), 0xe6, 0xbc, 0x0a])
    expect(firstOf(source)).toMatchObject({ id: 'POL-101', line: 5, column: 1, found: '0xC3' })
    expect(firstOf(broken)).toMatchObject({ id: 'POL-101', line: 2, column: 5, found: '0xE6' })
    expect(showDiagnostic(firstOf(broken), broken, 'p').split('\n')[1]).toBe('// \u6f22\ufffd')
  })

  it('shows a line in the middle of CR, CR LF and LF', () => {
    const source = '\ufeffversion=1.2;\r// one\r\n// two\nauthorizationrules [\r};'
    expect(firstOf(source)).toMatchObject({ id: 'POL-203', line: 4, column: 20 })
    expect(diagnosticExcerpt(source, { line: 4, column: 20 })).toEqual({
      excerpt: 'authorizationrules [',
      caret: `${' '.repeat(19)}^`,
    })
  })

  it('points at the end of the text', () => {
    expect(diagnosticExcerpt('version=1.2;\n', { line: 2, column: 1 })).toEqual({ excerpt: '', caret: '^' })
  })

  it('cuts a very long line around the place', () => {
    for (const [before, after] of [
      [0, 60_000],
      [30_000, 30_000],
      [60_000, 0],
      [150, 40],
    ] as const) {
      const source = `${'\u{1f600}'.repeat(before)}X${'b'.repeat(after)}`
      const { excerpt, caret } = diagnosticExcerpt(source, { line: 1, column: before + 1 })
      expect(Array.from(excerpt)[Array.from(caret).length - 1]).toBe('X')
      const shown = Array.from(excerpt).length
      expect(shown).toBeGreaterThanOrEqual(Math.min(200, before + after + 1))
      expect(shown).toBeLessThanOrEqual(202)
      expect(excerpt.startsWith('…')).toBe(before > 150)
    }
  })

  it('lets no control character of text, file name or message reach the terminal', () => {
    const source = ruleText('  [type=="a\u001b[2J\u0007"] => permit(); // \u202e \u009b')
    const shown = showDiagnostic(firstOf(source), source, 'a\nb\u001b')
    expect(shown.split('\n')[0]).toBe('aU+000AbU+001B:3:12: error POL-107: U+001B (control character) in a string')
    expect(shown.split('\n')[1]).toBe('  [type=="aU+001B[2JU+0007"] => permit(); // U+202E U+009B')
    fc.assert(
      fc.property(fc.string({ unit: 'binary' }), (text) => {
        const policy = ruleText(text)
        for (const diagnostic of parsePolicy(policy).diagnostics?.slice(0, 3) ?? []) {
          expect(showDiagnostic(diagnostic, policy, text)).not.toMatch(/[\p{Cs}\p{Cf}]|(?![\n\t])\p{Cc}/u)
          expect(azureParsingError(diagnostic).message).not.toMatch(/[\p{Cc}\p{Cs}\p{Cf}]/u)
        }
      }),
    )
  })
})

describe('a diagnostic for clients of Azure (POL-803)', () => {
  it('names the version as they know it', () => {
    expect(azureParsingError(firstOf('version=1.1\n[] => permit();')).message).toBe(
      "Policy Parser Exception Thrown: Offending symbol: '[' Line: '2', Column: '1' Failure message: 'mismatched input '[' expecting ';'' Failing rule: 'policy > versionInfo'",
    )
  })

  it.each([
    ['  => permit(type="a");', "Failure message: 'mismatched input 'type' expecting ')''"],
    ['  [type="a"] => permit();', "expecting {'==', '!=', '<=', '<', '>=', '>'}'"],
    ['  ![type=="a"] => issueproperty(type="a", value=1);', "'issueproperty is not allowed in authorizationrules'"],
    ['  => permit(', "mismatched input '}' expecting ')'"],
  ])('%s', (rule, part) => {
    const { message } = azureParsingError(firstOf(ruleText(rule)))
    expect(message).toMatch(
      /^Policy Parser Exception Thrown: Offending symbol: '.*' Line: '\d+', Column: '\d+' Failure message: '.*' Failing rule: '[a-zA-Z >]+'$/u,
    )
    expect(message).toContain(part)
  })
})
