import { secondsOf } from '../base/clock.ts'
import { AttestdError } from '../base/errors.ts'
import type { Task } from '../base/tasks.ts'
import { issuerErrors } from './errors.ts'
import { KeyRing, type KeyRingOptions } from './key-ring.ts'
import type { KeySchedule } from './key-schedule.ts'
import type { KeyState } from './key-state.ts'
import { loadKeyState, saveKeyState } from './key-store.ts'
import { generateSigningKey, type SigningKey } from './signing-key.ts'

const day = 86_400
/** The longest life of any token (TOK-43), whatever was configured when it was signed. */
const longestTokenLifeS = day

function composeSchedule({ rotationS = 90 * day, jwksMaxAgeS = 3600 }: KeyRingOptions): KeySchedule {
  const publicationS = Math.max(day, 2 * jwksMaxAgeS)
  const retirementS = longestTokenLifeS + 300 + jwksMaxAgeS
  const leastS = publicationS + retirementS
  if (rotationS < leastS) {
    throw issuerErrors.error(
      'KEY_CONFIGURATION',
      `keys that are replaced every ${rotationS} s pile up in the key set`,
      {
        facts: { least_s: leastS },
        remedy: `replace keys at an age of ${leastS} s or more`,
      },
    )
  }
  return { rotationS, publicationS, retirementS }
}

async function obtainFirstKeys({ algorithms, initialKeys = [] }: KeyRingOptions): Promise<SigningKey[]> {
  const keys = await Promise.all(
    algorithms.map((alg) => initialKeys.find((key) => key.alg === alg) ?? generateSigningKey(alg)),
  )
  for (const name of ['kid', 'thumbprint'] as const) {
    if (new Set(keys.map((key) => key[name])).size !== keys.length) {
      throw issuerErrors.error('KEY_UNSUITABLE', 'two algorithms would share a key or its `kid`')
    }
  }
  return keys
}

/** First start: nobody holds a cached key set yet, so the first keys sign at once. */
async function createState(options: KeyRingOptions): Promise<KeyState> {
  const keys = await obtainFirstKeys(options)
  const since = secondsOf(options.clock)
  const records = keys.map((key) => ({ key, state: 'active' as const, since }))
  const state: KeyState = { purpose: options.purpose, keys: records, tombstones: [] }
  if (options.store !== 'ephemeral') await saveKeyState(options.store, state)
  for (const { kid, alg } of keys) options.report?.({ event: 'activated', kid, alg })
  return state
}

/**
 * Opens the keys of one purpose: reads the store, or makes and stores the first keys. Changes that became due while the
 * process was down are made before it resolves. Throws `KEY_STATE_UNREADABLE` rather than replace keys that do not read.
 */
export async function openKeyRing(given: KeyRingOptions): Promise<KeyRing> {
  if (!given.algorithms.includes('RS256')) {
    throw issuerErrors.error('KEY_CONFIGURATION', 'RS256 is missing, and most consumers take nothing else (TOK-07)')
  }
  const options = { ...given, algorithms: [...new Set(given.algorithms)] }
  const schedule = composeSchedule(options)
  if (options.store === 'ephemeral') options.report?.({ event: 'ephemeral' })
  const stored = options.store === 'ephemeral' ? null : await loadKeyState(options.store, options.purpose)
  const ring = new KeyRing(options, schedule, stored ?? (await createState(options)))
  await ring.advance()
  return ring
}

/** Makes due changes of the keys every minute until the signal aborts; failures are reported and tried again. */
export function keepKeysRotating(ring: KeyRing, { clock, report }: Pick<KeyRingOptions, 'clock' | 'report'>): Task {
  return async (signal) => {
    while (!signal.aborted) {
      try {
        await ring.advance()
      } catch (error) {
        if (!(error instanceof AttestdError)) throw error
        report?.({ event: 'failed', code: error.code })
      }
      await clock.sleep(60_000, signal).catch((reason) => {
        if (!signal.aborted) throw reason
      })
    }
  }
}
