import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { mutatedPolicyTexts, recordedPolicyTexts } from '../../../test/support/mutated-policies.ts'
import { processorMs } from '../../../test/support/processor-time.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import type { PolicyDiagnostic } from './diagnostic.ts'
import { comparePlaces } from './findings.ts'
import { formatPolicy } from './format-policy.ts'
import { type ParsedPolicy, parsePolicy } from './parse-policy.ts'
import { ruleStructure } from './rule-structure.ts'
import { azureParsingError, showDiagnostic } from './show-diagnostic.ts'

/** How many mutated texts are tried: a million takes some minutes. */
const runs = Number(process.env['ATTESTD_FUZZ_RUNS'] ?? 3000)

function linesOf(text: string): number[] {
  return text
    .replace(/^\ufeff/, '')
    .split(/\r\n|\r|\n/)
    .map((line) => Array.from(line).length)
}

/** What must hold for every text: an answer, places inside the text and in order, one meaning before and after `fmt`. */
function checkAnswer(text: string, parsed: ParsedPolicy): void {
  if (parsed.diagnostics === undefined) checkPolicy(text, parsed.policy)
  else checkDiagnostics(text, parsed.diagnostics)
}

function checkDiagnostics(text: string, diagnostics: readonly PolicyDiagnostic[]): void {
  const lines = linesOf(text)
  let last = { line: 1, column: 1 }
  if (diagnostics.length === 0) throw new TypeError('neither a policy nor a diagnostic')
  for (const diagnostic of diagnostics) {
    const width = lines[diagnostic.line - 1]
    if (width === undefined || diagnostic.column < 1 || diagnostic.column > width + 1) {
      throw new TypeError(`outside of the text: ${diagnostic.line}:${diagnostic.column}`)
    }
    if (comparePlaces(last, diagnostic) > 0)
      throw new TypeError(`out of order: ${diagnostic.line}:${diagnostic.column}`)
    if (diagnostic.severity !== 'error' || diagnostic.found.length > 80)
      throw new TypeError('not an error, or too long')
    last = diagnostic
  }
  const [first] = diagnostics
  if (first)
    expect(showDiagnostic(first, text, 'p').length + azureParsingError(first).message.length).toBeLessThan(4000)
}

function meaningOf(policy: ParsedPolicy['policy']): string {
  const sections = [policy?.configuration, policy?.authorization, policy?.issuance]
  return sections.map((rules) => rules?.map(ruleStructure).join('\n')).join('\n\n')
}

function checkMeaning(formatted: string, policy: ParsedPolicy['policy']): void {
  if (meaningOf(parsePolicy(formatted).policy) !== meaningOf(policy))
    throw new TypeError('formatting changed the meaning')
}

function checkPolicy(text: string, policy: ParsedPolicy['policy']): void {
  const { text: once, diagnostics } = formatPolicy(text)
  if (once === undefined) {
    if (diagnostics[0]?.id !== 'POL-601') throw new TypeError('a policy that loads cannot be formatted')
    return
  }
  checkMeaning(once, policy)
  if (formatPolicy(once).text !== once) throw new TypeError('formatting again changed the text')
}

describe('mutated texts', () => {
  it('are answered, always', { timeout: 7_200_000 }, () => {
    const seen = { policies: 0, slowestMs: 0, memoryMiB: 0 }
    fc.assert(
      fc.property(mutatedPolicyTexts, fc.boolean(), (text, lenient) => {
        const began = processorMs()
        const parsed = parsePolicy(text, { lenient })
        seen.slowestMs = Math.max(seen.slowestMs, processorMs() - began)
        seen.memoryMiB = Math.max(seen.memoryMiB, process.memoryUsage.rss() / 2 ** 20)
        if (parsed.policy) seen.policies++
        if (!lenient) checkAnswer(text, parsed)
      }),
      { numRuns: runs },
    )
    expect(seen.policies).toBeGreaterThan(runs / 50)
    expect(seen.policies).toBeLessThan(runs)
    if (process.env['ATTESTD_FUZZ_RUNS']) console.info(JSON.stringify({ runs, ...seen }))
  })

  it('are answered as bytes too', () => {
    fc.assert(
      fc.property(mutatedPolicyTexts, fc.uint8Array({ maxLength: 3 }), fc.nat(5000), (text, some, place) => {
        const bytes = new TextEncoder().encode(text)
        const at = place % (bytes.length + 1)
        const { policy, diagnostics } = parsePolicy(
          new Uint8Array([...bytes.slice(0, at), ...some, ...bytes.slice(at)]),
        )
        expect(policy !== undefined || (diagnostics?.length ?? 0) > 0).toBe(true)
      }),
      { numRuns: Math.min(runs, 1000) },
    )
  })
})

describe.skipIf(!haveVectors)('one character less', () => {
  it('is an error inside of the text, or a policy whose canonical text says the same', { timeout: 120_000 }, () => {
    for (const text of recordedPolicyTexts) {
      const characters = Array.from(text)
      for (let at = 0; at < characters.length; at++) {
        const less = characters.toSpliced(at, 1).join('')
        const { policy, diagnostics } = parsePolicy(less)
        if (diagnostics !== undefined) checkDiagnostics(less, diagnostics)
        else checkMeaning(formatPolicy(less).text ?? '', policy)
      }
    }
  })
})

/** Texts that an attacker would try; none may take long. The worst known ones took a second before they were bounded. */
describe('texts made to take long', () => {
  const size = 65_000
  const head = 'version=1.2;authorizationrules{'
  const attacks: Record<string, string> = {
    'open strings with curly quotes': `${head}${'"\u201d\\'.repeat(size / 6)}`,
    'wrong characters on one line': head + '#$'.repeat(size / 2),
    'foreign letters apart': head + '\u00e9 '.repeat(size / 3),
    'opening quotes that are none': head + '\u201c'.repeat(size / 3),
    apostrophes: head + "'a".repeat(size / 2),
    'block comments': head + '/*\n'.repeat(size / 3),
    'closed block comments': head + '/**/'.repeat(size / 4),
    comments: head + '//\n'.repeat(size / 3),
    'one long comment': `${head}//${'\u{1f600}'.repeat(size / 4)}`,
    lines: head + '\n'.repeat(size),
    'a byte order mark at the end': `${head}${'"" '.repeat(size / 3)}\ufeff`,
    escapes: `${head}[type=="${'\\"'.repeat(7000)}"]=>permit();};`,
    'a long number': `${head}[value==${'9'.repeat(size)}]`,
    'a long name': head + 'a'.repeat(size),
    brackets: head + '['.repeat(size),
    braces: head + '{'.repeat(size),
    parentheses: `${head}[value==${'NegateBool('.repeat(size / 11)}`,
    negations: head + '!'.repeat(size),
    commas: `${head}[${','.repeat(size)}`,
    semicolons: head + ';'.repeat(size),
    sections: `version=1.2;${'authorizationrules{};'.repeat(size / 21)}`,
    'empty conditions': `${head}${'[]&&'.repeat(size / 4)}`,
    rules: head + '=>permit();'.repeat(size / 11),
    'names in the wrong case': head + 'JMESPATH:[]=>Permit();'.repeat(500),
    'near words': head + '[valuetypf==1]=>permitt();'.repeat(500),
    'semicolon-less': head + '=>permit()'.repeat(size / 10),
    binders: head + `${'a:[value==b.value]&&'.repeat(32)}[]=>permit();`.repeat(90),
  }

  it.each(Object.entries(attacks))('%s', (_name, text) => {
    expect(text.length).toBeLessThanOrEqual(65_536)
    checkAnswer(text, parsePolicy(text))
    const began = processorMs()
    parsePolicy(text, { lenient: true })
    parsePolicy(text)
    expect(processorMs() - began).toBeLessThan(500)
  })
})
