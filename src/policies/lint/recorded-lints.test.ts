import { describe, expect, it } from 'vitest'
import { type PolicyCase, policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import { lintRules } from './lint-finding.ts'
import { lintPolicy } from './lint-policy.ts'

const cases: readonly PolicyCase[] = haveVectors ? policyCases() : []
const linted = cases.filter((one) => one.expect.lints !== undefined)

function lintsOf(one: PolicyCase) {
  const parsed = parsePolicy(policyBytes(one), { lenient: one.mode === 'lenient' })
  if (parsed.policy === undefined) return expect.unreachable()
  const { kinds, profile } = one
  return lintPolicy(parsed, { ...(kinds ? { kinds } : {}), ...(profile ? { profile } : {}) })
}

describe.skipIf(!haveVectors)('the recorded lints (section 11)', () => {
  it.each(linted)('$name', (one) => {
    const { must, mustNot } = one.expect.lints ?? { must: [], mustNot: [] }
    const found = lintsOf(one)
    const places = found.map(({ id, line, column }) => ({ id, line, column }))
    expect(places).toEqual(expect.arrayContaining([...must]))
    const doubtful = found.filter(({ severity }) => severity !== 'info').map(({ id }) => id)
    expect(doubtful.filter((id) => mustNot.includes('*') || mustNot.includes(id))).toEqual([])
    for (const { id, severity } of found) expect(severity).toBe(lintRules[id as keyof typeof lintRules].severity)
  })

  it('are of every rule of section 11', () => {
    const ids = new Set(linted.flatMap(({ expect: { lints } }) => lints?.must ?? []).map(({ id }) => id))
    // L22 and what follows is ours.
    expect([...ids].sort()).toEqual(Object.keys(lintRules).filter((id) => id <= 'L21'))
  })

  it('are made for every recorded policy that loads, without an exception', () => {
    const good = cases.filter((one) => one.expect.load.status === 'ok')
    expect(good.length).toBe(95)
    for (const one of good) lintsOf(one)
  })
})
