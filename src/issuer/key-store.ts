import { MalformedError } from '../base/errors.ts'
import { issuerErrors } from './errors.ts'
import { encodeKeyState, type KeyState, parseKeyState } from './key-state.ts'

/** Where a key ring keeps its state. `save` is atomic and has reached the disk when it resolves; mode 0600 (TOK-54). */
export interface KeyRingStore {
  /** Null if nothing was ever saved. */
  load(): Promise<Uint8Array | null>
  save(bytes: Uint8Array): Promise<void>
}

export async function saveKeyState(store: KeyRingStore, state: KeyState): Promise<void> {
  try {
    await store.save(encodeKeyState(state))
  } catch (cause) {
    throw issuerErrors.error('KEY_STATE_UNWRITABLE', 'the state of the signing keys was not stored', { cause })
  }
}

/** Null on the first start. Throws `KEY_STATE_UNREADABLE` for bytes that do not parse, and leaves them alone. */
export async function loadKeyState(store: KeyRingStore, purpose: string): Promise<KeyState | null> {
  const bytes = await store.load()
  if (bytes === null) return null
  try {
    return parseKeyState(bytes, purpose)
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw issuerErrors.error('KEY_STATE_UNREADABLE', cause.message, { cause })
  }
}
