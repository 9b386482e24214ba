import { mkdir, readdir, stat } from 'node:fs/promises'
import { join } from 'node:path'
import type { CollateralFiles, CollateralStore } from '../../endorser/tdx/ports.ts'
import { Folder } from '../../platform/folder.ts'
import { SystemError } from '../../platform/system-error.ts'
import { agentErrors } from '../errors.ts'
import { readInput } from '../input-file.ts'
import type { Host } from './host.ts'
import { requireStateDirectory } from './state-files.ts'

/** The folder `collateral` of the state directory: what is in it is authenticated again whenever it is read (TDX-215). Only under the lock of the state directory. */
export async function openCollateralStore(
  stateDirectory: string,
  { random }: Pick<Host, 'random'>,
): Promise<CollateralStore & AsyncDisposable> {
  await requireStateDirectory(stateDirectory)
  const path = join(stateDirectory, 'collateral')
  await mkdir(path, { recursive: true, mode: 0o700 })
  const folder = await Folder.open(path, random)
  await folder.removeLeftovers()
  const work = new UnderWay()
  return {
    list: () => work.run(() => folder.list()),
    read: (name, maxBytes) => work.run(() => folder.read(name, { maxBytes })),
    write: async (name, content) => {
      await work.run(() => folder.write(name, content, 0o600))
    },
    remove: async (name) => {
      await work.run(() => folder.remove(name))
    },
    [Symbol.asyncDispose]: async () => {
      await work.end()
      await folder.close()
    },
  }
}

/** What uses the folder by its descriptor: once that is closed, its number may be that of another folder. */
class UnderWay {
  #running = new Set<Promise<unknown>>()
  #ended = false

  run<T>(work: () => Promise<T>): Promise<T> {
    if (this.#ended) return Promise.reject(new SystemError('ECANCELED', 'open', 'the folder of collateral'))
    const running = work()
    this.#running.add(running)
    const done = () => void this.#running.delete(running)
    running.then(done, done)
    return running
  }

  /** Lets what has begun come to its end, and nothing begin any more. */
  async end(): Promise<void> {
    this.#ended = true
    await Promise.allSettled(this.#running)
  }
}

/** Opening a named pipe would hold a thread of the pool until somebody writes into it. */
async function requireRegular(path: string): Promise<void> {
  const found = await stat(path).catch(() => null)
  if (found !== null && !found.isFile()) {
    throw agentErrors.error('INPUT_UNREADABLE', `${path}: is not a regular file`)
  }
}

/** Files that the operator names; null where `path` is no directory. */
export const collateralFiles: CollateralFiles = {
  read: async (path, maxBytes) => {
    await requireRegular(path)
    return readInput(path, maxBytes)
  },
  list: async (path) => {
    const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR' || error.code === 'ENOENT') return null
      throw agentErrors.error('INPUT_UNREADABLE', `${path}: ${error.code}`, { cause: error })
    })
    return names === null ? null : names.sort().map((name) => join(path, name))
  },
}
