import { describe, expect, it } from 'vitest'
import { parsePolicy } from '../language/parse-policy.ts'
import type { PolicyLimits } from '../policy-limits.ts'
import { mostFindings } from './gather-findings.ts'
import { lintPolicy } from './lint-policy.ts'

/** As high as an operator may set them (section 8). */
const largest = {
  textBytes: 1_048_576,
  rules: 8192,
  conditionsPerRule: 512,
  expressionDepth: 256,
  literalBytes: 262_144,
}

/** Rules from line 3 on, one a line. */
function lintRules(rules: readonly string[], limits: Partial<PolicyLimits> = {}) {
  const text = `version=1.2;\nauthorizationrules {\n${rules.join('\n')}\n};\n`
  const parsed = parsePolicy(text, { limits: { ...largest, ...limits } })
  if (parsed.policy === undefined) return expect.unreachable(parsed.diagnostics?.[0]?.message)
  return lintPolicy(parsed, { limits })
}

function processorMs(): number {
  const { user, system } = process.cpuUsage()
  return (user + system) / 1000
}

const many = (count: number, rule: (at: number) => string) => Array.from({ length: count }, (_, at) => rule(at))
const document = 'c:[type=="tpm.events", issuer=="AttestationService"]'
const query = (text: string) => `${document} => add(type="x", value=JmesPath(c.value, "${text}"));`
const idsOf = (found: readonly { readonly id: string }[]) => [...new Set(found.map(({ id }) => id))]

describe('what a lint may take (POL-605, POL-608)', () => {
  it('grows as the rules do where thousands build a query that thousands ask (L21)', () => {
    const builds = many(3500, (at) => `${document} => add(type="b", value=AppendString(c.value, "${at}"));`)
    const asks = many(3500, (at) => `q:[type=="b"] => add(type="r${at}", value=JmesPath("1", q.value));`)
    const begun = processorMs()
    const found = lintRules([...builds, ...asks])
    expect(processorMs() - begun).toBeLessThan(6000)
    expect(found.filter(({ id }) => id === 'L21')).toHaveLength(3500)
    expect(idsOf(found)).not.toContain('L25')
  })

  it('grows as expressions do that nest (POL-603)', () => {
    const levels = 250
    const asked = `JmesPath(c.value, "${'a'.repeat(1000)}")`
    const nested = `${'JmesPath("1", '.repeat(levels)}${asked}${')'.repeat(levels)}`
    const found = lintRules([`${document} => add(type="x", value=${nested});`], { steps: 6000 })
    expect(found.map(({ id }) => id)).toEqual(['L09'])
  })

  it('ends at its limit, and says so first of all (L25, POL-608)', () => {
    const rules = ['[] => deny();', ...many(40, () => query(`Events${' '.repeat(1000)}`)), '=> permit();']
    const [first, ...others] = lintRules(rules, { steps: 20_000 })
    expect(first).toMatchObject({ id: 'L25', severity: 'error', line: 1, column: 1 })
    expect(first?.message).toMatch(/^the lint stopped in line (1[0-9]|2[0-9]) .*takes more than 20000 steps$/)
    expect(idsOf(others)).toEqual(['L01', 'L02', 'L19'])
    expect(idsOf(lintRules(rules))).not.toContain('L25')
  })

  it('takes no steps from one lint to the next (POL-608)', () => {
    const limits = { steps: 3000 }
    for (let time = 0; time < 3; time++) expect(idsOf(lintRules([query('Events')], limits))).toEqual([])
  })

  it('ends at more findings than anybody reads, and keeps those before (L25)', () => {
    const found = lintRules(
      many(mostFindings + 1, (at) => `=> add(type="a", value=${at});`).map((rule) => `// ${rule}`),
    )
    expect(found.length).toBe(mostFindings + 1)
    expect(found[0]).toMatchObject({ id: 'L25', line: 1 })
    expect(found[0]?.message).toContain(`in line ${mostFindings + 3} `)
    expect(found.at(-1)).toMatchObject({ id: 'L12', line: mostFindings + 2 })
    expect(idsOf(lintRules(many(mostFindings, () => '// => add(')))).toEqual(['L12'])
  })

  it('looks at rules also behind a flood of comments (L25)', () => {
    const found = lintRules([...many(mostFindings + 1, () => '// => add('), '[] => permit();'])
    expect(idsOf(found)).toEqual(['L25', 'L12', 'L01', 'L02', 'L13'])
  })

  it('is of queries as large as the evaluation takes them, and no larger (L05, POL-605)', () => {
    const deep = query(`${'('.repeat(80)}Events${')'.repeat(80)}`)
    expect(idsOf(lintRules([deep]))).toEqual(['L05'])
    expect(idsOf(lintRules([deep], { queryDepth: 100 }))).toEqual([])
    expect(idsOf(lintRules([query('Events')], { queryBytes: 5 }))).toEqual(['L05'])
  })

  it('has limits that can be kept', () => {
    expect(() => lintRules([], { steps: Number.NaN })).toThrow('steps')
  })
})
