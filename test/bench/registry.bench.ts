import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { SqlStore } from '../../src/registry/sql-store.ts'
import { compare, comparison } from '../support/comparison.ts'
import { engineKinds } from '../support/sql-engines.ts'
import { entryAt, recordFor } from '../support/stored-records.ts'

/**
 * What an affirmed appraisal costs in the registry: counters, IMA checkpoint and an outcome, durable when it returns. The
 * floor writes as many bytes to a file that is there and forces them to the same disk.
 */
const checkpointBytes = 4_096

async function forcedFile(folder: string): Promise<{ write: () => Promise<void>; close: () => Promise<void> }> {
  const file = await open(join(folder, 'floor'), 'w')
  const bytes = randomBytes(checkpointBytes)
  const write = async () => {
    await file.write(bytes, 0, bytes.length, 0)
    await file.sync()
  }
  return { write, close: () => file.close() }
}

/** Commits progress of one key, again and again. */
async function progressOf(store: SqlStore): Promise<() => Promise<void>> {
  let version = 0
  return async () => {
    const counters = { resetCount: 1, restartCount: 0, clock: BigInt(version), safe: true }
    const checkpoint = new Uint8Array(randomBytes(checkpointBytes))
    const record = recordFor(1, 1, { counters, checkpoint, lastSeen: version })
    const outcome = { akName: record.akName, entry: entryAt(version, { counters }) }
    const done = await store.commit([{ record, expected: version === 0 ? null : version }], [outcome])
    if (!done) throw new Error('the commit was refused')
    version += 1
  }
}

comparison('progress in the registry', async () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-bench-'))
  const floor = await forcedFile(folder)
  const opened: { readonly name: string; readonly store: SqlStore; readonly end: () => Promise<void> }[] = []
  for (const { name, make } of engineKinds.filter(({ possible }) => possible)) {
    const place = await make()
    const store = await SqlStore.open(await place.open())
    opened.push({ name, store, end: async () => [await store.close(), await place[Symbol.asyncDispose]()][0] })
  }
  const commits = await Promise.all(
    opened.map(async ({ name, store }) => ({
      name: `commit, ${name}`,
      role: 'ours' as const,
      run: await progressOf(store),
    })),
  )
  const reads = opened.map(({ name, store }) => ({
    name: `look-up, ${name}`,
    role: 'ours' as const,
    run: () => store.findByAk(recordFor(1, 1).akName),
  }))
  const written = { name: '4 KiB to a file, fsync', role: 'floor' as const, run: floor.write }
  await compare('progress of one key', [written, ...commits, ...reads], { ms: 4_000, warmUp: 30 })
  for (const { end } of opened) await end()
  await floor.close()
  rmSync(folder, { recursive: true, force: true })
})
