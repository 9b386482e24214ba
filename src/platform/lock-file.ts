import { constants } from 'node:fs'
import { open } from 'node:fs/promises'
import { errnoOf, type Libc, LOCK_EXCLUSIVE_NOW } from '../../native/libc.ts'
import { platformErrors } from './errors.ts'
import { fileError } from './file-errors.ts'

/** Held until `release`, or until the process ends, however it ends. */
export interface FileLock extends AsyncDisposable {
  release(): Promise<void>
}

const { O_CREAT, O_NOFOLLOW, O_RDWR } = constants

/**
 * Takes an exclusive advisory lock on the file at `path`, which is made if it is missing and never removed: who
 * removes a lock file lets two others lock different files under one name. Throws `LOCK_HELD`, at once.
 */
export async function takeLock(path: string, libc: Libc): Promise<FileLock> {
  const file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600).catch((error: unknown) => {
    throw fileError(error, path)
  })
  const { errno } = libc.flock(file.fd, LOCK_EXCLUSIVE_NOW)
  if (errno !== 0) {
    await file.close()
    const facts = { path, errno }
    if (errno === errnoOf.EAGAIN) throw platformErrors.error('LOCK_HELD', `${path}: is locked`, { facts })
    throw platformErrors.error('FILE_UNUSABLE', `${path}: flock failed with errno ${errno}`, { facts })
  }
  const release = () => file.close()
  return { release, [Symbol.asyncDispose]: release }
}
