import { AttestdError } from '../base/errors.ts'
import { platformErrors } from './errors.ts'

/** What the system refused, as an error with the path; bugs pass through. */
export function fileError(cause: unknown, path: string): unknown {
  const { code, syscall } = cause as NodeJS.ErrnoException
  if (cause instanceof AttestdError || code === undefined || syscall === undefined) return cause
  const facts = { path, errno: code }
  if (code === 'ELOOP' || code === 'ENOTDIR') {
    return platformErrors.error('FILE_UNSAFE', `${path}: has a symbolic link or a file where a folder is needed`, {
      cause,
      facts,
    })
  }
  return platformErrors.error('FILE_UNUSABLE', `${path}: ${syscall} failed with ${code}`, { cause, facts })
}

/** True for "there is no such file". */
export function isAbsent(error: unknown): boolean {
  return (error as NodeJS.ErrnoException).code === 'ENOENT'
}
