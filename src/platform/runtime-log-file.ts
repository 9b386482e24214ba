import { constants } from 'node:fs'
import { type FileHandle, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { RandomSource } from '../base/random.ts'
import { fileError } from './file-errors.ts'
import { Folder } from './folder.ts'
import { readProtected } from './protected-file.ts'
import { SystemError } from './system-error.ts'

const { O_CREAT, O_NOFOLLOW, O_NONBLOCK, O_RDWR } = constants
/** A record holds one log entry in base64, at most about 12 KiB. */
const recordLimit = 65_536
const mode = 0o600

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}

/**
 * The log of runtime measurements at `path`, with the write-ahead record `<name>.pending` beside it, for the TDX
 * attester (TDX-021, 036). To be written the folder has to exist, and to be one that is empty after every boot and at
 * no other time: the registers are reset then, and only then. Both files belong to us, and only we may write them;
 * others are refused with `FILE_UNSAFE`.
 */
export function runtimeLogFile(path: string, random: RandomSource) {
  const recordName = `${basename(path)}.pending`
  const inFolder = async <T>(use: (folder: Folder) => Promise<T>): Promise<T> => {
    await using folder = await Folder.open(dirname(path), random)
    return await use(folder)
  }
  return {
    read: async (limit: number): Promise<Uint8Array | null> => {
      const log = await readProtected(path, { maxBytes: limit + 1 })
      if (log !== null && log.length > limit) throw new SystemError('EFBIG', 'read', path)
      return log
    },
    writeAt: async (offset: number, bytes: Uint8Array): Promise<void> => {
      try {
        await using file = await open(path, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode)
        if ((await file.stat()).size > offset) await file.truncate(offset)
        await writeAll(file, bytes, offset)
        await file.sync()
      } catch (error) {
        throw fileError(error, path)
      }
    },
    readRecord: () => readProtected(`${path}.pending`, { maxBytes: recordLimit }),
    writeRecord: (record: Uint8Array) =>
      inFolder(async (folder) => {
        await folder.write(recordName, record, mode)
      }),
    removeRecord: () =>
      inFolder(async (folder) => {
        await folder.remove(recordName)
      }),
  }
}
