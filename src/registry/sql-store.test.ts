import { describe, expect, it } from 'vitest'
import { entryAt, recordFor } from '../../test/support/stored-records.ts'
import { schemaVersion } from './migrations.ts'
import { type SqlEngine, type SqlQueries, SqlRefusal, type SqlRow } from './sql-engine.ts'
import { errorOfState } from './sql-states.ts'
import { SqlStore } from './sql-store.ts'

/** A database with our schema that has no rows, and fails as it is told to. */
class Scripted implements SqlEngine {
  readonly failures: Error[] = []
  rows: readonly SqlRow[] = []
  version = String(schemaVersion)
  transactions = 0
  closed = 0

  async query(sql: string): Promise<readonly SqlRow[]> {
    if (sql.includes('EXISTS')) return [{ exists: true }]
    if (sql.includes('schema_versions')) return [{ version: this.version }]
    return this.rows
  }

  async transaction<T>(run: (within: SqlQueries) => Promise<T>): Promise<T> {
    this.transactions += 1
    const result = await run({ query: async () => [] })
    const failure = this.failures.shift()
    if (failure) throw failure
    return result
  }

  async close(): Promise<void> {
    this.closed += 1
  }
}

const change = { record: recordFor(1, 1), expected: null }

async function opened(): Promise<{ engine: Scripted; store: SqlStore }> {
  const engine = new Scripted()
  return { engine, store: await SqlStore.open(engine) }
}

const failing = (times: number, state: string) => Array.from({ length: times }, () => new SqlRefusal(state))

describe('a commit that the database refuses', () => {
  it.each(['23505', '23503'])('because others were faster (%s) gives false, at once', async (state) => {
    const { engine, store } = await opened()
    engine.failures.push(new SqlRefusal(state))
    expect(await store.commit([change])).toBe(false)
    expect(engine.transactions).toBe(1)
  })

  it.each(['40001', '40P01', '55P03'])('in passing (%s) is tried again, five times in all', async (state) => {
    const { engine, store } = await opened()
    engine.failures.push(...failing(4, state))
    expect(await store.commit([change])).toBe(true)
    engine.failures.push(...failing(5, state))
    await expect(store.commit([change])).rejects.toMatchObject({ code: 'registry_unavailable', retryable: true })
    expect(engine.transactions).toBe(10)
  })

  it('for another reason fails with its SQLSTATE, and without a value', async () => {
    const { engine, store } = await opened()
    engine.failures.push(new SqlRefusal('22001', 'some_constraint'))
    const failure = await store.commit([change], [{ akName: 'a', entry: entryAt(1) }]).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'registry_statement', facts: { sqlstate: '22001' } })
    expect(String(failure)).not.toContain(change.record.akName)
  })

  it('passes on what the engine says of the database, and is not tried again', async () => {
    const { engine, store } = await opened()
    engine.failures.push(errorOfState('57P01', null, 'here'))
    await expect(store.commit([change])).rejects.toMatchObject({ code: 'registry_unavailable' })
    expect(engine.transactions).toBe(1)
  })
})

describe('what a SQLSTATE means', () => {
  it.each([
    ['08006', 'registry_unavailable'],
    ['25006', 'registry_unavailable'],
    ['28P01', 'registry_access'],
    ['3D000', 'registry_access'],
    ['42501', 'registry_access'],
    ['53100', 'registry_storage_full'],
    ['53300', 'registry_unavailable'],
    ['57P03', 'registry_unavailable'],
    ['57014', 'registry_unavailable'],
    ['XX001', 'registry_corrupt'],
  ])('%s: %s', (state, code) => {
    expect(errorOfState(state, null, 'here')).toMatchObject({ code, facts: { place: 'here', sqlstate: state } })
  })

  it.each(['23505', '42601', 'XX000', '40001'])('%s: the statement is at fault', (state) => {
    expect(errorOfState(state, 'c', 'here')).toEqual(new SqlRefusal(state, 'c'))
  })
})

describe('a schema', () => {
  it.each([
    [String(schemaVersion + 1), 'knows schema'],
    ['', 'does not say'],
    ['-1', 'does not say'],
  ])('of version "%s" is refused, and its engine closed', async (version, says) => {
    const engine = new Scripted()
    engine.version = version
    const failure = await SqlStore.open(engine).catch((error: unknown) => error)
    expect(failure).toMatchObject({ code: 'registry_schema', message: expect.stringContaining(says) })
    expect([engine.transactions, engine.closed]).toEqual([0, 1])
  })
})

describe('a row that a hand has changed', () => {
  const sound: SqlRow = {
    ...{ ak_name: 'a', version: '1', ek_name: 'e', ak_public: new Uint8Array(1), ek_public: new Uint8Array(1) },
    ...{ ek_spki_sha256: 'aa', ek_cert_sha256: null, ek_not_after: null, certificates: new Uint8Array(), anchor: null },
    ...{ identity: null, instance_id: null, crl_status: null, crl_fresh_until: null, trust: 'ek-pinned' },
    ...{ simulated: false, created: '1', last_seen: '1', reset_count: null, restart_count: null, clock: null },
    ...{ safe: null, firmware_version: null, checkpoint: null, state: 'active', state_reason: null, state_since: null },
  }

  it('is taken where it is sound', async () => {
    const { engine, store } = await opened()
    engine.rows = [sound]
    expect(await store.findByAk('a')).toMatchObject({ version: 1, record: { akName: 'a', certificates: [] } })
  })

  it.each<[string, SqlRow]>([
    ['a missing column', { ak_name: undefined }],
    ['a name that is bytes', { ak_name: new Uint8Array(1) }],
    ['bytes that are text', { ak_public: '\\x00' }],
    ['half a length', { certificates: Uint8Array.of(0, 0, 0) }],
    ['a length beyond the end', { certificates: Uint8Array.of(0, 0, 0, 2, 1) }],
    ['a number with a fraction', { created: '1.5' }],
    ['a number that is not exact', { created: '9007199254740993' }],
    ['a clock below zero', { clock: '-1', reset_count: '1', restart_count: '1', safe: true }],
    ['a clock without its counters', { clock: '1' }],
    ['an unknown state', { state: 'dead' }],
    ['a state without its reason', { state: 'revoked', state_since: '1' }],
    ['the reason of another state', { state: 'suspended', state_reason: 'released', state_since: '1' }],
    ['an unknown trust', { trust: 'none' }],
    ['an unknown status of lists', { crl_status: 'new' }],
    ['a name that is no JSON', { identity: 'json:{' }],
    ['a name that is not text in JSON', { identity: 'json:1' }],
  ])('is refused: %s', async (_what, changes) => {
    const { engine, store } = await opened()
    engine.rows = [{ ...sound, ...changes }]
    await expect(store.findByAk('a')).rejects.toMatchObject({ code: 'registry_corrupt' })
  })
})

it('releases what was held for its engine after it was closed', async () => {
  const engine = new Scripted()
  const closedBefore: number[] = []
  const store = await SqlStore.open(engine, async () => void closedBefore.push(engine.closed))
  await store[Symbol.asyncDispose]()
  expect(closedBefore).toEqual([1])
})
