import { createHash } from 'node:crypto'
import { type BigIntStats, constants } from 'node:fs'
import { type FileHandle, open, readdir, rename, statfs, unlink } from 'node:fs/promises'
import { toHex } from '../base/bytes.ts'
import type { RandomSource } from '../base/random.ts'
import { fileError, isAbsent } from './file-errors.ts'
import { type Protection, readProtected } from './protected-file.ts'

const { O_CREAT, O_DIRECTORY, O_EXCL, O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants
/** Magic numbers of tmpfs and ramfs: there is no disk to wait for. */
const memoryFileSystems = [0x01021994, 0x858458f6]
const temporaryForm = /^\.tmp-[0-9a-f]{32}$/

/** What the temporary names of a file begin with: whoever writes several files of one folder can tell them apart. */
function temporaryStart(name: string): string {
  return `.tmp-${createHash('sha256').update(name).digest('hex').slice(0, 16)}`
}

/** Whole, or in parts that are made as they are written. */
export type FileContent = Uint8Array | Iterable<Uint8Array>

function requireName(name: string): void {
  const isPlain = name !== '' && name !== '.' && name !== '..' && !/[/\0]/.test(name)
  if (!isPlain || temporaryForm.test(name)) throw new TypeError('the name of a file in a folder is one plain component')
}

/**
 * A folder that is opened once; everything in it is reached through that handle, so that exchanging a component of
 * its path later cannot redirect us (BRK-112). Rejections carry `FILE_UNUSABLE` or `FILE_UNSAFE`.
 */
export class Folder implements AsyncDisposable {
  readonly path: string
  #handle: FileHandle
  #random: RandomSource
  #lasting: boolean

  private constructor(path: string, handle: FileHandle, random: RandomSource, lasting: boolean) {
    this.path = path
    this.#handle = handle
    this.#random = random
    this.#lasting = lasting
  }

  static async open(path: string, random: RandomSource): Promise<Folder> {
    let handle: FileHandle | undefined
    try {
      handle = await open(path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
      const { type } = await statfs(`/proc/self/fd/${handle.fd}`)
      return new Folder(path, handle, random, !memoryFileSystems.includes(type))
    } catch (error) {
      await handle?.close()
      throw fileError(error, path)
    }
  }

  /**
   * Puts `content` in place of the file `name`. A reader sees all of the old or all of the new file, also after a
   * crash or a loss of power: written under another name with its final mode set first, forced to the disk, renamed
   * (BRK-111). A symbolic link there is replaced, not followed. On failure the old file stays. Gives what the system says
   * of the new file.
   */
  async write(name: string, content: FileContent, mode: number): Promise<BigIntStats> {
    requireName(name)
    const temporary = `${temporaryStart(name)}${toHex(this.#random(8))}`
    try {
      const written = await this.#create(temporary, content, mode)
      await rename(this.#at(temporary), this.#at(name))
      if (this.#lasting) await this.#handle.sync()
      return written
    } catch (error) {
      await unlink(this.#at(temporary)).catch(() => undefined)
      throw fileError(error, `${this.path}/${name}`)
    }
  }

  /** The content of a regular file that is protected as asked; null where there is none. */
  async read(name: string, protection: Protection): Promise<Uint8Array | null> {
    requireName(name)
    return readProtected(this.#at(name), protection, `${this.path}/${name}`)
  }

  /** Removes a file; false where there was none. */
  async remove(name: string): Promise<boolean> {
    requireName(name)
    try {
      await unlink(this.#at(name))
      return true
    } catch (error) {
      if (isAbsent(error)) return false
      throw fileError(error, `${this.path}/${name}`)
    }
  }

  /** Names of all entries, sorted; files that are being written are left out. */
  async list(): Promise<string[]> {
    return (await readdir(this.#at('.'))).filter((name) => !temporaryForm.test(name)).sort()
  }

  /** Removes what writers that were killed left behind, of one file or of all. To be called before the first write (BRK-117). */
  async removeLeftovers(of?: string): Promise<number> {
    const start = of === undefined ? '' : temporaryStart(of)
    const names = await readdir(this.#at('.'))
    const left = names.filter((name) => temporaryForm.test(name) && name.startsWith(start))
    for (const name of left) await unlink(this.#at(name)).catch(() => undefined)
    return left.length
  }

  /** Forces names that were given or taken by others than `write` to the disk, where there is one. */
  async settle(): Promise<void> {
    if (this.#lasting) await this.#handle.sync()
  }

  /** Whether it is on a disk: what is written outlives the power. */
  get lasting(): boolean {
    return this.#lasting
  }

  /** Sets the mode of the folder itself. */
  protect(mode: number): Promise<void> {
    return this.#handle.chmod(mode)
  }

  /** Of the folder that is open, wherever it is by now. */
  stat(): Promise<BigIntStats> {
    return this.#handle.stat({ bigint: true })
  }

  /** Path of an entry by way of the handle: no component of it can be exchanged. */
  place(name: string): string {
    requireName(name)
    return this.#at(name)
  }

  /** Path of the folder itself by way of the handle. */
  get here(): string {
    return this.#at('.')
  }

  async close(): Promise<void> {
    await this.#handle.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #at(name: string): string {
    return `/proc/self/fd/${this.#handle.fd}/${name}`
  }

  async #create(name: string, content: FileContent, mode: number): Promise<BigIntStats> {
    const file = await open(this.#at(name), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
    try {
      await file.chmod(mode)
      for (const part of content instanceof Uint8Array ? [content] : content) await file.writeFile(part)
      if (this.#lasting) await file.sync()
      return await file.stat({ bigint: true })
    } finally {
      await file.close()
    }
  }
}
