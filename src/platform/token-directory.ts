import { type BigIntStats, type FSWatcher, watch } from 'node:fs'
import { readlink, realpath, stat } from 'node:fs/promises'
import { dirname } from 'node:path'
import { AttestdError } from '../base/errors.ts'
import type { RandomSource } from '../base/random.ts'
import { platformErrors } from './errors.ts'
import { fileError, isAbsent } from './file-errors.ts'
import { Folder } from './folder.ts'

/** Where token files may be, and what is let pass of what would be refused. */
export interface TokenDirectoryRules {
  /** Absolute paths; the directory is one of them or below one. */
  readonly roots: readonly string[]
  /** Others than root and the agent may write into it (BRK-118). */
  readonly allowConsumerWritable: boolean
  /** Tokens may outlive the power (SYS-71). */
  readonly allowDisk: boolean
}

function unsafe(path: string, says: string): AttestdError {
  return platformErrors.error('TOKEN_DIRECTORY_UNSAFE', `${path}: ${says}`, { facts: { path } })
}

function missing(path: string, cause: unknown): AttestdError {
  const { code = 'unknown' } = cause as NodeJS.ErrnoException
  const says = code === 'ENOENT' ? 'does not exist' : `cannot be opened (${code})`
  return platformErrors.error('TOKEN_DIRECTORY_MISSING', `${path}: ${says}`, { facts: { path, errno: code }, cause })
}

const isBelow = (path: string, root: string) => path === root || path.startsWith(root === '/' ? '/' : `${root}/`)

/** The directories from `root` to `path`, both included. */
function between(root: string, path: string): string[] {
  const found: string[] = []
  for (let at = path; at !== root; at = dirname(at)) found.push(at)
  return [root, ...found.reverse()]
}

function writableByOthers({ uid, mode }: { readonly uid: number; readonly mode: number }): string | null {
  if (uid !== 0 && uid !== process.geteuid?.()) return `belongs to user ${uid}, who may write into it`
  return (mode & 0o022) === 0 ? null : `has mode ${(mode & 0o7777).toString(8)}: others may write into it`
}

/** The real path of a root that exists; a root that does not exist holds nothing. */
async function realRoot(root: string): Promise<string | null> {
  return realpath(root).catch(() => null)
}

/** BRK-118, on the real path of what was opened: a link on the way to it leads out of no root. */
async function requireAllowed(real: string, path: string, rules: TokenDirectoryRules): Promise<void> {
  const roots = (await Promise.all(rules.roots.map(realRoot))).filter((root) => root !== null)
  const root = roots.find((each) => isBelow(real, each))
  if (root === undefined) throw unsafe(path, `is ${real}, which is below none of ${rules.roots.join(', ')}`)
  const guarded = between(root, real).slice(0, rules.allowConsumerWritable ? 1 : undefined)
  for (const each of guarded) {
    const problem = writableByOthers(await stat(each))
    if (problem !== null && !(rules.allowConsumerWritable && each === real)) throw unsafe(each, problem)
  }
}

async function openFolder(path: string, random: RandomSource): Promise<Folder> {
  try {
    return await Folder.open(path, random)
  } catch (error) {
    throw error instanceof AttestdError && error.code === 'FILE_UNUSABLE' ? missing(path, error.cause) : error
  }
}

/** Proves that what is reached by way of the handle is what the handle is of: another /proc would lead elsewhere. */
async function requireHandlePath(folder: Folder): Promise<BigIntStats> {
  const [held, seen] = [await folder.stat(), await stat(folder.here, { bigint: true })]
  if (held.dev === seen.dev && held.ino === seen.ino) return held
  throw unsafe(folder.path, '/proc does not lead to the directory that is open')
}

/** Throws what stands against a directory, as it is now, that token files shall be in. */
export async function requireTokenDirectory(path: string, rules: TokenDirectoryRules): Promise<void> {
  await using folder = await openFolder(path, randomOfNobody)
  await requireFit(folder, rules)
}

function randomOfNobody(): never {
  throw new TypeError('nothing is written into a directory that is only examined')
}

/** What a directory is and where, when it was found fit. */
interface Found {
  readonly identity: BigIntStats
  readonly location: string
}

async function requireFit(folder: Folder, rules: TokenDirectoryRules): Promise<Found> {
  try {
    const identity = await requireHandlePath(folder)
    const location = await readlink(dirname(folder.here))
    await requireAllowed(location, folder.path, rules)
    if (!folder.lasting || rules.allowDisk) return { identity, location }
    throw unsafe(folder.path, 'is on a disk, where tokens outlive the power')
  } catch (error) {
    throw fileError(error, folder.path)
  }
}

/**
 * The directory of a token file, opened once (BRK-112): whatever is exchanged on the way to it later, what is written goes
 * to where it went first. Rejections carry `TOKEN_DIRECTORY_MISSING` or `TOKEN_DIRECTORY_UNSAFE`.
 */
export class TokenDirectory {
  readonly folder: Folder
  /** The real path that it had when it was opened. */
  readonly location: string
  readonly #identity: BigIntStats

  private constructor(folder: Folder, { identity, location }: Found) {
    this.folder = folder
    this.location = location
    this.#identity = identity
  }

  static async open(path: string, rules: TokenDirectoryRules, random: RandomSource): Promise<TokenDirectory> {
    const folder = await openFolder(path, random)
    try {
      return new TokenDirectory(folder, await requireFit(folder, rules))
    } catch (error) {
      await folder.close()
      throw error
    }
  }

  /** `gone`: removed; `replaced`: another directory is where it was, or none; what is opened stays the one that was opened. */
  async whereabouts(): Promise<'there' | 'gone' | 'replaced'> {
    const { nlink } = await this.folder.stat()
    if (nlink === 0n) return 'gone'
    try {
      const { dev, ino } = await stat(this.folder.path, { bigint: true })
      return dev === this.#identity.dev && ino === this.#identity.ino ? 'there' : 'replaced'
    } catch (error) {
      if (isAbsent(error)) return 'replaced'
      throw error
    }
  }

  /** Calls `changed` after every change in it, until the signal aborts; false where the system gives no watch. */
  watch(changed: () => void, signal: AbortSignal): boolean {
    try {
      const watcher: FSWatcher = watch(this.folder.here, { persistent: false, signal }, changed)
      watcher.on('error', changed)
      return true
    } catch {
      return false
    }
  }

  close(): Promise<void> {
    return this.folder.close()
  }
}
