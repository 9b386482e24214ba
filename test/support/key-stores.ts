import type { KeyRingStore } from '../../src/issuer/key-store.ts'

/** What happens to a write: nothing reached the disk, or all of it did, and then the process was told of an error. */
export type WriteFault = 'lost' | 'stored'

/** Keeps bytes as a disk would; the write with number `at` (from 1), or every one from then on, meets a fault. */
export class FakeKeyStore implements KeyRingStore {
  bytes: Uint8Array | null
  writes = 0
  #fault: { readonly at: number; readonly kind: WriteFault; readonly lasting: boolean } | undefined

  constructor(bytes: Uint8Array | null = null) {
    this.bytes = bytes
  }

  failAt(at: number, kind: WriteFault, lasting = false): void {
    this.#fault = { at, kind, lasting }
  }

  recover(): void {
    this.#fault = undefined
  }

  load(): Promise<Uint8Array | null> {
    return Promise.resolve(this.bytes)
  }

  save(bytes: Uint8Array): Promise<void> {
    this.writes++
    const fault = this.#fault
    const hit = fault !== undefined && (fault.lasting ? this.writes >= fault.at : this.writes === fault.at)
    if (!hit || fault.kind === 'stored') this.bytes = Uint8Array.from(bytes)
    return hit ? Promise.reject(new Error('the disk failed')) : Promise.resolve()
  }
}
