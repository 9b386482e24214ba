import { expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { hearingReturns, noteGuestChanges } from './guest-changes.ts'

it('renews the tokens of the bundled verifier when Intel says something new, and all when a device is back', async () => {
  const noted: (string | null)[] = []
  const clock = new FakeClock()
  const hear = noteGuestChanges({ note: (issuer) => void noted.push(issuer) }, clock)
  hear('collateral')
  hear('collateral')
  hear('device')
  expect(noted.splice(0)).toEqual(['local', 'local', null])
  await clock.advance(59_999)
  hear('device')
  expect(noted).toEqual([])
  await clock.advance(1)
  hear('device')
  hear('device')
  expect(noted).toEqual([null])
})

it('tells that a device is back after each failure, and not because it answers for the first time', () => {
  const story: (string | null)[] = []
  const hear = hearingReturns(
    (failure) => void story.push(failure),
    () => void story.push('back'),
  )
  for (const failure of [null, 'TPM_TIMEOUT', 'TPM_ABSENT', null, null, 'TPM_TIMEOUT', null]) hear(failure)
  expect(story).toEqual([null, 'TPM_TIMEOUT', 'TPM_ABSENT', null, 'back', null, 'TPM_TIMEOUT', null, 'back'])
})
