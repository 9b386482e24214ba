import { expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { watchIma } from './ima-watch.ts'

async function watching(first: number | null = 100) {
  const clock = new FakeClock()
  const told: number[] = []
  const log = { count: first as number | null }
  const stop = new AbortController()
  const start = clock.monotonic()
  const running = watchIma(
    { clock, count: async () => log.count, grew: () => told.push((clock.monotonic() - start) / 1000) },
    stop.signal,
  ).catch((reason: unknown) => {
    if (!stop.signal.aborted) throw reason
  })
  const pass = async (seconds: number) => {
    for (let second = 0; second < seconds; second++) await clock.advance(1000)
  }
  await pass(1)
  const end = async () => {
    stop.abort()
    await running
  }
  return { log, told, pass, end }
}

it('tells of growth once it has been quiet for 5 s (broker.md section 8)', async () => {
  const { log, told, pass, end } = await watching()
  await pass(30)
  expect(told).toEqual([])
  log.count = 101
  await pass(4)
  expect(told).toEqual([])
  await pass(6)
  expect(told).toEqual([40])
  await pass(300)
  expect(told).toHaveLength(1)
  await end()
})

it('tells at most once in 60 s, however often the log grows', async () => {
  const { log, told, pass, end } = await watching()
  for (let at = 0; at < 60; at++) {
    log.count = 200 + at
    await pass(10)
  }
  const gaps = told.slice(1).map((time, at) => time - (told[at] ?? 0))
  expect(told.length).toBeGreaterThanOrEqual(9)
  expect(Math.min(...gaps)).toBeGreaterThanOrEqual(60)
  await end()
})

it('does not wait for ever for a log that never rests', async () => {
  const { log, told, pass, end } = await watching()
  for (let at = 0; at < 130; at++) {
    log.count = 200 + at
    await pass(1)
  }
  expect(told).toHaveLength(2)
  await end()
})

it('says nothing of a count that cannot be read, comes back, or goes back', async () => {
  const { log, told, pass, end } = await watching(null)
  for (const count of [null, 50, 50, null, 50, 10, 10]) {
    log.count = count
    await pass(10)
  }
  expect(told).toEqual([])
  log.count = 11
  await pass(15)
  expect(told).toHaveLength(1)
  await end()
})
