import type { Dirent } from 'node:fs'
import { lstat, readdir } from 'node:fs/promises'
import type { MeasuredName } from '../../reference-values/reference-values.ts'
import { agentErrors } from '../errors.ts'

export interface TreeEntry {
  readonly kind: 'file' | 'link' | 'special' | 'unreadable' | 'other-file-system' | 'excluded'
  /** Where it is found; bytes, for names need not be UTF-8. */
  readonly path: Buffer
  /** Its path in the tree, `/` first. */
  readonly name: MeasuredName
}

export interface TreeOptions {
  /** True for names, of files and folders alike, that are left out with everything below them. */
  readonly isExcluded?: (name: MeasuredName) => boolean
  /** Goes into folders that are mounted from elsewhere: `/proc` and `/sys` among them. */
  readonly crossFileSystems?: boolean
}

type Folder = Pick<TreeEntry, 'path' | 'name'>

const slash = Buffer.from('/')

const inside = (folder: Folder, name: Buffer): Folder => ({
  path: Buffer.concat([folder.path, slash, name]),
  name: `${folder.name}/${name.toString('latin1')}`,
})

async function deviceOf(path: Buffer): Promise<bigint | null> {
  try {
    return (await lstat(path, { bigint: true })).dev
  } catch {
    return null
  }
}

async function entriesOf({ path }: Folder): Promise<Dirent<Buffer>[] | null> {
  try {
    const entries = await readdir(path, { encoding: 'buffer', withFileTypes: true })
    return entries.sort((left, right) => Buffer.compare(left.name, right.name))
  } catch {
    return null
  }
}

const kindOf = (entry: Dirent<Buffer>): 'file' | 'link' | 'special' =>
  entry.isFile() ? 'file' : entry.isSymbolicLink() ? 'link' : 'special'

/**
 * Everything below `root` but folders. Symbolic links are told and not followed, and no other file system is entered.
 * Throws `INPUT_UNREADABLE` where `root` itself is no folder that can be read.
 */
export async function* walkTree(root: string, options: TreeOptions = {}): AsyncGenerator<TreeEntry, void> {
  const { isExcluded = () => false, crossFileSystems = false } = options
  const top: Folder = { path: Buffer.from(root), name: '' }
  const device = await deviceOf(Buffer.concat([top.path, Buffer.from('/.')]))
  if (device === null) throw agentErrors.error('INPUT_UNREADABLE', `${root}: is no folder that can be read`)
  const open: Folder[] = [top]
  for (let folder = open.pop(); folder !== undefined; folder = open.pop()) {
    const entries = await entriesOf(folder)
    if (entries === null) yield { kind: 'unreadable', ...folder }
    for (const entry of entries ?? []) {
      const place = inside(folder, entry.name)
      if (isExcluded(place.name)) yield { kind: 'excluded', ...place }
      else if (!entry.isDirectory()) yield { kind: kindOf(entry), ...place }
      else if (crossFileSystems || (await deviceOf(place.path)) === device) open.push(place)
      else yield { kind: 'other-file-system', ...place }
    }
  }
}

/** Files that are read at once. */
const concurrency = 8

/** Does `work` with every item, a few at a time; the first failure ends it. */
export async function forEachAtOnce<T>(items: AsyncIterator<T, void>, work: (item: T) => Promise<void>): Promise<void> {
  const worker = async () => {
    for (let next = await items.next(); next.done !== true; next = await items.next()) await work(next.value)
  }
  await Promise.all(Array.from({ length: concurrency }, worker))
}
