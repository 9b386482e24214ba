import type { PolicyStore } from '../../registry/policies/policy-store.ts'
import type { RegistryStore } from '../../registry/registry-store.ts'
import type { OpenRegistryStore } from './registry-store.ts'

/**
 * A store whose server did not answer at the start: whoever needs it tries again. A guest must be able to start before its
 * network, and an agent that ends for that is started again and again.
 */
export class LateStore implements OpenRegistryStore {
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
