import { expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import type { Invalidation } from '../passport/invalidation.ts'
import { SoftEvents } from './soft-events.ts'

it('renews once for all events of a second, and all issuers where one event is about all (BRK-75)', async () => {
  const clock = new FakeClock()
  const acted: Invalidation[] = []
  const events = new SoftEvents({ invalidate: (invalidation) => acted.push(invalidation) }, clock)
  const stop = new AbortController()
  const running = events.keepMerging(stop.signal).catch(() => undefined)
  for (const issuer of ['local', 'local', 'remote']) events.note(issuer)
  await clock.advance(999)
  expect(acted).toEqual([])
  await clock.advance(1)
  expect(acted.splice(0)).toEqual([
    { issuer: 'local', hard: false },
    { issuer: 'remote', hard: false },
  ])
  await clock.advance(10_000)
  expect(acted).toEqual([])
  events.note('local')
  await clock.advance(500)
  events.note(null)
  await clock.advance(500)
  expect(acted).toEqual([{ all: true, hard: false }])
  stop.abort()
  await running
})
