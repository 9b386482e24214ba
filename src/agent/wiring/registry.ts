import { join } from 'node:path'
import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import type { PolicyStore } from '../../registry/policies/policy-store.ts'
import type { RegistryStore } from '../../registry/registry-store.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration, LoadedFile } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import type { Host } from './host.ts'
import { type OpenRegistryStore, openRegistryStore, type RegistryPlace } from './registry-store.ts'

/**
 * Where the configuration keeps the registry; without the section it is `usual`. Throws `CONFIGURATION_INVALID` for keys
 * that contradict each other.
 */
export function registryPlace(
  { file, text, configuration }: LoadedFile<Pick<Configuration, 'registry'>>,
  stateDirectory: string,
  usual: 'memory' | 'embedded',
): RegistryPlace {
  const { directory, url_file: urlFile, store: named } = configuration.registry ?? { store: usual }
  const store = named ?? (urlFile === undefined ? 'embedded' : 'postgresql')
  const refuse = (key: string, says: string) => invalidAt(file, text, ['registry', key], says)
  if (store !== 'postgresql' && urlFile !== undefined) throw refuse('url_file', 'is for store = "postgresql"')
  if (store !== 'embedded' && directory !== undefined) throw refuse('directory', 'is for store = "embedded"')
  if (store === 'memory') return { kind: store }
  if (store === 'embedded') return { kind: store, directory: directory ?? join(stateDirectory, 'registry') }
  if (urlFile === undefined) throw refuse('store', 'needs url_file')
  return { kind: store, urlFile }
}

/**
 * A store whose server did not answer at the start: whoever needs it tries again. A guest must be able to start before its
 * network, and an agent that ends for that is started again and again.
 */
class LateStore implements OpenRegistryStore {
  readonly policies: PolicyStore
  #open: () => Promise<OpenRegistryStore>
  #store: Promise<OpenRegistryStore> | null = null

  constructor(open: () => Promise<OpenRegistryStore>) {
    this.#open = open
    this.policies = latePolicies(async () => (await this.#opened()).policies)
  }

  #opened(): Promise<OpenRegistryStore> {
    if (this.#store !== null) return this.#store
    const store = this.#open()
    this.#store = store
    store.catch(() => {
      this.#store = null
    })
    return store
  }

  findByAk: RegistryStore['findByAk'] = async (akName) => (await this.#opened()).findByAk(akName)
  findByEk: RegistryStore['findByEk'] = async (ekName) => (await this.#opened()).findByEk(ekName)
  findByEkKey: RegistryStore['findByEkKey'] = async (ekSpkiSha256) => (await this.#opened()).findByEkKey(ekSpkiSha256)
  findByIdentity: RegistryStore['findByIdentity'] = async (identity) => (await this.#opened()).findByIdentity(identity)
  list: RegistryStore['list'] = async (after) => (await this.#opened()).list(after)
  commit: RegistryStore['commit'] = async (changes, outcomes) => (await this.#opened()).commit(changes, outcomes)
  history: RegistryStore['history'] = async (akName) => (await this.#opened()).history(akName)

  async [Symbol.asyncDispose](): Promise<void> {
    const store = await this.#store?.catch(() => null)
    await store?.[Symbol.asyncDispose]()
  }
}

/** Policies in a store that is opened when it is needed. */
function latePolicies(opened: () => Promise<PolicyStore>): PolicyStore {
  return {
    situation: async (slot) => (await opened()).situation(slot),
    active: async (slot) => (await opened()).active(slot),
    version: async (slot, number) => (await opened()).version(slot, number),
    versions: async (slot, before) => (await opened()).versions(slot, before),
    activations: async (slot) => (await opened()).activations(slot),
    slots: async () => (await opened()).slots(),
    signers: async () => (await opened()).signers(),
    commit: async (change) => (await opened()).commit(change),
  }
}

/** Opens a store. A server that does not answer is tried again when it is needed; all else throws. */
export async function openOrLate(place: RegistryPlace, host: Host, log: Logger): Promise<OpenRegistryStore> {
  const open = () => openRegistryStore(place, host)
  try {
    return await open()
  } catch (error) {
    if (!(error instanceof AttestdError && error.code === 'registry_unavailable')) throw error
    log.warn({ event: 'registry_unavailable', code: error.code }, error.message)
    return new LateStore(open)
  }
}

/** Opens the registry of the agent. */
export function wireRegistry(loaded: LoadedConfiguration, host: Host, log: Logger): Promise<OpenRegistryStore> {
  return openOrLate(registryPlace(loaded, loaded.configuration.agent.state_directory, 'memory'), host, log)
}
