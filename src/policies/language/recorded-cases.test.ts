import { describe, expect, it } from 'vitest'
import { policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { haveVectors } from '../../../test/support/vectors.ts'
import { parsePolicy } from './parse-policy.ts'

const cases = haveVectors ? policyCases() : []
const optionsOf = (mode?: string) => ({ lenient: mode === 'lenient' })

describe.skipIf(!haveVectors)('the recorded policies', () => {
  const good = cases.filter((each) => each.expect.load.status === 'ok')
  const bad = cases.filter((each) => each.expect.load.status === 'rejected')

  it('are as many as recorded', () => {
    expect([good.length, bad.length]).toEqual([95, 95])
  })

  it.each(good)('$name loads', (each) => {
    const bytes = policyBytes(each)
    const { policy, warnings, diagnostics } = parsePolicy(bytes, optionsOf(each.mode))
    expect(diagnostics).toBeUndefined()
    const lenient = (each.expect.lints?.must ?? []).filter(({ id }) => id === 'L18')
    expect(warnings?.map(({ id, line, column }) => ({ id, line, column }))).toEqual(lenient)
    expect(
      parsePolicy(new TextDecoder('utf-8', { ignoreBOM: true }).decode(bytes), optionsOf(each.mode)).policy,
    ).toEqual(policy)
  })

  it.each(bad)('$name is refused', (each) => {
    const { load } = each.expect
    const { policy, diagnostics: [first] = [] } = parsePolicy(policyBytes(each), optionsOf(each.mode))
    expect(policy).toBeUndefined()
    expect(first).toMatchObject({
      id: load.id,
      severity: 'error',
      ...(load.line === undefined ? {} : { line: load.line, column: load.column }),
      ...(load.found === undefined ? {} : { found: load.found }),
    })
    if (load.expectedIncludes) expect(first?.expected).toContain(load.expectedIncludes)
    expect(first?.hint ?? '').toContain(load.hintIncludes ?? '')
    expect(first?.message).toContain(load.messageIncludes ?? '')
  })
})
