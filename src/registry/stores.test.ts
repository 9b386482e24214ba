import fc from 'fast-check'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { requireModelled } from '../../test/support/registry-model.ts'
import { registryPart, storeKinds } from '../../test/support/store-kinds.ts'
import { anyEntry, anyFacts, entryAt, recordFor } from '../../test/support/stored-records.ts'
import { historyLength } from './appraisal-history.ts'
import type { EnrolmentRecord, EnrolmentState } from './enrolment-record.ts'
import { MemoryStore } from './memory-store.ts'
import { pageLength, type RecordChange, type RegistryStore, recordsIn } from './registry-store.ts'

const kinds = storeKinds<RegistryStore>(() => new MemoryStore(), registryPart)

const revoked = (reason: 'superseded' | 'operator' | 'released'): EnrolmentState => ({
  is: 'revoked',
  reason,
  since: 7,
})
const made = (record: EnrolmentRecord): RecordChange => ({ record, expected: null })

describe.for(kinds)('enrolments in $name', { timeout: 120_000 }, (kind) => {
  let store: RegistryStore
  beforeAll(async () => kind.possible && (await kind.prepare()), 180_000)
  afterAll(() => kind.end())
  beforeEach(async ({ skip }) => {
    if (!kind.possible) return skip(`${kind.name} is not installed`)
    store = await kind.fresh()
  })

  it('come back as they went in, whatever names and numbers they have', async () => {
    await fc.assert(
      fc.asyncProperty(anyFacts, fc.array(anyEntry, { maxLength: 3 }), async (facts, entries) => {
        store = await kind.fresh()
        const record = recordFor(1, 1, facts)
        const outcomes = entries.map((entry) => ({ akName: record.akName, entry }))
        expect(await store.commit([made(record)], outcomes)).toBe(true)
        const stored = { record, version: 1 }
        expect(await store.findByAk(record.akName)).toEqual(stored)
        expect(await store.findByEk(record.ekName)).toEqual([stored])
        expect(await store.findByEkKey(record.ekSpkiSha256)).toEqual([stored])
        expect(await store.findByEkKey(`${record.ekSpkiSha256} `)).toEqual([])
        expect(await store.list()).toEqual([stored])
        if (record.identity !== null) expect(await store.findByIdentity(record.identity)).toEqual([stored])
        expect(await store.history(record.akName)).toEqual([...entries].reverse())
      }),
      { numRuns: 60 },
    )
  })

  it('change from the expected version, and only from there', async () => {
    const record = recordFor(1, 1)
    expect(await store.commit([{ record, expected: 1 }])).toBe(false)
    expect(await store.commit([made(record)])).toBe(true)
    expect(await store.commit([made(record)])).toBe(false)
    const later = { ...record, lastSeen: record.lastSeen + 1 }
    expect(await store.commit([{ record: later, expected: 2 }])).toBe(false)
    expect(await store.findByAk(record.akName)).toEqual({ record, version: 1 })
    expect(await store.commit([{ record: later, expected: 1 }])).toBe(true)
    expect(await store.findByAk(record.akName)).toEqual({ record: later, version: 2 })
  })

  it('change together or not at all', async () => {
    const [first, second] = [recordFor(1, 1), recordFor(2, 2)]
    const outcome = { akName: first.akName, entry: entryAt(1) }
    expect(await store.commit([made(first), { record: second, expected: 1 }], [outcome])).toBe(false)
    expect(await store.list()).toEqual([])
    expect(await store.commit([made(first)], [outcome, { ...outcome, akName: second.akName }])).toBe(false)
    expect(await store.list()).toEqual([])
    expect(await store.commit([made(second), made(first)], [outcome])).toBe(true)
    expect(await store.list()).toHaveLength(2)
  })

  it('are one live one for an EK (ENR-08), and a new one may take the place of the old one', async () => {
    const [old, next] = [recordFor(1, 1), recordFor(2, 1)]
    await store.commit([made(old)])
    expect(await store.commit([made(next)])).toBe(false)
    const suspended = { is: 'suspended', reason: 'operator', since: 7 } as const
    expect(await store.commit([{ record: { ...old, state: suspended }, expected: 1 }])).toBe(true)
    expect(await store.commit([made(next)])).toBe(false)
    const superseded = { record: { ...old, state: revoked('superseded') }, expected: 2 }
    expect(await store.commit([made(next), superseded])).toBe(true)
    expect((await store.findByEk(old.ekName)).map(({ record }) => record.state.is).sort()).toEqual([
      'active',
      'revoked',
    ])
  })

  it('hold an identity for one EK until it is released (ENR-09)', async () => {
    const identity = { identity: 'i-1' }
    const [first, second, other] = [recordFor(1, 1, identity), recordFor(2, 1, identity), recordFor(3, 2, identity)]
    await store.commit([made(first)])
    expect(await store.commit([made(other)])).toBe(false)
    await store.commit([{ record: { ...first, state: revoked('operator') }, expected: 1 }, made(second)])
    expect(await store.commit([made(other)])).toBe(false)
    await store.commit([{ record: { ...second, state: revoked('released') }, expected: 1 }])
    expect(await store.commit([made(other)])).toBe(false)
    await store.commit([{ record: { ...first, state: revoked('released') }, expected: 2 }])
    expect(await store.commit([made(other)])).toBe(true)
    expect(await store.findByIdentity('i-1')).toHaveLength(3)
    expect(await store.commit([made(recordFor(4, 1, identity))])).toBe(false)
    expect(await store.commit([made(recordFor(4, 1))])).toBe(true)
  })

  it.each([
    ['i-1', 'i-1\0'],
    ['\ud800', '\ud801'],
    ['\ufffd', '\ud800'],
    ['é', 'e\u0301'],
    ['json:"\\u0000"', '\0'],
    ['i-1', 'I-1'],
    ['i-1', 'i-1 '],
    [`${'a'.repeat(9000)}b`, `${'a'.repeat(9000)}c`],
  ])('take two names for two: %j and %j', async (left, right) => {
    expect(await store.commit([made(recordFor(1, 1, { identity: left }))])).toBe(true)
    expect(await store.commit([made(recordFor(2, 2, { identity: right }))])).toBe(true)
    expect(await store.commit([made(recordFor(3, 3, { identity: right }))])).toBe(false)
    expect((await store.findByIdentity(left)).map(({ record }) => record.akName)).toEqual([recordFor(1, 1).akName])
  })

  it('do what those in memory do, whatever is changed', async () => {
    const states: readonly EnrolmentState[] = [
      { is: 'active' },
      { is: 'suspended', reason: 'operator', since: 1 },
      ...(['superseded', 'operator', 'released'] as const).map(revoked),
    ]
    const change = fc.record({
      ak: fc.nat(2),
      identity: fc.constantFrom(null, 'i-1', 'i-2'),
      state: fc.constantFrom(...states),
      isStale: fc.nat(9).map((digit) => digit === 0),
    })
    const commit = fc.record({
      ek: fc.nat(1),
      changes: fc.uniqueArray(change, { selector: ({ ak }) => ak, maxLength: 3, minLength: 1 }),
    })
    await fc.assert(
      fc.asyncProperty(fc.array(commit, { maxLength: 12 }), async (sequence) => {
        store = await kind.fresh()
        const model = new MemoryStore()
        for (const { ek, changes } of sequence) {
          const asked: RecordChange[] = []
          for (const { ak, identity, state, isStale } of changes) {
            const record = recordFor(3 * ek + ak, ek, { identity, state })
            const version = (await model.findByAk(record.akName))?.version ?? null
            asked.push({ record, expected: isStale ? 99 : version })
          }
          expect(await store.commit(asked)).toBe(await model.commit(asked))
        }
        expect(await store.list()).toEqual(await model.list())
      }),
      { numRuns: 80 },
    )
  })

  it('of many changes at the same time one is made', async () => {
    const record = recordFor(1, 1, { identity: 'i-1' })
    const creations = await Promise.all(Array.from({ length: 8 }, () => store.commit([made(record)])))
    expect(creations.filter(Boolean)).toHaveLength(1)
    const changes = Array.from({ length: 20 }, (_, at) => ({ record: { ...record, lastSeen: at }, expected: 1 }))
    const done = await Promise.all(changes.map((change) => store.commit([change])))
    expect(done.filter(Boolean)).toHaveLength(1)
    const won = changes[done.indexOf(true)]?.record.lastSeen
    expect(await store.findByAk(record.akName)).toMatchObject({ record: { lastSeen: won }, version: 2 })
  })

  it('of many that claim one EK or one identity at the same time one is made', async () => {
    const claims = Array.from({ length: 10 }, (_, ak) => made(recordFor(ak, ak % 5, { identity: 'i-1' })))
    const done = await Promise.all(claims.map((claim) => store.commit([claim])))
    expect(done.filter(Boolean)).toHaveLength(1)
    expect(await store.list()).toHaveLength(1)
  })

  it('keep the last outcomes of each key, newest first', async () => {
    const record = recordFor(1, 1)
    const append = (at: number) => store.commit([], [{ akName: record.akName, entry: entryAt(at) }])
    expect(await append(0)).toBe(false)
    await store.commit([made(record), made(recordFor(2, 2))])
    for (let at = 1; at <= historyLength + 1; at++) {
      expect(await append(at)).toBe(true)
      if (at === historyLength) expect((await store.history(record.akName)).at(-1)?.at).toBe(1)
    }
    const times = (await store.history(record.akName)).map(({ at }) => at)
    expect(times).toEqual(Array.from({ length: historyLength }, (_, index) => historyLength + 1 - index))
    expect(await store.history(recordFor(2, 2).akName)).toEqual([])
  })

  it('are listed in pages', async () => {
    const records = Array.from({ length: 2 * pageLength + 1 }, (_, index) => recordFor(index, index))
    expect(await store.commit([...records].reverse().map(made))).toBe(true)
    expect(await store.list()).toHaveLength(pageLength)
    const listed: string[] = []
    for await (const { akName } of recordsIn(store)) listed.push(akName)
    expect(listed).toEqual(records.map(({ akName }) => akName))
  })

  it('make a registry that does what its model does', () => requireModelled(() => kind.fresh(), 40))
})
