import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { isAbsent } from './file-errors.ts'
import { readToEnd } from './protected-file.ts'
import { SystemError } from './system-error.ts'
import type { TdxPaths } from './tdx-paths.ts'

const tableLimit = 4096

/**
 * All bytes of a file of the kernel; null where there is none. Rejects with the system's error, and with `EFBIG` above
 * `limit` bytes.
 */
export async function readKernelFile(path: string, limit: number): Promise<Uint8Array | null> {
  let file: FileHandle
  try {
    // Without O_NONBLOCK the opening of a named pipe in its place would wait for a writer.
    file = await open(path, constants.O_RDONLY | constants.O_NONBLOCK)
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
  try {
    const content = await readToEnd(file, limit)
    if (content === null) throw new SystemError('EFBIG', 'read', path)
    return content
  } finally {
    await file.close()
  }
}

/** The event log that the firmware left for this guest, for the TDX attester (TDX-020). */
export function bootLogFiles({ ccelTable, ccelLog }: Pick<TdxPaths, 'ccelTable' | 'ccelLog'>) {
  return {
    readTable: () => readKernelFile(ccelTable, tableLimit),
    readLog: (limit: number) => readKernelFile(ccelLog, limit),
  }
}
