import { spawnSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import { cpSync, mkdtempSync, readdirSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { Worker } from 'node:worker_threads'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { pgliteEntry } from '../../test/support/sql-engines.ts'
import { recordFor } from '../../test/support/stored-records.ts'
import { AttestdError } from '../base/errors.ts'
import { createPgliteDatabase, PgliteEngine } from './pglite-engine.ts'
import { SqlRefusal } from './sql-engine.ts'
import { SqlStore } from './sql-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-embedded-'))
const template = join(folder, 'template')
let entry: URL

beforeAll(async () => {
  entry = await pgliteEntry()
  await createPgliteDatabase(template, { entry })
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function newDatabase(name: string, within = folder): string {
  const directory = join(within, name)
  cpSync(template, directory, { recursive: true })
  return directory
}

const bigRecord = (ak: number, bytes: number) =>
  recordFor(ak, ak, { checkpoint: new Uint8Array(randomBytes(bytes)), lastSeen: ak })

async function codeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'done'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    return error.code
  }
}

describe('an embedded database', { timeout: 300_000 }, () => {
  it('refuses statements without harm to what comes after them', async () => {
    const engine = await PgliteEngine.open(newDatabase('refusals'), { entry })
    await expect(engine.query('SELECT 1 FROM nowhere')).rejects.toEqual(new SqlRefusal('42P01'))
    const failing = engine.transaction(async (database) => {
      await database.query('CREATE TABLE made (a integer PRIMARY KEY)')
      await database.query('INSERT INTO made VALUES ($1::integer), ($1::integer)', ['1'])
    })
    await expect(failing).rejects.toEqual(new SqlRefusal('23505', 'made_pkey'))
    await expect(engine.query('SELECT FROM made')).rejects.toEqual(new SqlRefusal('42P01'))
    const swallowed = engine.transaction((database) => database.query('SELECT 1 FROM nowhere').catch(() => []))
    await expect(swallowed).rejects.toEqual(new SqlRefusal('25P02'))
    expect(await engine.query('SELECT $1 AS text, $2::boolean AS flag', ["';--", true])).toEqual([
      { text: "';--", flag: true },
    ])
    await engine.close()
    expect(await codeOf(engine.query('SELECT 1'))).toBe('registry_unavailable')
  })

  it('waits for its disk', async () => {
    const engine = await PgliteEngine.open(newDatabase('settings'), { entry })
    const names = ['fsync', 'full_page_writes', 'synchronous_commit', 'wal_sync_method', 'data_checksums']
    const settings = await Promise.all(names.map((name) => engine.query(`SELECT current_setting('${name}') AS is`)))
    expect(settings.map(([row]) => row?.['is'])).toEqual(['on', 'on', 'on', 'fsync', 'on'])
    await engine.close()
  })

  it('has every acknowledged commit after a loss of power, also between checkpoints', async () => {
    const directory = newDatabase('power')
    const shadow = join(folder, 'power-shadow')
    const shim = pathToFileURL(resolve(import.meta.dirname, '../../test/support/durable-shadow.mjs'))
    // The engine says to its thread where it works; the shadow needs two words more.
    const store = await SqlStore.open(
      await PgliteEngine.open(directory, {
        entry: shim,
        careEvery: 7,
        start: (url, options) =>
          new Worker(url, { ...options, workerData: { ...options.workerData, shadow, entry: entry.href } }),
      }),
    )
    for (const [cut, commits] of [1, 5, 18].entries()) {
      const first = (await store.list()).length
      for (let ak = first; ak < first + commits; ak++) {
        expect(await store.commit([{ record: bigRecord(ak, 30_000), expected: null }])).toBe(true)
      }
      // Waits for the care that the last commit may have brought about.
      const present = await store.list()
      const left = join(folder, `power-${cut}`)
      cpSync(shadow, left, { recursive: true })
      const revived = await SqlStore.open(await PgliteEngine.open(left, { entry }))
      expect(await revived.list()).toEqual(present)
      await revived.close()
    }
    await store.close()
  })

  it('does not let its log grow without an end', async () => {
    const directory = newDatabase('log')
    const store = await SqlStore.open(await PgliteEngine.open(directory, { entry, careEvery: 20 }))
    for (let version = 0; version < 200; version++) {
      const change = { record: bigRecord(1, 200_000), expected: version === 0 ? null : version }
      expect(await store.commit([change])).toBe(true)
    }
    const segments = readdirSync(join(directory, 'pg_wal')).filter((name) => /^[0-9A-F]{24}$/.test(name))
    expect(segments.length).toBeLessThan(30)
    const size = await store.findByAk(bigRecord(1, 0).akName)
    expect(size?.version).toBe(200)
    await store.close()
    const used = spawnSync('du', ['-sk', join(directory, 'base')], { encoding: 'utf8' }).stdout
    expect(Number.parseInt(used, 10)).toBeLessThan(40_000)
  })

  it('opens again by itself after its thread has ended', async () => {
    let worker: Worker | undefined
    const start = (url: URL, options: ConstructorParameters<typeof Worker>[1]) => {
      worker = new Worker(url, options)
      return worker
    }
    const store = await SqlStore.open(await PgliteEngine.open(newDatabase('ended'), { entry, start }))
    expect(await store.commit([{ record: recordFor(1, 1), expected: null }])).toBe(true)
    const cut = store.commit([{ record: recordFor(1, 1), expected: 1 }])
    await worker?.terminate()
    expect(['done', 'registry_unavailable']).toContain(await codeOf(cut))
    const version = (await store.findByAk(recordFor(1, 1).akName))?.version ?? 0
    expect([1, 2]).toContain(version)
    expect(await store.commit([{ record: recordFor(1, 1), expected: version }])).toBe(true)
    await store.close()
  })
})

/** A file system that holds little; null where none can be mounted. Ends with the test. */
function smallFileSystem(megabytes: number) {
  const place = mkdtempSync(join(tmpdir(), 'attestd-small-'))
  const { status } = spawnSync('mount', ['-t', 'tmpfs', '-o', `size=${megabytes}m`, 'none', place])
  const end = () => {
    if (status === 0) spawnSync('umount', ['-l', place])
    rmSync(place, { recursive: true, force: true })
  }
  if (status !== 0) end()
  const grow = (size: number) => void spawnSync('mount', ['-o', `remount,size=${size}m`, place])
  return status === 0 ? { place, grow, [Symbol.dispose]: end } : null
}

describe('an embedded database without room', { timeout: 300_000 }, () => {
  it('says so, keeps what it acknowledged, and goes on when there is room', async ({ skip }) => {
    using small = smallFileSystem(48)
    if (small === null) return skip('no small file system can be mounted')
    const directory = newDatabase('full', small.place)
    const store = await SqlStore.open(await PgliteEngine.open(directory, { entry }))
    let acknowledged = 0
    const commit = () => codeOf(store.commit([{ record: bigRecord(acknowledged, 150_000), expected: null }]))
    let code = await commit()
    for (; code === 'done'; code = await commit()) acknowledged += 1
    expect([acknowledged > 5, code]).toEqual([true, 'registry_storage_full'])
    expect(await commit()).toBe('registry_storage_full')
    small.grow(300)
    const listed = await store.list()
    expect([acknowledged, acknowledged + 1]).toContain(listed.length)
    expect(listed.every(({ record }) => record.checkpoint?.length === 150_000)).toBe(true)
    acknowledged = listed.length
    expect(await commit()).toBe('done')
    await store.close()
    const again = await SqlStore.open(await PgliteEngine.open(directory, { entry }))
    expect(await again.list()).toHaveLength(acknowledged + 1)
    await again.close()
  })
})
