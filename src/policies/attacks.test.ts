import { describe, expect, it } from 'vitest'
import { evaluate, issued, policyText, service } from '../../test/support/policy-evaluations.ts'
import type { GivenClaim } from './claims/incoming-claims.ts'
import { boundedDiagnostics } from './language/bounded-diagnostics.ts'
import { parsePolicy } from './language/parse-policy.ts'
import { lintPolicy } from './lint/lint-policy.ts'

const custom = (type: string, value: string): GivenClaim => ({ type, value, issuer: 'CustomClaim' })
const halfPair = /\p{Surrogate}/u

/** All texts in a result. */
function textsIn(value: unknown): readonly string[] {
  if (typeof value === 'string') return [value]
  return typeof value === 'object' && value !== null ? Object.values(value).flatMap(textsIn) : []
}

function diagnosticsOf(text: string) {
  const parsed = parsePolicy(text)
  return parsed.policy === undefined ? parsed.diagnostics : lintPolicy(parsed)
}

describe('texts that are cut (POL-801, POL-820)', () => {
  const rules = [
    'c:[type=="d"] => issue(type="r", value=JsonToClaimValue(c.value));',
    '[value < 3] => issue(type="s", value=1);',
  ]

  // A strict reader of JSON refuses half a pair: an answer about such a policy would not be read.
  it.each([61, 62, 63, 64, 253, 254, 255, 509, 510, 511])('keep pairs whole behind %i characters', (length) => {
    const name = `${'x'.repeat(length)}😀😀`
    const type = name.slice(0, length + 2).slice(-256)
    const policies = [
      policyText({ issuance: [`[type=="${name}"] => issue(type="n", value=JmesPath("1", "${name}"));`] }),
      policyText({ issuance: [`=> issueproperty(type="${name}", value=1);`] }),
      policyText({ configuration: [`=> issueproperty(type="${name}", value=1);`] }),
      policyText({ authorization: [`[valueType=="${name}"] => permit();`, `[type=="${name}" => permit();`] }),
    ]
    const told = policies.flatMap((text) => [...diagnosticsOf(text), ...boundedDiagnostics(diagnosticsOf(text))])
    expect(told.length).toBeGreaterThan(8)
    const claims = [service('d', `{"${name}":1,"${name}":1}`), service(type, true), service(type, name)]
    const evaluations = rules.flatMap((rule) =>
      claims.map((claim) => evaluate({ issuance: [rule] }, [claim], { trace: true })),
    )
    const named = 'p:[valueType=="Boolean"] => issueproperty(type=p.type, value=1);'
    evaluations.push(evaluate({ configuration: [named] }, claims.slice(1, 2), { trace: true }))
    const secret = [`c:[type=="pcrs"] => add(type="${type}", value=c.value);`, `d:[type=="${type}"] => issue(claim=d);`]
    evaluations.push(evaluate({ issuance: secret }, [service('pcrs', 'z')], { trace: true }))
    const ids = evaluations.map((one) => (one.verdict === 'error' ? one.error.id : one.verdict))
    expect(new Set(ids)).toEqual(new Set(['POL-501', 'POL-412', 'POL-309', 'POL-425', 'permit']))
    expect(textsIn([told, evaluations]).filter((text) => halfPair.test(text))).toEqual([])
  })
})

describe('a backslash in front of a character of two units (POL-106)', () => {
  it('is told with all of it', () => {
    const [first] = diagnosticsOf(policyText({ authorization: ['[type=="\\😀"] => permit();'] }))
    expect(first).toMatchObject({ id: 'POL-106', line: 3, column: 9, found: '\\😀' })
  })
})

describe('sets that grow by what is added to them', () => {
  const bound = 'c:[type=="a"] => '
  const many = Array.from({ length: 20_000 }, (_, at) => service('a', BigInt(at)))

  it('end at the limit of the working set (POL-606)', () => {
    const copies = Array.from({ length: 400 }, (_, at) => `${bound}add(type="b${at}", value=c.value);`)
    expect(issued(copies, many)).toBe('POL-606 line 7')
  })

  it('do not grow by claims that are there (POL-415)', () => {
    const rules = Array.from({ length: 400 }, () => 'c:[] => add(claim=c);')
    const evaluation = evaluate({ issuance: rules }, [service('a', 'x'), custom('a', 'x'), service('b', 1)])
    expect(evaluation).toMatchObject({ verdict: 'permit', added: [] })
  })

  it('take steps for each set that is bound, and not for their product (POL-407, POL-408)', () => {
    const names = ['c', 'd', 'e', 'f', 'g']
    const rule = `${names.map((name) => `${name}:[]`).join(' && ')} => add(type="r", value=IsSubsetOf(c.value, g.value));`
    const { verdict, steps } = evaluate({ issuance: [rule] }, many)
    expect(verdict).toBe('permit')
    expect(steps).toBeLessThan(20 * many.length)
  })

  it('of Strings that are doubled end at the limit of a result (POL-607)', () => {
    const doubled = Array.from(
      { length: 30 },
      (_, at) => `c:[type=="s${at}"] => add(type="s${at + 1}", value=AppendString(c.value, c.value));`,
    )
    expect(issued(doubled, [service('s0', 'x')])).toBe('POL-607 line 26')
  })
})

describe('what the attester says beside the service (L02, L21)', () => {
  const both = ['c:[type=="a"] => issue(type="r", value=AppendString(c.value, "!"));']

  it('collapses with it where it is equal, and is an error where one value is needed else (POL-409, POL-410)', () => {
    expect(issued(both, [service('a', 'x'), custom('a', 'x')])).toEqual({ r: 'x!' })
    expect(issued(both, [service('a', 'x'), custom('a', 'y')])).toBe('POL-410 line 6')
    const own = ['c:[type=="a", issuer=="AttestationService"] => issue(type="r", value=AppendString(c.value, "!"));']
    expect(issued(own, [service('a', 'x'), custom('a', 'y')])).toEqual({ r: 'x!' })
  })

  it('can ask for something else where a query is built from it, which the lint tells', () => {
    const rule =
      'd:[type=="tdx.events", issuer=="AttestationService"] && u:[type=="custom:u"] => ' +
      `issue(type="r", value=JmesPath(d.value, AppendString("[?a=='", AppendString(u.value, "']"))));`
    const claims = (text: string) => [service('tdx.events', '[{"a":"x"},{"a":"y"}]'), custom('custom:u', text)]
    expect(issued([rule], claims('x'))).toEqual({ r: '[{"a":"x"}]' })
    expect(issued([rule], claims(`z' || 'a'=='a`))).toEqual({ r: '[{"a":"x"},{"a":"y"}]' })
    expect(diagnosticsOf(policyText({ issuance: [rule] })).map(({ id }) => id)).toContain('L21')
  })
})

describe('names of what every object has', () => {
  it.each(['constructor', 'toString', 'hasOwnProperty', 'valueOf', '__defineGetter__'])(
    'issue %s as any other',
    (name) => {
      expect(issued([`=> issue(type="${name}", value=1);`])).toEqual({ [name]: 1n })
      expect(
        issued([`c:[type=="d"] => issue(type="r", value=JmesPath(c.value, "${name}"));`], [service('d', '{}')]),
      ).toEqual({
        r: 'null',
      })
      expect(issued([`=> issue(type="r", value=JmesPath("1", "${name}(@)"));`])).toBe('POL-503 line 6')
    },
  )

  it('find no prototype in a document (POL-501)', () => {
    const ask = (query: string, document: string) =>
      issued([`c:[type=="d"] => issue(type="r", value=JmesPath(c.value, "${query}"));`], [service('d', document)])
    expect(ask('x', '{"__proto__":{"x":1}}')).toEqual({ r: 'null' })
    expect(ask('merge(@, {a: `1`}).x', '{"__proto__":{"x":1}}')).toEqual({ r: 'null' })
    expect(ask('{__proto__: @}', '1')).toEqual({ r: '{"__proto__":1}' })
    expect(ask('keys(@)', '{"__proto__":1}')).toEqual({ r: '["__proto__"]' })
  })
})
