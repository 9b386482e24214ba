import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { parseCollateral } from '../../endorsements/tdx/collateral.ts'
import { endorserErrors } from '../errors.ts'
import { itemsOfBundle } from './bundle-items.ts'
import { type CollateralItem, factsOfItem } from './collateral-item.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import { itemsInPlatformCollaterals, openPlatformCollaterals } from './platform-collaterals.ts'
import type { CollateralFiles, ItemSource } from './ports.ts'

/** Bytes of one file, and files of one directory. */
const longestFile = 16 * 1_048_576
const mostFiles = 64

const issuedAt = (item: CollateralItem, key: ItemKey): number | null => {
  try {
    return factsOfItem(item, key).issueDate
  } catch (error) {
    // Of another platform, or not readable: not what is asked for.
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** Items that say of themselves to be `key`, the last issued first: it is the one that may not be rolled back. */
function newestFirst(items: readonly CollateralItem[], key: ItemKey): CollateralItem[] {
  const dated = items.flatMap((item) => {
    const at = issuedAt(item, key)
    return at === null ? [] : [{ item, at }]
  })
  return dated.sort((left, right) => right.at - left.at).map(({ item }) => item)
}

/**
 * A bundle does not say of which update set it is: whoever configures it as the source of a set says so. Sets of one
 * number are told by the number in the documents.
 */
function itemsInFile(bytes: Uint8Array, key: ItemKey): readonly CollateralItem[] {
  const file = openPlatformCollaterals(bytes)
  if (file) return itemsInPlatformCollaterals(file, key)
  return itemsOfBundle(parseCollateral(bytes)).filter(({ kind }) => kind === key.kind)
}

class FileSource implements ItemSource {
  readonly name: string
  #path: string
  #files: CollateralFiles

  constructor(path: string, files: CollateralFiles) {
    this.name = `file://${path}`
    this.#path = path
    this.#files = files
  }

  async obtain(key: ItemKey, signal: AbortSignal): Promise<readonly CollateralItem[]> {
    const found: CollateralItem[] = []
    const problems: AttestdError[] = []
    for (const path of await this.#paths()) {
      signal.throwIfAborted()
      const items = await this.#itemsAt(path, key)
      if (Array.isArray(items)) found.push(...items)
      else problems.push(items)
    }
    const candidates = newestFirst(found, key)
    if (candidates.length > 0) return candidates
    // A damaged file beside good ones does no harm; where nothing is found it may be the reason.
    const [problem] = problems
    throw problem ?? this.#error('collateral_unknown_platform', `${this.name}: has no ${nameOfItem(key)}`)
  }

  async #paths(): Promise<readonly string[]> {
    const listed = await this.#files.list(this.#path)
    if (listed === null) return [this.#path]
    const paths = listed.filter((path) => path.endsWith('.json'))
    if (paths.length <= mostFiles) return paths
    throw this.#error('collateral_file_invalid', `${this.name}: has more than ${mostFiles} files`)
  }

  async #itemsAt(path: string, key: ItemKey): Promise<CollateralItem[] | AttestdError> {
    try {
      return [...itemsInFile(await this.#files.read(path, longestFile), key)]
    } catch (cause) {
      if (!(cause instanceof MalformedError)) throw cause
      return this.#error('collateral_file_invalid', `${path}: ${cause.message}`, cause)
    }
  }

  #error(code: 'collateral_unknown_platform' | 'collateral_file_invalid', detail: string, cause?: unknown) {
    const facts = { source: this.name }
    return endorserErrors.error(code, detail, { facts, ...(cause === undefined ? {} : { cause }) })
  }
}

/**
 * A source of collateral without a network (TDX-220): a bundle, a directory of them, or `platform_collaterals.json`
 * of Intel's client tool, read again at every request. `path` is absolute. Nothing that it gives is verified.
 */
export function createFileSource(path: string, files: CollateralFiles): ItemSource {
  return new FileSource(path, files)
}
