import { mkdir, stat } from 'node:fs/promises'
import { writeAtomically } from '../../platform/atomic-file.ts'
import { Folder } from '../../platform/folder.ts'
import { readProtected } from '../../platform/protected-file.ts'
import { agentErrors } from '../errors.ts'
import type { Host } from './host.ts'

const largestState = 1 << 20

export interface StateFile {
  /** Null if it was never written. */
  load(): Promise<Uint8Array | null>
  /** Has reached the disk when it resolves; after a crash the old or the new content is there. */
  save(content: Uint8Array): Promise<void>
}

/** A secret in the state directory: 0600, refused where others could have read or written it. */
export function stateFile(path: string, { random }: Pick<Host, 'random'>): StateFile {
  return {
    load: () => readProtected(path, { maxBytes: largestState, forbidden: 0o077 }),
    save: (content) => writeAtomically(path, content, { mode: 0o600, random }),
  }
}

/** Removes what writers that were killed left behind (BRK-117). Only under the lock of the directory. */
export async function clearStateDirectory(path: string, { random }: Pick<Host, 'random'>): Promise<void> {
  await using folder = await Folder.open(path, random)
  await folder.removeLeftovers()
}

/** Makes the state directory if it is missing (0700), and refuses one that others can enter. */
export async function requireStateDirectory(path: string): Promise<void> {
  const refuse = (says: string, cause?: unknown) =>
    agentErrors.error('STATE_DIRECTORY', `${path}: ${says}`, { facts: { path }, cause })
  await mkdir(path, { recursive: true, mode: 0o700 }).catch((cause: NodeJS.ErrnoException) => {
    throw refuse(`cannot be made (${cause.code})`, cause)
  })
  const { uid, mode } = await stat(path)
  if (uid !== process.geteuid?.()) throw refuse(`belongs to uid ${uid}`)
  if ((mode & 0o077) !== 0) throw refuse(`others can enter it (mode ${(mode & 0o777).toString(8)})`)
}
