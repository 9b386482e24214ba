import { randomBytes } from 'node:crypto'
import type { Clock } from '../../src/base/clock.ts'
import { createBroker } from '../../src/passport/broker.ts'
import { SystemClock } from '../../src/platform/system-clock.ts'
import { compare, comparison, printTable } from '../support/comparison.ts'
import { FakeTokenSource, tokenRequest } from '../support/fake-token-source.ts'

/**
 * What a cached token costs. The floor is a bare look-up in a Map by a key that is there already; the peer makes the
 * key of the request, looks it up and awaits once, as any cache behind a promise does, and decides nothing.
 */
const batch = 1_000
const request = tokenRequest()
const demand = { minValidS: null, timeoutMs: 15_000, caller: 'uid:0' }

async function repeated(run: () => Promise<unknown>): Promise<void> {
  for (let turn = 0; turn < batch; turn++) await run()
}

async function cachedToken(clock: Clock): Promise<() => Promise<unknown>> {
  const source = new FakeTokenSource(clock)
  const broker = createBroker({ sources: [source], clock, random: (size) => new Uint8Array(randomBytes(size)) })
  const { signal } = new AbortController()
  await broker.obtainToken(request, demand, signal)
  return () => broker.obtainToken(request, demand, signal)
}

async function perSecond(run: () => Promise<unknown>): Promise<string> {
  const end = performance.now() + 500
  const start = performance.now()
  let count = 0
  while (performance.now() < end) {
    await repeated(run)
    count += batch
  }
  return `${Math.round(count / (performance.now() - start))} 000`
}

comparison('a cached token', async () => {
  const system = new SystemClock(null)
  // Readings cost what the clock costs: once with clocks that cost nothing, once with those of the machine.
  const still: Clock = {
    now: () => 1_790_000_000_000,
    monotonic: () => 1,
    boottime: () => 1,
    sleep: (ms, signal) => system.sleep(ms, signal),
  }
  const keyOf = () =>
    JSON.stringify([request.issuer, 1, request.tokenType, request.audience, null, null, request.policyIds])
  const map = new Map([[keyOf(), { token: 'token' }]])
  const key = keyOf()
  const lookUp = () => {
    for (let turn = 0; turn < batch; turn++) map.get(key)
  }
  const [ours, onThisMachine] = [await cachedToken(still), await cachedToken(system)]
  await compare(`${batch} cached tokens`, [
    { name: 'Map look-up', role: 'floor', run: lookUp },
    { name: 'key, Map look-up, await', role: 'peer', run: () => repeated(async () => map.get(keyOf())) },
    { name: 'obtainToken', role: 'ours', run: () => repeated(ours) },
    { name: 'obtainToken, clocks of this machine', role: 'ours', run: () => repeated(onThisMachine) },
  ])
  printTable('cached tokens per second', [
    ['obtainToken', await perSecond(ours)],
    ['obtainToken, clocks of this machine', await perSecond(onThisMachine)],
  ])
})
