import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { MemoryPolicyStore } from '../../registry/policies/memory-policy-store.ts'
import type { PolicyStore } from '../../registry/policies/policy-store.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { WatchedStore } from './watched-store.ts'

const away = () => storeErrors.error('registry_unavailable', 'db.example:5432: ECONNREFUSED')
const full = () => storeErrors.error('registry_storage_full', '/var/lib: SQLSTATE 53100')
const slot = 'id:site'
const commit = { expected: 0 }

/** A store in memory that does what the test says before it answers, and what was told of it. */
function room() {
  const memory = new MemoryPolicyStore()
  const place = { active: async () => {}, commit: async () => {}, asked: 0 }
  const store: PolicyStore = {
    situation: (name) => memory.situation(name),
    version: (name, number) => memory.version(name, number),
    versions: (name, before) => memory.versions(name, before),
    activations: (name) => memory.activations(name),
    slots: () => memory.slots(),
    signers: () => memory.signers(),
    active: async (name) => {
      place.asked += 1
      await place.active()
      return memory.active(name)
    },
    commit: async (change) => {
      await place.commit()
      return memory.commit(change)
    },
  }
  const told: unknown[] = []
  const log = { warn: (facts: unknown) => told.push(facts), info: (facts: unknown) => told.push(facts) } as never
  const clock = new FakeClock()
  return { place, told, clock, watched: new WatchedStore({ store, clock, log }) }
}

const codeOf = (work: Promise<unknown>) =>
  work.then(
    () => 'done',
    ({ code }) => code,
  )

describe('a store that answers', () => {
  it('is passed through, and nothing is told', async () => {
    const { watched, told } = room()
    expect([await watched.policies.active(slot), await watched.policies.slots(), await watched.look()]).toEqual([
      null,
      [],
      null,
    ])
    expect(told).toEqual([])
  })

  it('refuses what the state of a store does not explain as before', async () => {
    const { place, watched, told } = room()
    place.active = () => Promise.reject(new TypeError('a bug'))
    await expect(watched.policies.active(slot)).rejects.toThrow(TypeError)
    await expect(watched.look()).rejects.toThrow(TypeError)
    expect([watched.failure, told]).toEqual([null, []])
  })
})

describe('a store that is away', () => {
  it('is told once with its remedy, and that it is back', async () => {
    const { place, watched, told, clock } = room()
    place.active = () => Promise.reject(away())
    for (let count = 0; count < 3; count++) expect(await codeOf(watched.policies.active(slot))).toBe(away().code)
    const { code, remedy } = away()
    expect(watched.failure).toEqual({ code, remedy, since: clock.now() })
    place.active = async () => {}
    expect(await codeOf(watched.policies.active(slot))).toBe('done')
    expect([watched.failure, told]).toEqual([null, [{ event: 'store_failed', code, remedy }, { event: 'store_back' }]])
  })

  it('is asked by one at a time whether it is back; all others are refused at once', async () => {
    const { place, watched } = room()
    place.active = () => Promise.reject(away())
    await codeOf(watched.policies.active(slot))
    let answer = () => {}
    place.active = () => new Promise((resolve) => (answer = resolve))
    const before = place.asked
    const probe = codeOf(watched.policies.active(slot))
    const others = Array.from({ length: 100 }, () => codeOf(watched.policies.active(slot)))
    expect(watched.away?.code).toBe('registry_unavailable')
    expect(new Set(await Promise.all(others))).toEqual(new Set(['registry_unavailable']))
    expect(place.asked - before).toBe(1)
    answer()
    expect([await probe, watched.away]).toEqual(['done', null])
    place.active = async () => {}
    expect(await Promise.all([1, 2, 3].map(() => codeOf(watched.policies.active(slot))))).toEqual(Array(3).fill('done'))
  })

  it('is looked at for two seconds and no longer', async () => {
    const { place, watched, clock } = room()
    place.active = () => new Promise(() => undefined)
    const looked = watched.look()
    await clock.advance(2_000)
    expect(await looked).toMatchObject({ code: 'registry_unavailable', since: clock.now() })
    place.active = async () => {}
    expect([await watched.look(), clock.sleeping]).toEqual([null, 0])
  })
})

describe('a store without room', () => {
  it('is read as before, and full until something is written', async () => {
    const { place, watched, told } = room()
    place.commit = () => Promise.reject(full())
    expect(await codeOf(watched.policies.commit(commit))).toBe('registry_storage_full')
    const reads = await Promise.all([1, 2, 3].map(() => codeOf(watched.policies.active(slot))))
    expect([reads, (await watched.look())?.code]).toEqual([Array(3).fill('done'), 'registry_storage_full'])
    place.commit = async () => {}
    expect(await codeOf(watched.policies.commit(commit))).toBe('done')
    expect([watched.failure, told.length]).toEqual([null, 2])
  })

  it('and one in which others stood in the way of a change, refuses nobody else', async () => {
    const { place, watched } = room()
    place.commit = () => Promise.reject(away())
    expect(await codeOf(watched.policies.commit(commit))).toBe('registry_unavailable')
    expect(await Promise.all([1, 2].map(() => codeOf(watched.policies.active(slot))))).toEqual(['done', 'done'])
  })
})
