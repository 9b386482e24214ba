import type { Logger } from 'pino'
import { PolicyBook, type PolicyBookOptions } from '../../registry/policies/policy-book.ts'
import type { PolicyEvent } from '../../registry/policies/policy-outcome.ts'
import { SignerBook } from '../../registry/policies/signer-book.ts'
import type { Host } from '../wiring/host.ts'
import { openOrLate, registryPlace } from '../wiring/registry.ts'
import type { RegistryPlace } from '../wiring/registry-store.ts'
import type { ServiceKeys } from './service-keys.ts'
import type { LoadedService } from './service-settings.ts'
import { warnOfUntrusted } from './untrusted-policies.ts'
import { WatchedStore } from './watched-store.ts'

/** Policies of this verifier and their signers, in the store of the configuration. */
export interface OpenedStore extends AsyncDisposable {
  readonly policies: PolicyBook
  readonly signers: SignerBook
  readonly kind: RegistryPlace['kind']
  readonly watch: Pick<WatchedStore, 'failure' | 'away' | 'look'>
}

/**
 * Opens the store, which is an embedded database unless the configuration names another one: policies outlive the process
 * (POL-709). Throws `CONFIGURATION_INVALID` and errors of `storeErrors`.
 */
export async function openPolicyStore(
  loaded: LoadedService,
  keys: Pick<ServiceKeys, 'signsTokens'>,
  host: Host,
  log: Logger,
): Promise<OpenedStore> {
  const place = registryPlace(loaded, loaded.configuration.service.state_directory, 'embedded')
  if (place.kind === 'memory') log.warn({ event: 'policies_in_memory' }, 'policies end with this process')
  const store = await openOrLate(place, host, log)
  const watch = new WatchedStore({ store: store.policies, clock: host.clock, log })
  const book: PolicyBookOptions = {
    store: watch.policies,
    clock: host.clock,
    random: host.random,
    signsTokens: keys.signsTokens,
    report: ({ event, ...facts }: PolicyEvent) => {
      log.info({ event, ...facts }, event.replaceAll('.', ' '))
      if (event === 'policy.signer.removed') void warnOfUntrusted(books, log)
    },
  }
  const books = { policies: new PolicyBook(book), signers: new SignerBook(book) }
  return {
    ...books,
    ...{ kind: place.kind, watch },
    [Symbol.asyncDispose]: () => store[Symbol.asyncDispose](),
  }
}
