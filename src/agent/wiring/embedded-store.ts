import { open, readdir, rename, rm } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex } from '../../base/bytes.ts'
import { AttestdError } from '../../base/errors.ts'
import { type FileLock, takeLock } from '../../platform/lock-file.ts'
import type { PgliteOptions } from '../../registry/pglite-engine.ts'
import type { SqlStore } from '../../registry/sql-store.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import type { RegistryStoreOptions } from './registry-store.ts'
import { requireStateDirectory } from './state-files.ts'

const lockName = 'lock'
const dataName = 'data'
const unfinishedForm = /^\.new-[0-9a-f]{32}$/

async function lockDirectory(directory: string, libc: RegistryStoreOptions['libc']): Promise<FileLock> {
  const facts = { directory }
  if (libc === null) {
    throw storeErrors.error('registry_unguarded', `${directory}: there is no native code to lock it with`, { facts })
  }
  try {
    return await takeLock(join(directory, lockName), libc)
  } catch (cause) {
    if (!(cause instanceof AttestdError) || cause.code !== 'LOCK_HELD') throw cause
    throw storeErrors.error('registry_in_use', `${directory}: another process holds its lock`, { facts, cause })
  }
}

async function force(directory: string): Promise<void> {
  const handle = await open(directory, 'r')
  try {
    await handle.sync()
  } finally {
    await handle.close()
  }
}

/**
 * The database is made beside its place and put there by one rename: whoever kills us meanwhile leaves a directory
 * without a database, and never a part of one. Only an empty directory gets a new one: enrolments are not forgotten
 * because something else was lost (ENR-12).
 */
async function makeDatabase(directory: string, { random, entry }: RegistryStoreOptions): Promise<void> {
  const { createPgliteDatabase } = await import('../../registry/pglite-engine.ts')
  const unfinished = join(directory, `.new-${toHex(random(16))}`)
  await createPgliteDatabase(unfinished, entryOption(entry))
  await rename(unfinished, join(directory, dataName))
  await force(directory)
}

function entryOption(entry: URL | undefined): PgliteOptions {
  return entry === undefined ? {} : { entry }
}

/** Only under the lock. */
async function prepare(directory: string, options: RegistryStoreOptions): Promise<void> {
  const names = await readdir(directory)
  for (const name of names.filter((entry) => unfinishedForm.test(entry))) {
    await rm(join(directory, name), { recursive: true, force: true })
  }
  if (names.includes(dataName)) return
  const others = names.filter((name) => name !== lockName && !unfinishedForm.test(name))
  if (others.length > 0) {
    const says = `${directory}: there is no database in it, but ${others.length} other entries are`
    throw storeErrors.error('registry_corrupt', says, { facts: { directory } })
  }
  await makeDatabase(directory, options)
}

async function openDatabase(
  directory: string,
  { entry }: RegistryStoreOptions,
  release: () => Promise<void>,
): Promise<SqlStore> {
  const [{ PgliteEngine }, { SqlStore: Store }] = await Promise.all([
    import('../../registry/pglite-engine.ts'),
    import('../../registry/sql-store.ts'),
  ])
  return Store.open(await PgliteEngine.open(join(directory, dataName), entryOption(entry)), release)
}

/** The store of an embedded registry, and the lock that is held as long as it is open. */
export async function openEmbeddedStore(directory: string, options: RegistryStoreOptions): Promise<SqlStore> {
  await requireStateDirectory(directory)
  const lock = await lockDirectory(directory, options.libc)
  try {
    await prepare(directory, options)
    return await openDatabase(directory, options, () => lock.release())
  } catch (error) {
    await lock.release()
    throw error
  }
}
