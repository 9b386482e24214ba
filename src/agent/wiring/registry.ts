import { join } from 'node:path'
import type { Logger } from 'pino'
import { AttestdError } from '../../base/errors.ts'
import { invalidAt } from '../configuration/load.ts'
import type { LoadedConfiguration, LoadedFile } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import type { Host } from './host.ts'
import { LateStore } from './late-store.ts'
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
