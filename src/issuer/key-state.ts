import { createPrivateKey } from 'node:crypto'
import { parseText, toBase64 } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import { importSigningKey, type SigningAlgorithm, type SigningKey, signingAlgorithms } from './signing-key.ts'

/** A key in the key set. `since`: seconds since the epoch at which it entered its state. */
export interface KeyRecord {
  readonly key: SigningKey
  readonly state: 'published' | 'active' | 'retiring'
  readonly since: number
}

/** A `kid` that is gone and never comes back (TOK-53). */
export interface Tombstone {
  readonly kid: string
  readonly reason: 'removed' | 'revoked'
  readonly at: number
}

/** All that a key ring remembers. Replaced whole, never changed. */
export interface KeyState {
  /** What the keys sign: a file of other keys is not read by mistake (TOK-50). */
  readonly purpose: string
  readonly keys: readonly KeyRecord[]
  readonly tombstones: readonly Tombstone[]
}

/** Keys in the key set at once (TOK-55). */
export const maxKeys = 10

export interface KeyChange {
  readonly event: 'published' | 'activated' | 'retired' | 'removed' | 'revoked'
  readonly key: SigningKey
}

const eventOf = { published: 'published', active: 'activated', retiring: 'retired' } as const

/** What happened to keys between two states. */
export function listKeyChanges(before: KeyState, after: KeyState): KeyChange[] {
  const stateBefore = new Map(before.keys.map(({ key, state }) => [key.kid, state]))
  const kept = new Set(after.keys.map(({ key }) => key.kid))
  const reasons = new Map(after.tombstones.map(({ kid, reason }) => [kid, reason]))
  const gone = before.keys.filter(({ key }) => !kept.has(key.kid))
  const changed = after.keys.filter(({ key, state }) => stateBefore.get(key.kid) !== state)
  return [
    ...gone.map(({ key }) => ({ event: reasons.get(key.kid) ?? 'removed', key })),
    ...changed.map(({ key, state }) => ({ event: eventOf[state], key })),
  ]
}

const keyStates = ['published', 'active', 'retiring'] as const
const tombstoneReasons = ['removed', 'revoked'] as const

/** The state as the bytes to store. They hold the private keys. */
export function encodeKeyState(state: KeyState): Uint8Array {
  const keys = state.keys.map(({ key, state: inState, since }) => ({
    kid: key.kid,
    alg: key.alg,
    state: inState,
    since,
    pkcs8: toBase64(key.privateKey.export({ format: 'der', type: 'pkcs8' })),
  }))
  const document = { format: 'attestd.keys', version: 1, purpose: state.purpose, keys, tombstones: state.tombstones }
  return new TextEncoder().encode(`${JSON.stringify(document, null, 1)}\n`)
}

function malformed(path: string, problem: string): MalformedError {
  return new MalformedError({ path }, problem)
}

function requireMembers(value: JsonValue | undefined, path: string, members: readonly string[]): JsonObject {
  if (!isJsonObject(value)) throw malformed(path, 'is not an object')
  const names = Object.keys(value).sort().join()
  if (names !== [...members].sort().join()) throw malformed(path, `does not have exactly the members ${members.join()}`)
  return value
}

function requireList(value: JsonValue | undefined, path: string, max: number): JsonValue[] {
  if (!Array.isArray(value) || value.length > max) throw malformed(path, `is not a list of at most ${max}`)
  return value
}

function requireText(value: JsonValue | undefined, path: string): string {
  if (typeof value !== 'string') throw malformed(path, 'is not a text')
  return value
}

function requireTime(value: JsonValue | undefined, path: string): number {
  if (typeof value !== 'number' || value < 0) throw malformed(path, 'is not a time in seconds')
  return value
}

function requireOneOf<T extends string>(value: JsonValue | undefined, path: string, choices: readonly T[]): T {
  const found = choices.find((choice) => choice === value)
  if (found === undefined) throw malformed(path, `is none of ${choices.join()}`)
  return found
}

function parseKey(object: JsonObject, path: string): SigningKey {
  const alg: SigningAlgorithm = requireOneOf(object['alg'], `${path}.alg`, signingAlgorithms)
  const der = parseText(requireText(object['pkcs8'], `${path}.pkcs8`), 'base64', `${path}.pkcs8`)
  try {
    const privateKey = createPrivateKey({ key: Buffer.from(der), format: 'der', type: 'pkcs8' })
    return importSigningKey(privateKey, alg, requireText(object['kid'], `${path}.kid`))
  } catch {
    // The cause is left out on purpose: it may quote the key.
    throw malformed(path, 'does not hold a private key of its algorithm')
  }
}

function parseRecord(value: JsonValue, path: string): KeyRecord {
  const object = requireMembers(value, path, ['kid', 'alg', 'state', 'since', 'pkcs8'])
  return {
    key: parseKey(object, path),
    state: requireOneOf(object['state'], `${path}.state`, keyStates),
    since: requireTime(object['since'], `${path}.since`),
  }
}

function parseTombstone(value: JsonValue, path: string): Tombstone {
  const object = requireMembers(value, path, ['kid', 'reason', 'at'])
  return {
    kid: requireText(object['kid'], `${path}.kid`),
    reason: requireOneOf(object['reason'], `${path}.reason`, tombstoneReasons),
    at: requireTime(object['at'], `${path}.at`),
  }
}

function requireUnique(values: readonly string[], problem: string): void {
  if (new Set(values).size !== values.length) throw malformed('keys', problem)
}

function requireConsistent({ keys, tombstones }: KeyState): void {
  const gone = new Set(tombstones.map(({ kid }) => kid))
  requireUnique(
    keys.map(({ key }) => key.kid),
    'hold one `kid` twice',
  )
  requireUnique(
    keys.map(({ key }) => key.thumbprint),
    'hold one key twice: a key has one algorithm and one `kid`',
  )
  requireUnique(
    keys.filter(({ state }) => state !== 'retiring').map(({ key, state }) => `${key.alg} ${state}`),
    'hold two active or two published keys of one algorithm',
  )
  if (keys.some(({ key }) => gone.has(key.kid))) throw malformed('keys', 'hold a key that was removed or revoked')
}

/**
 * Reads what `encodeKeyState` wrote, strictly: exact members, every key fit for its algorithm, no `kid` and no key
 * twice, none that has a tombstone. Throws `MalformedError`, whose text never holds key material.
 */
export function parseKeyState(bytes: Uint8Array, purpose: string): KeyState {
  const document = parseJsonObject(bytes, 'keys', { maxDepth: 3, maxItems: 10_000, integersOnly: true })
  const object = requireMembers(document, 'keys', ['format', 'version', 'purpose', 'keys', 'tombstones'])
  if (object['format'] !== 'attestd.keys' || object['version'] !== 1)
    throw malformed('keys', 'is no key file of version 1')
  if (object['purpose'] !== purpose)
    throw malformed('keys.purpose', `is not '${purpose}': these keys sign something else`)
  const state: KeyState = {
    purpose,
    keys: requireList(object['keys'], 'keys.keys', maxKeys).map((item, at) => parseRecord(item, `keys.keys.${at}`)),
    tombstones: requireList(object['tombstones'], 'keys.tombstones', 10_000).map((item, at) =>
      parseTombstone(item, `keys.tombstones.${at}`),
    ),
  }
  requireConsistent(state)
  return state
}
