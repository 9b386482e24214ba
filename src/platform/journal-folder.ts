import { constants } from 'node:fs'
import { type FileHandle, mkdir, open, readdir, unlink } from 'node:fs/promises'
import { join } from 'node:path'
import { fileError, isAbsent } from './file-errors.ts'
import { readProtected } from './protected-file.ts'

const { O_CREAT, O_DIRECTORY, O_NOFOLLOW, O_NONBLOCK, O_RDONLY, O_RDWR } = constants
const mode = 0o600

async function writeAll(file: FileHandle, bytes: Uint8Array, offset: number): Promise<void> {
  for (let done = 0; done < bytes.length; ) {
    const { bytesWritten } = await file.write(bytes, done, bytes.length - done, offset + done)
    done += bytesWritten
  }
}

/** A new name is lost with the power as long as its folder has not reached the disk. */
async function syncFolder(path: string): Promise<void> {
  await using folder = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
  await folder.sync()
}

/**
 * A folder of files that only grow, 0700 and 0600, for the journal; `accepts` says which names are its own. Rejections carry
 * `FILE_UNUSABLE` or `FILE_UNSAFE`. For one writer at a time.
 */
export function journalFolder(
  path: string,
  accepts: (name: string) => boolean,
  { owners }: { readonly owners?: readonly number[] } = {},
) {
  const reading = { forbidden: 0o077, ...(owners ? { owners } : {}) }
  const at = (name: string) => {
    if (!accepts(name)) throw new TypeError('not the name of a file of the journal')
    return join(path, name)
  }
  const failing = async <T>(shown: string, run: () => Promise<T>): Promise<T> => {
    try {
      return await run()
    } catch (error) {
      throw fileError(error, shown)
    }
  }
  return {
    list: async (): Promise<readonly string[]> => {
      const names = await readdir(path).catch((error: unknown) => {
        if (isAbsent(error)) return []
        throw fileError(error, path)
      })
      return names.filter(accepts).sort()
    },
    read: (name: string, maxBytes: number): Promise<Uint8Array | null> =>
      readProtected(at(name), { maxBytes, ...reading }),
    writeAt: (name: string, offset: number, bytes: Uint8Array): Promise<void> =>
      failing(at(name), async () => {
        await mkdir(path, { recursive: true, mode: 0o700 })
        await using file = await open(at(name), O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, mode)
        if ((await file.stat()).size > offset) await file.truncate(offset)
        await writeAll(file, bytes, offset)
        await file.datasync()
        if (offset === 0) await syncFolder(path)
      }),
    remove: (name: string): Promise<void> => failing(at(name), () => unlink(at(name))),
  }
}
