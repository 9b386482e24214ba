import { readProtected } from '../../platform/protected-file.ts'
import { MemoryStore } from '../../registry/memory-store.ts'
import type { PolicyStore } from '../../registry/policies/policy-store.ts'
import type { PostgresAddress } from '../../registry/postgres-address.ts'
import type { PostgresPem } from '../../registry/postgres-engine.ts'
import type { RegistryStore } from '../../registry/registry-store.ts'
import { storeErrors } from '../../registry/store-errors.ts'
import { openEmbeddedStore } from './embedded-store.ts'
import type { Host } from './host.ts'

/** Where the verifier keeps what it knows of TPMs. */
export type RegistryPlace =
  /** As long as the process (ENR-11). */
  | { readonly kind: 'memory' }
  /** PostgreSQL within this process, on a directory that no other process uses. */
  | { readonly kind: 'embedded'; readonly directory: string }
  /** A server; `urlFile` holds its URL, for that has a password in it. */
  | { readonly kind: 'postgresql'; readonly urlFile: string }

export interface OpenRegistryStore extends RegistryStore, AsyncDisposable {
  /** Policies and their signers, kept at the same place (POL-709). */
  readonly policies: PolicyStore
}

export interface RegistryStoreOptions extends Pick<Host, 'libc' | 'random'> {
  /** The compiled worker of the embedded database. */
  readonly entry?: URL
}

const largestUrlFile = 8_192
const largestPemFile = 1 << 20

/** A store that lasts as long as the process, and needs no closing. */
function memoryStore(): OpenRegistryStore {
  return Object.assign(new MemoryStore(), { [Symbol.asyncDispose]: async () => undefined })
}

async function readText(path: string, forbidden: number, maxBytes: number): Promise<string> {
  const content = await readProtected(path, { maxBytes, forbidden })
  if (content !== null) return new TextDecoder().decode(content)
  throw storeErrors.error('registry_address', `${path}: there is no such file`, { facts: { path } })
}

async function readPem({ tls }: PostgresAddress): Promise<PostgresPem> {
  const certificates = (path: string) => readText(path, 0o022, largestPemFile)
  const root = tls === null || tls.root === null || tls.root === 'system' ? null : await certificates(tls.root)
  if (tls === null || tls.own === null) return { root, own: null }
  const { certificate, key } = tls.own
  return {
    root,
    own: { certificate: await certificates(certificate), key: await readText(key, 0o077, largestPemFile) },
  }
}

async function openPostgresStore(urlFile: string): Promise<OpenRegistryStore> {
  // Loaded where they are used only: an agent without them starts sooner and takes less memory.
  const [{ parsePostgresAddress }, { PostgresEngine }, { SqlStore }] = await Promise.all([
    import('../../registry/postgres-address.ts'),
    import('../../registry/postgres-engine.ts'),
    import('../../registry/sql-store.ts'),
  ])
  const address = parsePostgresAddress((await readText(urlFile, 0o077, largestUrlFile)).trim())
  return SqlStore.open(await PostgresEngine.open(address, await readPem(address)))
}

/**
 * Opens the registry's store, and makes it where there is none yet. Throws errors of `storeErrors`, and what
 * `requireStateDirectory` and `readProtected` throw. Closing waits for the commits that are under way.
 */
export async function openRegistryStore(
  place: RegistryPlace,
  options: RegistryStoreOptions,
): Promise<OpenRegistryStore> {
  switch (place.kind) {
    case 'memory':
      return memoryStore()
    case 'embedded':
      return openEmbeddedStore(place.directory, options)
    case 'postgresql':
      return openPostgresStore(place.urlFile)
  }
}
