import { join } from 'node:path'
import { AttestdError } from '../../base/errors.ts'
import { type FileLock, takeLock } from '../../platform/lock-file.ts'
import type { Host } from './host.ts'
import { clearStateDirectory, requireStateDirectory } from './state-files.ts'

/**
 * Who may write what is in the state directory. Only one process at a time may make or change keys there:
 * `ours`: this one; `agent`: another process holds the lock; `unguarded`: without native code nobody can hold it.
 * Who does not hold it may read: files are replaced whole.
 */
export type StateHold =
  | { readonly by: 'ours'; readonly lock: FileLock }
  | { readonly by: 'agent' }
  | { readonly by: 'unguarded' }

export const lockPath = (stateDirectory: string) => join(stateDirectory, 'lock')

/** Takes the lock of the state directory if nobody has it. Throws what `takeLock` throws, but `LOCK_HELD`. */
export async function holdState(stateDirectory: string, { libc }: Pick<Host, 'libc'>): Promise<StateHold> {
  if (libc === null) return { by: 'unguarded' }
  try {
    return { by: 'ours', lock: await takeLock(lockPath(stateDirectory), libc) }
  } catch (error) {
    if (error instanceof AttestdError && error.code === 'LOCK_HELD') return { by: 'agent' }
    throw error
  }
}

/** The state directory is this process's alone from here on; without native code nothing can be locked. */
export async function takeState(directory: string, host: Host): Promise<FileLock | null> {
  await requireStateDirectory(directory)
  if (!host.libc) return null
  const lock = await takeLock(lockPath(directory), host.libc)
  await clearStateDirectory(directory, host)
  return lock
}
