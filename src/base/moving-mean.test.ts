import { expect, it } from 'vitest'
import { MovingMean } from './moving-mean.ts'

it('a moving mean is that of the first value, and goes a fifth of the way to each further one', () => {
  const mean = new MovingMean()
  expect(mean.value).toBe(0)
  mean.note(10)
  expect(mean.value).toBe(10)
  mean.note(20)
  expect(mean.value).toBe(12)
  mean.note(0)
  expect(mean.value).toBeCloseTo(9.6, 10)
})
