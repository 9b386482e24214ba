import { type BigIntStats, constants } from 'node:fs'
import { lstat, open } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import { concatBytes } from '../base/bytes.ts'
import type { RandomSource } from '../base/random.ts'
import { fileError, isAbsent } from './file-errors.ts'
import { TokenDirectory, type TokenDirectoryRules } from './token-directory.ts'

const { O_NOFOLLOW, O_NONBLOCK, O_RDONLY } = constants

export interface TokenFileOptions extends TokenDirectoryRules {
  readonly path: string
  readonly mode: number
  readonly random: RandomSource
}

/** What lies at a path: two marks are equal only of a file that nobody replaced, wrote to, or changed the mode or owner of. */
export interface SeenFile {
  readonly mark: string
  readonly regular: boolean
  /** Its mode is the one that token files get here. */
  readonly modeFits: boolean
}

export function markOf({ dev, ino, size, mode, uid, gid, mtimeNs }: BigIntStats): string {
  return [dev, ino, size, mode, uid, gid, mtimeNs].join(':')
}

/** The entry at `place` itself, no link followed; null where there is none. */
export async function lookAt(place: string, mode: number): Promise<SeenFile | null> {
  try {
    const found = await lstat(place, { bigint: true })
    return { mark: markOf(found), regular: found.isFile(), modeFits: Number(found.mode & 0o7777n) === mode }
  } catch (error) {
    if (isAbsent(error)) return null
    throw error
  }
}

/** The content of a regular file of at most `maxBytes`; null for anything else that may lie there. */
export async function readSmall(place: string, maxBytes: number): Promise<Uint8Array | null> {
  // A pipe must not be waited for, and a link not followed.
  const file = await open(place, O_RDONLY | O_NOFOLLOW | O_NONBLOCK).catch(() => null)
  if (file === null) return null
  try {
    const room = new Uint8Array(maxBytes + 1)
    const parts: Uint8Array[] = []
    let total = 0
    if (!(await file.stat()).isFile()) return null
    for (;;) {
      const { bytesRead } = await file.read(room, 0, room.length - total, null)
      if (bytesRead === 0) return concatBytes(...parts)
      parts.push(room.slice(0, bytesRead))
      total += bytesRead
      if (total > maxBytes) return null
    }
  } finally {
    await file.close()
  }
}

/** A token file in a directory that is opened once (BRK-110 to BRK-112). Rejections are `AttestdError`s. */
export class TokenFile implements AsyncDisposable {
  readonly #directory: TokenDirectory
  readonly #name: string
  readonly #mode: number
  readonly #path: string

  private constructor(directory: TokenDirectory, { path, mode }: TokenFileOptions) {
    this.#directory = directory
    this.#name = basename(path)
    this.#mode = mode
    this.#path = path
  }

  static async open(options: TokenFileOptions): Promise<TokenFile> {
    return new TokenFile(await TokenDirectory.open(dirname(options.path), options, options.random), options)
  }

  /** Puts the content there, whole or not at all (BRK-111), and gives its mark. */
  async write(content: Uint8Array): Promise<string> {
    return markOf(await this.#directory.folder.write(this.#name, content, this.#mode))
  }

  async look(): Promise<SeenFile | null> {
    return this.#guarded(() => lookAt(this.#place, this.#mode))
  }

  async read(maxBytes: number): Promise<Uint8Array | null> {
    return this.#guarded(() => readSmall(this.#place, maxBytes))
  }

  async remove(): Promise<void> {
    await this.#directory.folder.remove(this.#name)
    await this.#guarded(() => this.#directory.folder.settle())
  }

  /**
   * Takes it away and leaves `content` as `<name>.expired` for its owner to read (BRK-115). That is a new file: one that is
   * found at a name may be a link that a consumer who may write put there, and a mode set through it another file's.
   */
  async setAside(content: Uint8Array): Promise<void> {
    try {
      await this.#directory.folder.write(`${this.#name}.expired`, content, 0o400)
    } finally {
      await this.remove()
    }
  }

  async removeLeftovers(): Promise<number> {
    return this.#guarded(() => this.#directory.folder.removeLeftovers(this.#name))
  }

  get location(): string {
    return this.#directory.location
  }

  whereabouts(): Promise<'there' | 'gone' | 'replaced'> {
    return this.#guarded(() => this.#directory.whereabouts())
  }

  watch(changed: () => void, signal: AbortSignal): boolean {
    return this.#directory.watch(changed, signal)
  }

  close(): Promise<void> {
    return this.#directory.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  get #place(): string {
    return this.#directory.folder.place(this.#name)
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw fileError(error, this.#path)
    }
  }
}
