import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { measured } from '../../test/support/json-queries.ts'
import { policyFrom, policyText, service } from '../../test/support/policy-evaluations.ts'
import { defaultPolicyLimits, evaluatePolicy, formatPolicy, lintPolicy, parsePolicy } from './index.ts'
import { type PolicyLimits, requirePolicyLimits } from './policy-limits.ts'

const names = Object.keys(defaultPolicyLimits) as (keyof PolicyLimits)[]
const deepestQuery = 128
const largest: PolicyLimits = {
  ...Object.fromEntries(Object.entries(defaultPolicyLimits).map(([name, value]) => [name, value * 16])),
  ...defaultPolicyLimits,
  expressionDepth: 256,
  queryDepth: deepestQuery,
  queryBytes: 524_288,
  queryNodes: 64_000,
  textBytes: 1_048_576,
  literalBytes: 262_144,
}

describe('limits that are given (section 8)', () => {
  it.each(names)('%s can be raised to a bound, and lowered to nothing', (name) => {
    const most = name === 'queryDepth' ? deepestQuery : defaultPolicyLimits[name] * 16
    expect(requirePolicyLimits({ [name]: most })[name]).toBe(most)
    expect(requirePolicyLimits({ [name]: 0 })[name]).toBe(0)
    expect(() => requirePolicyLimits({ [name]: most + 1 })).toThrow(`${name}: must be a whole number from 0 to ${most}`)
  })

  it.each([Number.NaN, Number.POSITIVE_INFINITY, -1, 0.5, '9', null, 10n])('%s is none', (value) => {
    for (const name of names) {
      const limits = { [name]: value } as unknown as Partial<PolicyLimits>
      expect(() => requirePolicyLimits(limits)).toThrow(expect.objectContaining({ code: 'POLICY_LIMIT' }))
    }
  })

  it('are refused where policies are read and made ready, before any text is looked at', () => {
    const refusal = expect.objectContaining({ code: 'POLICY_LIMIT', kind: 'configuration' })
    expect(() => parsePolicy('version=', { limits: { queryDepth: 1024 } })).toThrow(refusal)
    expect(() => formatPolicy('version=', { limits: { textBytes: Number.NaN } })).toThrow(refusal)
    const limits = { steps: Number.POSITIVE_INFINITY }
    expect(() => evaluatePolicy(policyFrom(policyText({})), [], { profile: 'attestd', limits })).toThrow(refusal)
    expect(() => requirePolicyLimits({ step: 1 } as Partial<PolicyLimits>)).toThrow('step: there is no such limit')
  })

  it('that are undefined have their defaults', () => {
    expect(requirePolicyLimits({ steps: undefined } as unknown as Partial<PolicyLimits>)).toEqual(defaultPolicyLimits)
  })
})

/** How many frames of `deeper` the stack holds from here. */
function depthOfStack(): number {
  let depth = 0
  const deeper = (): void => {
    depth++
    deeper()
  }
  try {
    deeper()
  } catch {
    return depth
  }
  return depth
}

/** Calls `test` when half of the stack is used up already, as deep in a program that embeds the engine. */
function onHalfTheStack(test: () => void): void {
  const half = Math.floor(depthOfStack() / 2)
  const descend = (left: number): void => {
    if (left > 0) descend(left - 1)
    else test()
  }
  descend(half)
}

type Wrap = readonly [before: string, after: string]
const wraps: readonly Wrap[] = [
  ['(', ')'],
  ['!', ''],
  ['[', ']'],
  ['{a:', '}'],
  ['@[?', ']'],
  ['a.[', ']'],
  ['a.{b:@,a:', '}'],
  ['to_array(', ')'],
  ['map(&', ',@)'],
  ['sort_by(@,&', ')'],
  ['not_null(b,', ')'],
  ['(b||', ')'],
  ['(@|', ')'],
  ['(`1`==', ')'],
  ['@[?@&&@||@|@==', ']'],
  ['max_by(@,&@|@||@&&@==', ')'],
  ['to_array(@|@||@&&@==', ')'],
  ['map(&@|@||@&&@==', ',@)'],
]
const wrapped = (around: readonly Wrap[], inner: string) =>
  around.map(([before]) => before).join('') +
  inner +
  around
    .toReversed()
    .map(([, after]) => after)
    .join('')
const deepDocument = `${'['.repeat(64)}${']'.repeat(64)}`

describe('with the largest limits, on half of a stack', () => {
  it.each(wraps)('queries of %s…%s nest as deep as they may (POL-605)', (before, after) => {
    const most = Array.from({ length: deepestQuery }, (): Wrap => [before, after])
    onHalfTheStack(() => {
      expect(measured(wrapped(most, 'a'), deepDocument, largest).result).not.toBe('POL-605')
      expect(measured(wrapped([...most, [before, after]], 'a'), deepDocument, largest).result).toBe('POL-605')
    })
  })

  it('queries of any nesting are answered (POL-605)', () => {
    const around = fc.array(fc.constantFrom(...wraps), { minLength: 100, maxLength: deepestQuery })
    const documents = fc.constantFrom(deepDocument, '{"a":[{"a":1}]}', '[[1],[[2]]]', 'null')
    fc.assert(
      fc.property(around, documents, (all, document) => {
        onHalfTheStack(() => expect(measured(wrapped(all, 'a'), document, largest).result).not.toBe('POL-605'))
      }),
      { numRuns: 300 },
    )
  })

  it.each(['[*]', '[]', '[?@]', '[:]', '.*'])('fifteen thousand of %s in a row do not nest', (step) => {
    const deep = Array.from({ length: 15_000 }, () => '[@]').join('|')
    onHalfTheStack(() => {
      const { result } = measured(`${deep}|@${step.repeat(15_000)} | type(@)`, '1', { ...largest, steps: 1e9 })
      expect(result).toBe(step === '.*' ? '"null"' : '"array"')
    })
  })

  it('values of a policy nest as deep as they may, a query of its largest depth inside (POL-603, POL-605)', () => {
    const nested = (levels: number, inner: string) =>
      `${'AppendString("",'.repeat(levels)}${inner}${')'.repeat(levels)}`
    const query = wrapped(
      Array.from({ length: deepestQuery }, () => ['@[?@&&@||@|@==', ']']),
      'a',
    )
    const text = (levels: number) =>
      policyText({
        issuance: [`d:[type=="d"] => issue(type="r", value=${nested(levels, `JmesPath(d.value, "${query}")`)});`],
      })
    const limits = { expressionDepth: largest.expressionDepth, queryDepth: largest.queryDepth }
    onHalfTheStack(() => {
      const parsed = parsePolicy(text(254), { limits })
      if (!parsed.policy) throw new TypeError(parsed.diagnostics[0]?.message)
      const evaluation = evaluatePolicy(parsed.policy, [service('d', deepDocument)], { profile: 'attestd', limits })
      expect(evaluation).toMatchObject({ verdict: 'permit', token: { r: deepDocument } })
      expect(lintPolicy(parsed).map(({ id }) => id)).toContain('L05')
      expect(lintPolicy(parsed, { limits }).map(({ id }) => id)).not.toContain('L05')
      expect(formatPolicy(text(254), { limits }).text).toContain(query)
      expect(parsePolicy(text(255), { limits }).diagnostics?.[0]).toMatchObject({ id: 'POL-603' })
    })
  })
})
