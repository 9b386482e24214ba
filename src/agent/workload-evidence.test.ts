import { expect, it } from 'vitest'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { SimulatedGuest } from '../../test/support/simulated-guest.ts'
import { FairTurns } from '../base/fair-turns.ts'
import { parseQuote, reportDataOf } from '../evidence/tdx/quote.ts'
import type { EvidenceRequest } from '../workload-api/evidence-collector.ts'
import { performTask } from './embedded/perform-task.ts'
import { queueFull } from './embedded/queue-full.ts'
import { createEvidenceCollector, type WorkloadEvidenceParts } from './workload-evidence.ts'

/** Evidence for callers takes its turn with that of tokens, and is admitted as they are (BRK-81, API-84). */

const never = new AbortController().signal

/** A TD whose quotes take as long as a test wants. */
function slowTd(capacity: number) {
  const guest = new SimulatedGuest()
  const clock = new FakeClock()
  const begun: number[] = []
  /** By the first byte of a challenge; others are read at once. */
  const left: Promise<void>[] = []
  const size = { characters: 0 }
  const gates: (() => void)[] = []
  const turns = new FairTurns({ clock, capacity, refuse: (waitMs) => queueFull('full', waitMs) })
  const collect = async (reportData: Uint8Array) => {
    begun.push(reportData[0] ?? 0)
    await new Promise<void>((resolve) => gates.push(resolve))
    return { ...guest.tdEvidence(reportData), quotePath: 'tsm' }
  }
  const encodeDocument = async (parts: object) => {
    const encoded = performTask({ do: 'encodeDocument', ...parts } as Parameters<typeof performTask>[0])
    const document = encoded !== null && 'document' in encoded ? encoded.document : 'too large'
    return document.padEnd(size.characters)
  }
  const parts = { guest: { tpm: null, watchedTd: { collect } }, appraiser: { encodeDocument }, turns }
  const collector = createEvidenceCollector(parts as unknown as WorkloadEvidenceParts)
  const ask = (first: number, caller: string, signal = never, timeoutMs = 60_000) => {
    const challenge = Uint8Array.of(first, 2, 3, 4, 5, 6, 7, 8)
    const request: EvidenceRequest = { challenge, profile: 'raw', devices: ['tdx'], verifier: null }
    return collector(request, { timeoutMs, caller, left: left[first] ?? Promise.resolve() }, signal)
  }
  const settle = () => new Promise<void>((resolve) => setImmediate(resolve))
  /** Ends the quote that is under way, after so many milliseconds. */
  const end = async (ms: number) => {
    await settle()
    await clock.advance(ms)
    gates.shift()?.()
    await settle()
  }
  return { ask, begun, end, settle, turns, left, size }
}

const code = (answer: Promise<string>) =>
  answer.then(
    () => 'given',
    (error: { readonly code?: string }) => error.code,
  )

it('goes round over callers: who asks much delays the others by one quote (API-84)', async () => {
  const { ask, begun, end } = slowTd(64)
  const flood = [1, 2, 3, 4].map((at) => ask(at, 'uid:1'))
  const other = ask(9, 'uid:2')
  for (let at = 0; at < 5; at++) await end(10)
  const given = JSON.parse(await other)
  const quote = Buffer.from(JSON.parse(Buffer.from(given.evidence, 'base64url').toString()).quote, 'base64')
  expect(reportDataOf(parseQuote(quote))[0]).toBe(9)
  await Promise.all(flood)
  expect(begun).toEqual([1, 9, 2, 3, 4])
})

it('is refused where there is no place, first those of who has most (BRK-81)', async () => {
  const { ask, begun, end, settle } = slowTd(3)
  const begins = code(ask(1, 'uid:1'))
  await settle()
  const flood = [2, 3, 4, 5].map((at) => code(ask(at, 'uid:1')))
  expect(await flood[3]).toBe('quote_queue_full')
  const other = code(ask(9, 'uid:2'))
  expect(await flood[2]).toBe('quote_queue_full')
  for (let at = 0; at < 4; at++) await end(10)
  expect(await Promise.all([begins, flood[0], flood[1], other])).toEqual(Array(4).fill('given'))
  expect(begun).toEqual([1, 9, 2, 3])
})

it('is refused at once where what waits takes longer than its caller does, with when to come again (BRK-81)', async () => {
  const { ask, begun, end, settle } = slowTd(64)
  const first = ask(1, 'uid:1')
  await end(4_000)
  await first
  const second = ask(2, 'uid:1')
  await settle()
  await expect(ask(3, 'uid:2', never, 3_999)).rejects.toMatchObject({
    code: 'quote_queue_full',
    facts: { retry_after_ms: 4_000 },
  })
  const third = ask(4, 'uid:2', never, 4_000)
  await end(10)
  await end(10)
  await Promise.all([second, third])
  expect(begun).toEqual([1, 2, 4])
})

it('is not collected for a caller that hung up while it waited', async () => {
  const { ask, begun, end, settle, turns } = slowTd(64)
  const first = ask(1, 'uid:1')
  await settle()
  const gone = new AbortController()
  const second = code(ask(2, 'uid:2', gone.signal))
  gone.abort({ code: 'gone' })
  expect([await second, turns.queued]).toEqual(['gone', 0])
  await end(10)
  await first
  await settle()
  expect(begun).toEqual([1])
})

it('is not collected for who leaves earlier documents unread, nor when all leave too many: they are in memory', async () => {
  const { ask, begun, end, settle, left, size } = slowTd(64)
  const reads: (() => void)[] = []
  const unread = (first: number) => {
    left[first] = new Promise((resolve) => {
      reads[first] = resolve
    })
  }
  for (const first of [1, 2]) unread(first)
  const given = async (first: number, caller: string) => {
    const answer = code(ask(first, caller))
    await end(10)
    return answer
  }
  size.characters = (8 << 20) + 1
  expect(await given(1, 'uid:1')).toBe('given')
  expect(await given(5, 'uid:1')).toBe('quote_queue_full')
  expect(await given(2, 'uid:2')).toBe('given')
  expect(await given(6, 'uid:6')).toBe('quote_queue_full')
  reads[1]?.()
  await settle()
  expect(await given(7, 'uid:1')).toBe('given')
  expect(begun).toEqual([1, 2, 7])
})
