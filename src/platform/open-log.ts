import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { AttestdError } from '../base/errors.ts'
import { platformErrors } from './errors.ts'
import { isAbsent } from './file-errors.ts'

export type LogCode = 'eventlog_unreadable' | 'ima_unreadable'

/** What the system refused, as an error of `code`; anything else as it is. */
export function unreadable(code: LogCode, path: string, cause: unknown): unknown {
  const { code: errno, syscall } = cause as NodeJS.ErrnoException
  if (cause instanceof AttestdError || errno === undefined || syscall === undefined) return cause
  return platformErrors.error(code, `${path}: ${syscall} failed with ${errno}`, { cause, facts: { path, errno } })
}

export function tooLong(code: LogCode, path: string, limit: number): AttestdError {
  const remedy = 'a log of this size is not sent; find out what writes so much into it'
  return platformErrors.error(code, `${path}: has more than ${limit} bytes`, { remedy, facts: { path, limit } })
}

/** Without O_NONBLOCK the opening of a named pipe would wait for its writer, and hold a thread of the pool as long. */
export async function openLog(path: string, code: LogCode): Promise<FileHandle | null> {
  let file: FileHandle
  try {
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
  if ((await file.stat()).isFile()) return file
  await file.close()
  throw platformErrors.error(code, `${path}: is not a regular file`, { facts: { path } })
}
