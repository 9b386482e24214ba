import { mkdir, readdir } from 'node:fs/promises'
import { join } from 'node:path'
import type { CollateralFiles, CollateralStore } from '../../endorser/tdx/ports.ts'
import { Folder } from '../../platform/folder.ts'
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
  return {
    list: () => folder.list(),
    read: (name, maxBytes) => folder.read(name, { maxBytes }),
    write: (name, content) => folder.write(name, content, 0o600),
    remove: async (name) => {
      await folder.remove(name)
    },
    [Symbol.asyncDispose]: () => folder.close(),
  }
}

/** Files that the operator names; null where `path` is no directory. */
export const collateralFiles: CollateralFiles = {
  read: (path, maxBytes) => readInput(path, maxBytes),
  list: async (path) => {
    const names = await readdir(path).catch((error: NodeJS.ErrnoException) => {
      if (error.code === 'ENOTDIR' || error.code === 'ENOENT') return null
      throw error
    })
    return names === null ? null : names.sort().map((name) => join(path, name))
  },
}
