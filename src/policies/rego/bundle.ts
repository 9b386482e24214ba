import { concatBytes } from '../../base/bytes.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import { type TarFile, TarReader, type TarSink } from '../../base/tar-reader.ts'
import { withBoundedTable } from './bounded-table.ts'
import { regoErrors } from './errors.ts'
import { type OpaModule, requireOpaModule } from './opa-module.ts'

/** In bytes. */
export const bundleLimits = {
  /** Of the file, packed or bare (POL-960). */
  file: 8 << 20,
  /** Of a bundle, unpacked: a small archive can unpack to a very long one. */
  unpacked: 32 << 20,
  /** `/data.json` is copied into the memory of every evaluation. */
  data: 8 << 20,
  manifest: 256 << 10,
} as const

/** A compiled policy with the data that it was built with; nothing of it has run. */
export interface RegoBundle {
  /** As it is compiled: its table has a maximum. */
  readonly wasm: Uint8Array
  readonly module: OpaModule
  /** The text of a JSON object. */
  readonly data: Uint8Array
  readonly revision: string | null
  /** Entrypoints that the manifest speaks of; null without a manifest, or where it speaks of none. */
  readonly entrypoints: readonly string[] | null
}

const unreadable = (problem: string) => regoErrors.error('REGO_BUNDLE_UNREADABLE', problem)

const members = { '/policy.wasm': 'file', '/data.json': 'data', '/.manifest': 'manifest' } as const
type Member = keyof typeof members

const isMember = (name: string): name is Member => Object.hasOwn(members, name)

/** Sources that `opa build` leaves in, and a signature of its own: the hash of the configuration covers them. */
const isPassedOver = (name: string) => name.endsWith('.rego') || name === '/.signatures.json'

/** Takes what a bundle may hold, and stops at anything else. */
class BundleFiles implements TarSink {
  readonly files = new Map<Member, Uint8Array>()
  #pieces: Uint8Array[] = []
  #member: Member | null = null

  begin({ name, size }: TarFile): void {
    const path = name.replace(/^(?:\.?\/)?/, '/')
    this.#member = isMember(path) ? path : null
    this.#pieces = []
    if (this.#member === null) {
      if (!isPassedOver(path)) throw unreadable(`the bundle has the file ${JSON.stringify(path.slice(0, 256))}`)
      return
    }
    if (this.files.has(this.#member)) throw unreadable(`the bundle has ${path} twice`)
    const limit = bundleLimits[members[this.#member]]
    if (size > limit) throw unreadable(`${path} has ${size} bytes; ${limit} are taken`)
  }

  content(bytes: Uint8Array): void {
    if (this.#member !== null) this.#pieces.push(bytes)
  }

  end(): void {
    if (this.#member !== null) this.files.set(this.#member, concatBytes(...this.#pieces))
  }

  link(): void {
    throw unreadable('the bundle has a link')
  }
}

interface Manifest {
  readonly revision: string | null
  readonly entrypoints: readonly string[] | null
}

function requireEntry(entry: JsonValue): string {
  const { entrypoint, module } = isJsonObject(entry) ? entry : ({} as JsonObject)
  if (typeof entrypoint !== 'string' || typeof module !== 'string') {
    throw unreadable('/.manifest names a module without its entrypoint')
  }
  if (module.replace(/^\/?/, '/') !== '/policy.wasm') throw unreadable('/.manifest speaks of other modules')
  return entrypoint
}

function parseManifest(bytes: Uint8Array | undefined): Manifest {
  if (bytes === undefined) return { revision: null, entrypoints: null }
  const { revision, wasm } = parseJsonObject(bytes, '/.manifest', { maxItems: 10_000 })
  if (revision !== undefined && typeof revision !== 'string')
    throw unreadable('/.manifest has a revision that is no text')
  if (wasm !== undefined && !Array.isArray(wasm)) throw unreadable('/.manifest has a member wasm that is no list')
  return { revision: revision ?? null, entrypoints: wasm?.map(requireEntry) ?? null }
}

const noData = new TextEncoder().encode('{}')

/** The engine takes the text as it is, and of two members of one name might see the other one. */
function requireData(bytes: Uint8Array | undefined): Uint8Array {
  if (bytes === undefined) return noData
  parseJsonObject(bytes, '/data.json', { maxDepth: 64 })
  return bytes
}

function boundPolicy(wasm: Uint8Array): Pick<RegoBundle, 'wasm' | 'module'> {
  const module = requireOpaModule(wasm)
  return { wasm: withBoundedTable(wasm, module.table), module }
}

/**
 * Reads an unpacked bundle as `opa build -t wasm` writes it (POL-960): `/policy.wasm`, and if they are there `/data.json` and
 * `/.manifest`; sources are passed over, anything else is an error. Throws `REGO_BUNDLE_UNREADABLE` or `MalformedError`.
 */
export function parseRegoBundle(archive: Uint8Array): RegoBundle {
  if (archive.length > bundleLimits.unpacked) throw unreadable(`the bundle unpacks to ${archive.length} bytes`)
  const sink = new BundleFiles()
  const reader = new TarReader(sink, 'bundle')
  reader.add(archive)
  reader.close()
  const wasm = sink.files.get('/policy.wasm')
  if (wasm === undefined) throw unreadable('the bundle has no /policy.wasm; was it built with -t wasm?')
  const data = requireData(sink.files.get('/data.json'))
  return { ...boundPolicy(wasm), data, ...parseManifest(sink.files.get('/.manifest')) }
}

/** Reads a bare `policy.wasm`, which has no data. Throws as `parseRegoBundle`. */
export function parseBarePolicy(wasm: Uint8Array): RegoBundle {
  return { ...boundPolicy(wasm), data: noData, revision: null, entrypoints: null }
}
