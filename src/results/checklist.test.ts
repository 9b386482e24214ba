import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import type { Outcome } from './appraisal.ts'
import { Checklist } from './checklist.ts'

const declaration = { title: 't', rule: 'X-1', remedy: 'r' }
const checks = { 'a.b': declaration, 'a.c': declaration, 'a.d': declaration }
const open = () => new Checklist(checks)

type Step = Exclude<Outcome, 'unreached'>
const record = (checklist: Checklist<keyof typeof checks>, step: Step) => {
  if (step === 'passed') checklist.pass('a.b', step)
  else if (step === 'failed') checklist.fail('a.b', step)
  else checklist.waive('a.b', step)
}

describe('a checklist', () => {
  it('lists every declared check in the order of declaration, and what was never recorded as unreached', () => {
    const checklist = open()
    checklist.waive('a.d', 'policy says so')
    checklist.pass('a.b')
    expect(checklist.findings()).toEqual([
      { id: 'a.b', outcome: 'passed' },
      { id: 'a.c', outcome: 'unreached' },
      { id: 'a.d', outcome: 'waived', detail: 'policy says so' },
    ])
  })

  it('affirms only what passed or was waived as a whole: a forgotten check fails closed', () => {
    const checklist = open()
    expect(checklist.affirmed()).toBe(false)
    checklist.pass('a.b')
    checklist.waive('a.c', 'x')
    expect(checklist.affirmed()).toBe(false)
    checklist.pass('a.d')
    expect(checklist.affirmed()).toBe(true)
    checklist.fail('a.b', 'x')
    expect(checklist.affirmed()).toBe(false)
  })

  it('says of several checks whether all passed; waived is not passed', () => {
    const checklist = open()
    checklist.pass('a.b')
    checklist.waive('a.c', 'x')
    expect([checklist.passed('a.b'), checklist.passed('a.b', 'a.c'), checklist.passed('a.d')]).toEqual([
      true,
      false,
      false,
    ])
  })

  it('judges by what holds, and asks for the problem only where it does not', () => {
    const checklist = open()
    const never = () => expect.unreachable()
    expect(checklist.judge('a.b', true, never, 'all well')).toBe(true)
    expect(checklist.judge('a.c', false, () => 'broken', 'all well')).toBe(false)
    expect(checklist.findings().slice(0, 2)).toEqual([
      { id: 'a.b', outcome: 'passed', detail: 'all well' },
      { id: 'a.c', outcome: 'failed', detail: 'broken' },
    ])
  })

  it('takes no check that is not declared', () => {
    const checklist = open() as unknown as Checklist<string>
    for (const id of ['a.x', 'toString', '__proto__']) expect(() => checklist.pass(id)).toThrow(TypeError)
  })
})

describe('a check that is recorded more than once', () => {
  it.each<[Step[], Outcome]>([
    [['failed', 'passed'], 'failed'],
    [['failed', 'waived'], 'failed'],
    [['waived', 'passed'], 'waived'],
    [['waived', 'failed'], 'failed'],
    [['passed', 'waived'], 'waived'],
    [['passed', 'failed'], 'failed'],
    [['passed', 'failed', 'waived', 'passed'], 'failed'],
  ])('%j ends as %s', (steps, outcome) => {
    const checklist = open()
    for (const step of steps) record(checklist, step)
    expect(checklist.outcome('a.b')).toBe(outcome)
    expect(checklist.findings()[0]).toMatchObject({ outcome, detail: outcome })
  })

  it('is never better than the worst of what was recorded', () => {
    const order: readonly Outcome[] = ['passed', 'waived', 'failed']
    fc.assert(
      fc.property(fc.array(fc.constantFrom<Step>('passed', 'waived', 'failed'), { minLength: 1 }), (steps) => {
        const checklist = open()
        for (const step of steps) record(checklist, step)
        expect(order.indexOf(checklist.outcome('a.b'))).toBe(Math.max(...steps.map((step) => order.indexOf(step))))
      }),
    )
  })
})
