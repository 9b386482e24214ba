import { describe, expect, it } from 'vitest'
import { claimsOf, type PolicyCase, policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { haveVectors, vectorJson } from '../../../test/support/vectors.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import { evaluatePolicy } from './evaluate-policy.ts'

const cases = haveVectors ? policyCases() : []
const runs = cases.flatMap((each) => (each.runs ?? []).map((run, at) => ({ name: `${each.name} ${at}`, each, run })))

/** Integers as the vectors write them. */
function plain(value: unknown): unknown {
  if (typeof value === 'bigint') return Number(value)
  if (Array.isArray(value)) return value.map(plain)
  if (typeof value !== 'object' || value === null) return value
  return Object.fromEntries(Object.entries(value).map(([name, member]) => [name, plain(member)]))
}

function policyOf(each: PolicyCase) {
  const { policy, diagnostics } = parsePolicy(policyBytes(each), { lenient: each.mode === 'lenient' })
  if (!policy) throw new TypeError(`${each.name} does not load: ${diagnostics[0]?.message}`)
  return policy
}

function evaluationOf(each: PolicyCase, run: number, trace = false) {
  const given = each.runs?.[run]
  if (!given) throw new TypeError(`${each.name} has no run ${run}`)
  return evaluatePolicy(policyOf(each), claimsOf(given), { profile: each.profile ?? 'attestd', trace })
}

describe.skipIf(!haveVectors)('the recorded evaluations', () => {
  it('are as many as recorded', () => {
    expect(runs).toHaveLength(255)
  })

  it.each(runs)('$name', ({ each, run }) => {
    const { expect: wanted } = run
    const given = evaluationOf(each, each.runs?.indexOf(run) ?? 0)
    expect(given.verdict).toBe(wanted.verdict)
    if (wanted.reason !== undefined) expect(given).toMatchObject({ reason: wanted.reason })
    if (wanted.token) expect(plain('token' in given && given.token)).toEqual(wanted.token)
    if (wanted.properties) expect(plain('properties' in given && given.properties)).toEqual(wanted.properties)
    if (wanted.added) expect(plain(given.added)).toEqual(wanted.added)
    if (wanted.firedLines) expect(given.firedLines).toEqual(wanted.firedLines)
    if (!wanted.error) return
    expect([wanted.error.id].flat()).toContain('error' in given && given.error.id)
    if (wanted.error.line !== undefined) expect(given).toMatchObject({ error: { line: wanted.error.line } })
  })
})

interface RecordedTrace {
  readonly case: string
  readonly run: number
  readonly verdict: string
}

describe.skipIf(!haveVectors)('the recorded traces (POL-820)', () => {
  const traces: readonly RecordedTrace[] = haveVectors ? vectorJson('policy/explain.json').traces : []

  it.each(traces)('$case $run', ({ case: name, run, ...wanted }) => {
    const each = cases.find((candidate) => candidate.name === name)
    if (!each) throw new TypeError(`no case ${name}`)
    expect(plain(evaluationOf(each, run, true))).toMatchObject(wanted)
  })
})
