import { readdir, readlink } from 'node:fs/promises'
import { join } from 'node:path'
import { toHex, toLatin1 } from '../../base/bytes.ts'
import { digestSet } from '../../reference-values/digest-set.ts'
import {
  type Diversion,
  type InstalledPackage,
  parseDiversions,
  parseDpkgStatus,
  parseMd5sums,
  parsePackageList,
} from '../../reference-values/dpkg-manifest.ts'
import type { MeasuredName } from '../../reference-values/reference-values.ts'
import { readInput } from '../input-file.ts'
import { hashFile } from './hash-file.ts'
import { exclusion } from './learn-tree.ts'
import type { Learning, LeftOutReason } from './learning.ts'
import { forEachAtOnce, type TreeEntry, walkTree } from './walk-tree.ts'

export interface DpkgLearning {
  readonly exclude: readonly string[]
  readonly executableOnly: boolean
  /** Learns also what belongs to no package: it is then only as good as the tree. */
  readonly unowned: boolean
  readonly onFile: () => void
}

/** What the packages say about a file. */
interface Owned {
  /** Null: the package has no checksum of it. */
  readonly md5: string | null
  readonly configuration: boolean
}

const databasePath = 'var/lib/dpkg'

async function readText(path: string): Promise<string> {
  return toLatin1(await readInput(path))
}

/** Links at the top of the tree, such as `/bin` to `usr/bin`: files are found under what they point to. */
async function topLinks(root: string): Promise<readonly (readonly [string, string])[]> {
  const entries = await readdir(root, { withFileTypes: true })
  const links = entries.filter((entry) => entry.isSymbolicLink())
  return Promise.all(
    links.map(async ({ name }) => {
      const target = (await readlink(join(root, name))).replace(/^\/|\/$/g, '')
      return [`/${name}/`, `/${target}/`] as const
    }),
  )
}

class Manifests {
  readonly #owned = new Map<MeasuredName, Owned>()
  readonly #links: readonly (readonly [string, string])[]
  readonly #diversions: ReadonlyMap<MeasuredName, Diversion>

  constructor(links: readonly (readonly [string, string])[], diversions: readonly Diversion[]) {
    this.#links = links
    this.#diversions = new Map(diversions.map((diversion) => [diversion.from, diversion]))
  }

  /** Where a file of a package lies in the tree. */
  #placeOf(path: MeasuredName, owner: string): MeasuredName {
    const diversion = this.#diversions.get(path)
    const place = diversion !== undefined && diversion.by !== owner ? diversion.to : path
    const link = this.#links.find(([from]) => place.startsWith(from))
    return link === undefined ? place : link[1] + place.slice(link[0].length)
  }

  add(owner: InstalledPackage, listed: readonly MeasuredName[], sums: ReadonlyMap<MeasuredName, string>): void {
    for (const path of listed) this.#put(path, owner.name, { md5: null, configuration: false })
    for (const [path, md5] of sums) this.#put(path, owner.name, { md5, configuration: false })
    for (const [path, md5] of owner.configuration) this.#put(path, owner.name, { md5, configuration: true })
  }

  /** Folders are listed by many packages; a checksum is never forgotten for a list that has none. */
  #put(path: MeasuredName, owner: string, owned: Owned): void {
    const place = this.#placeOf(path, owner)
    if (owned.md5 !== null || !this.#owned.has(place)) this.#owned.set(place, owned)
  }

  /** What is known of a file; forgets it, so that in the end only what the tree lacks is left. */
  take(path: MeasuredName): Owned | undefined {
    const owned = this.#owned.get(path)
    this.#owned.delete(path)
    return owned
  }

  /** Files with a checksum that were not taken. */
  rest(): MeasuredName[] {
    return [...this.#owned].flatMap(([path, { md5 }]) => (md5 === null ? [] : [path]))
  }
}

/** Files of the database of one package; that of a foreign architecture has it in its name. */
function manifestNames({ name, architecture }: InstalledPackage, names: ReadonlySet<string>, ending: string): string[] {
  return [`${name}:${architecture}${ending}`, `${name}${ending}`].filter((each) => names.has(each)).slice(0, 1)
}

async function readManifests(root: string): Promise<Manifests> {
  const folder = join(root, databasePath)
  const packages = parseDpkgStatus(await readText(join(folder, 'status')))
  const names = new Set(await readdir(join(folder, 'info')))
  const hasDiversions = (await readdir(folder)).includes('diversions')
  const diversions = hasDiversions ? parseDiversions(await readText(join(folder, 'diversions'))) : []
  const manifests = new Manifests(await topLinks(root), diversions)
  for (const each of packages) {
    const [list] = manifestNames(each, names, '.list')
    const [sums] = manifestNames(each, names, '.md5sums')
    const listed = list === undefined ? [] : parsePackageList(await readText(join(folder, 'info', list)))
    const md5 = sums === undefined ? new Map() : parseMd5sums(await readText(join(folder, 'info', sums)), sums)
    manifests.add(each, listed, md5)
  }
  return manifests
}

/** Why a file with this MD5 is not what its package delivered; null if it is. */
function doubtAbout(owned: Owned | undefined, md5: string, unowned: boolean): LeftOutReason | null {
  if (owned === undefined) return unowned ? null : 'unowned'
  if (owned.md5 === null) return unowned ? null : 'unlisted'
  if (owned.md5 === md5) return null
  return owned.configuration ? 'changed-configuration' : 'differs-from-package'
}

async function learnFile(
  { path, name }: TreeEntry,
  owned: Owned | undefined,
  learning: Learning,
  options: DpkgLearning,
) {
  // What will not be learned whatever it holds need not be read.
  const untold = doubtAbout(owned, owned?.md5 ?? '', options.unowned)
  if (untold !== null) {
    learning.leaveOut(untold, name)
    return
  }
  const hashed = await hashFile(path, ['md5', 'sha256'])
  options.onFile()
  if (hashed.outcome !== 'hashed') {
    learning.leaveOut(hashed.outcome, name)
    return
  }
  const [md5, sha256] = hashed.digests
  if (md5 === undefined || sha256 === undefined)
    throw new TypeError('a hashed file has the digests that were asked for')
  const doubt = doubtAbout(owned, toHex(md5), options.unowned)
  if (doubt !== null) learning.leaveOut(doubt, name)
  else if (options.executableOnly && !hashed.executable) learning.leaveOut('not-executable', name)
  else learning.file(name, digestSet([{ algorithm: 'sha256', digest: sha256 }]))
}

/**
 * Learns the files of the installed Debian packages below `root`: those that are as their package delivered them, by the
 * MD5 of its manifest, get the SHA-256 of what is there. What differs, and what no package owns, is left out and told.
 * The manifests lie on the same system, and MD5 can be forged: this finds damage and forgotten changes, not an attacker
 * with the rights of root. Learn from the packages themselves where that matters.
 */
export async function learnDpkg(root: string, learning: Learning, options: DpkgLearning): Promise<void> {
  const manifests = await readManifests(root)
  const tree = walkTree(root, { isExcluded: exclusion(options.exclude) })
  await forEachAtOnce(tree, async (entry) => {
    const owned = manifests.take(entry.name)
    if (entry.kind === 'file') await learnFile(entry, owned, learning, options)
    else if (entry.kind !== 'link') learning.leaveOut(entry.kind, entry.name)
  })
  for (const path of manifests.rest()) learning.leaveOut('missing-from-tree', path)
}
