import { describe, expect, it } from 'vitest'
import { BodyBudget } from './body-budget.ts'
import { unknownAddress } from './client-address.ts'

const overloaded = expect.objectContaining({ code: 'AS.SERVICE.OVERLOADED', retryable: true })
const outcome = (work: () => void) => {
  try {
    work()
    return 'held'
  } catch (error) {
    return error
  }
}

describe('the memory for bodies (SVC-40)', () => {
  it('has a quarter for each address, through however many requests it asks', () => {
    const budget = new BodyBudget(400)
    const [one, two, other] = [budget.hold('192.0.2.1'), budget.hold('192.0.2.1'), budget.hold('192.0.2.2')]
    one.take(60)
    expect(outcome(() => two.take(41))).toEqual(overloaded)
    two.take(40)
    expect(outcome(() => one.take(1))).toEqual(overloaded)
    other.take(100)
  })

  it('gives back what a request held, and nothing twice', () => {
    const budget = new BodyBudget(400)
    const [one, two] = [budget.hold('192.0.2.1'), budget.hold('192.0.2.1')]
    one.take(60)
    two.take(40)
    one.release()
    one.release()
    two.take(60)
    expect(outcome(() => two.take(1))).toEqual(overloaded)
  })

  it('is not held by a request that has ended: who hangs up again and again could use it up', () => {
    const budget = new BodyBudget(40)
    const gone = budget.hold('192.0.2.1')
    gone.take(5)
    gone.release()
    // A body that was being unpacked when its client hung up.
    gone.take(8)
    budget.hold('192.0.2.1').take(10)
  })

  it('is not more than it is, for many addresses', () => {
    const budget = new BodyBudget(400)
    for (const last of [1, 2, 3, 4]) budget.hold(`192.0.2.${last}`).take(100)
    expect(outcome(() => budget.hold('192.0.2.5').take(1))).toEqual(overloaded)
  })

  it('is all there for whoever has no address: a proxy on the Unix socket', () => {
    const hold = new BodyBudget(400).hold(unknownAddress)
    hold.take(400)
    expect(outcome(() => hold.take(1))).toEqual(overloaded)
  })
})
