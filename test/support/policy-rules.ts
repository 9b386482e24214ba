import { describe, expect, it } from 'vitest'
import { type ParsePolicyOptions, parsePolicy } from '../../src/policies/language/parse-policy.ts'

export const policyOf = (rule: string, version = '1.2') => `version=${version};\nauthorizationrules {\n${rule}\n};`
export const issuing = (rule: string) => `version=1.2;\nauthorizationrules {};\nissuancerules {\n${rule}\n};`
export const configured = (rule: string) => `version=1.1;\nconfigurationrules {\n${rule}\n};\nauthorizationrules {};`

/** The first error as `POL-206 3:8`, or `loads`. */
export function verdictOn(text: string | Uint8Array, options: ParsePolicyOptions = {}): string {
  const [first] = parsePolicy(text, options).diagnostics ?? []
  return first === undefined ? 'loads' : `${first.id} ${first.line}:${first.column}`
}

export interface RuleTexts {
  /** What breaks the rule, with the place of the error; `[place, text]`. */
  readonly bad: readonly (readonly [place: string, text: string])[]
  /** What just does not break it. */
  readonly good: readonly string[]
}

/** One test for each text; ids that nothing breaks, or nothing keeps, are a mistake of the table. */
export function describeRules(title: string, rules: Readonly<Record<string, RuleTexts>>): void {
  describe.each(Object.entries(rules))(`${title}: %s`, (id, { bad, good }) => {
    it('fails and passes in at least one text each', () => {
      expect(bad.length).toBeGreaterThan(0)
      expect(good.length).toBeGreaterThan(0)
    })

    it.each(bad)('at %s: %j', (place, text) => {
      expect(verdictOn(text)).toBe(`${id} ${place}`)
    })

    it.each(good.map((text) => [text]))('loads: %j', (text) => {
      expect(verdictOn(text)).toBe('loads')
    })
  })
}
