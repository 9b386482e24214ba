import { expect, it } from 'vitest'
import { openedOnce } from './opened-once.ts'

it('opens at the first use, once for all who ask', async () => {
  let count = 0
  const get = openedOnce(async () => ++count)
  expect(count).toBe(0)
  expect(await Promise.all([get(), get()])).toEqual([1, 1])
  expect(await get()).toBe(1)
})

it('tries again after a failure, which all who waited hear', async () => {
  let count = 0
  const get = openedOnce(async () => {
    if (++count === 1) throw new Error('not yet')
    return count
  })
  const outcomes = await Promise.allSettled([get(), get()])
  expect(outcomes.map(({ status }) => status)).toEqual(['rejected', 'rejected'])
  expect(await get()).toBe(2)
})
