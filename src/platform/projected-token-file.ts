import { lstat, mkdir, readdir, readlink, rename, rmdir, symlink, unlink } from 'node:fs/promises'
import { basename, dirname } from 'node:path'
import type { Clock } from '../base/clock.ts'
import type { RandomSource } from '../base/random.ts'
import { fileError, isAbsent } from './file-errors.ts'
import { Folder } from './folder.ts'
import { TokenDirectory } from './token-directory.ts'
import { markOf, readSmall, type SeenFile, type TokenFileOptions } from './token-file.ts'

export interface ProjectedTokenFileOptions extends TokenFileOptions {
  /** The time is part of the names of the directories. */
  readonly clock: Pick<Clock, 'now' | 'sleep'>
}

const dataLink = '..data'
const temporaryDataLink = '..data_tmp'
const temporaryNameLink = '..name_tmp'
/** From following a link to opening the file. */
const readersMs = 50
const versionForm = /^\.\.\d{4}(?:_\d\d){5}\.\d{9}$/
const broken: SeenFile = { mark: 'broken', regular: false, modeFits: false }

function versionName(now: number, random: RandomSource): string {
  const time = new Date(now).toISOString().slice(0, 19).replaceAll(/[-T:]/g, '_')
  const [number = 0] = new Uint32Array(Uint8Array.from(random(4)).buffer)
  return `..${time}.${String(number % 1_000_000_000).padStart(9, '0')}`
}

/** Those who may read the file may enter the directory that it is in. */
function directoryMode(mode: number): number {
  return 0o700 | (mode & 0o040 ? 0o050 : 0) | (mode & 0o004 ? 0o005 : 0)
}

async function unlinkIfThere(place: string): Promise<void> {
  await unlink(place).catch((error) => {
    if (!isAbsent(error)) throw error
  })
}

async function targetOf(place: string): Promise<string | null> {
  return readlink(place).catch(() => null)
}

/**
 * A token file as Kubernetes mounts them (API-161): the name is a link to `..data/<name>`, `..data` a link to a directory
 * that is made for each token and exchanged by a rename. The directory holds nothing but this. Rejections are `AttestdError`s.
 */
export class ProjectedTokenFile implements AsyncDisposable {
  readonly #directory: TokenDirectory
  readonly #name: string
  readonly #options: ProjectedTokenFileOptions

  private constructor(directory: TokenDirectory, options: ProjectedTokenFileOptions) {
    this.#directory = directory
    this.#name = basename(options.path)
    this.#options = options
  }

  static async open(options: ProjectedTokenFileOptions): Promise<ProjectedTokenFile> {
    const directory = await TokenDirectory.open(dirname(options.path), options, options.random)
    return new ProjectedTokenFile(directory, options)
  }

  /** Puts the content there, whole or not at all (BRK-111), and gives its mark. */
  async write(content: Uint8Array): Promise<string> {
    return this.#guarded(async () => {
      const before = await this.#version()
      const version = versionName(this.#options.clock.now(), this.#options.random)
      try {
        await this.#makeVersion(version, content)
        await this.#requireNameLink()
        await this.#link(version, temporaryDataLink, dataLink)
      } catch (error) {
        await this.#removeVersion(version).catch(() => undefined)
        throw error
      }
      const mark = (await this.#seen())?.mark ?? broken.mark
      await this.#directory.folder.settle()
      if (before === null) return mark
      // Who has just followed the link to the old one is to find the file in it.
      await this.#options.clock.sleep(readersMs)
      await this.#removeVersion(before)
      return mark
    })
  }

  look(): Promise<SeenFile | null> {
    return this.#guarded(() => this.#seen())
  }

  read(maxBytes: number): Promise<Uint8Array | null> {
    return this.#guarded(async () => {
      const [seen, version] = [await this.#seen(), await this.#version()]
      if (!seen?.regular || version === null) return null
      return this.#inVersion(version, (folder) => readSmall(folder.place(this.#name), maxBytes))
    })
  }

  async remove(): Promise<void> {
    await this.#guarded(async () => {
      const version = await this.#version()
      await unlinkIfThere(this.#at(this.#name))
      await unlinkIfThere(this.#at(dataLink))
      if (version !== null) await this.#removeVersion(version)
      await this.#directory.folder.settle()
    })
  }

  /** There is no other name for what is reached by links: it is removed. */
  setAside(_content: Uint8Array): Promise<void> {
    return this.remove()
  }

  async removeLeftovers(): Promise<number> {
    return this.#guarded(async () => {
      const current = await this.#version()
      const names = await readdir(this.#directory.folder.here)
      const links = names.filter((name) => name === temporaryDataLink || name === temporaryNameLink)
      const versions = names.filter((name) => versionForm.test(name) && name !== current)
      for (const name of links) await unlinkIfThere(this.#at(name))
      // What somebody else put into one, or in place of one, stays; it is no reason not to write the file.
      for (const name of versions) await this.#removeVersion(name).catch(() => undefined)
      return links.length + versions.length
    })
  }

  get location(): string {
    return this.#directory.location
  }

  whereabouts(): Promise<'there' | 'gone' | 'replaced'> {
    return this.#guarded(() => this.#directory.whereabouts())
  }

  /** The file itself lies deeper than the watch looks: always false, so that it is looked at often. */
  watch(changed: () => void, signal: AbortSignal): boolean {
    this.#directory.watch(changed, signal)
    return false
  }

  close(): Promise<void> {
    return this.#directory.close()
  }

  [Symbol.asyncDispose](): Promise<void> {
    return this.close()
  }

  #at(name: string): string {
    return this.#directory.folder.place(name)
  }

  /** The directory that is in force; null where the link to it is not of our making. */
  async #version(): Promise<string | null> {
    const target = await targetOf(this.#at(dataLink))
    return target !== null && versionForm.test(target) ? target : null
  }

  async #makeVersion(version: string, content: Uint8Array): Promise<void> {
    const { mode } = this.#options
    await mkdir(this.#at(version), { mode: 0o700 })
    await this.#inVersion(version, async (folder) => {
      await folder.write(this.#name, content, mode)
      // Only now: a mode that is set takes the group bit away, from which the file has its group (BRK-114).
      await folder.protect(directoryMode(mode))
    })
  }

  /** The version by way of a handle of its own: a link that somebody put in its place is not followed. */
  async #inVersion<T>(version: string, work: (folder: Folder) => Promise<T>): Promise<T> {
    await using folder = await Folder.open(this.#at(version), this.#options.random)
    return await work(folder)
  }

  async #removeVersion(version: string): Promise<void> {
    await this.#inVersion(version, async (folder) => {
      await folder.removeLeftovers()
      await folder.remove(this.#name)
    })
    await rmdir(this.#at(version))
  }

  async #link(target: string, temporary: string, name: string): Promise<void> {
    await unlinkIfThere(this.#at(temporary))
    await symlink(target, this.#at(temporary))
    await rename(this.#at(temporary), this.#at(name))
  }

  async #requireNameLink(): Promise<void> {
    const target = `${dataLink}/${this.#name}`
    if ((await targetOf(this.#at(this.#name))) !== target) await this.#link(target, temporaryNameLink, this.#name)
  }

  async #seen(): Promise<SeenFile | null> {
    const at = (name: string) => lstat(this.#at(name), { bigint: true }).catch(() => null)
    const [name, data, version] = [await at(this.#name), await at(dataLink), await this.#version()]
    if (name === null) return null
    const link = await targetOf(this.#at(this.#name))
    if (link !== `${dataLink}/${this.#name}` || data === null || version === null) return broken
    return this.#inVersion(version, async (folder) => {
      const file = await lstat(folder.place(this.#name), { bigint: true })
      const marks = [name, data, file].map(markOf)
      const modeFits = Number(file.mode & 0o7777n) === this.#options.mode
      return { mark: [...marks, version].join('|'), regular: file.isFile(), modeFits }
    }).catch(() => broken)
  }

  async #guarded<T>(work: () => Promise<T>): Promise<T> {
    try {
      return await work()
    } catch (error) {
      throw fileError(error, this.#options.path)
    }
  }
}
