import type { ServedToken } from '../results/served-token.ts'
import type { CredentialName } from './credential-name.ts'
import { workloadApiErrors } from './errors.ts'

/** One `[[credentials]]` of the configuration. */
export interface CredentialEntry {
  /** As the manager names it, or `name@.service` for all instances. */
  readonly unit: string
  readonly id: string
  readonly audience: string
  /** Null: the default issuer. */
  readonly issuer: string | null
  /** Null: the bare token; else the member of a JSON object that holds it. */
  readonly jsonMember: string | null
  readonly waitMs: number
}

/** What all credentials of a unit may have together, so that none alone may have more (API-166). */
const mostBytes = 1_048_576

/** `worker@3.service` → `worker@.service`; null: the unit is no instance. */
function templateOf(unit: string): string | null {
  const [, name, suffix] = /^([^@]+)@.+(\.[a-z]+)$/.exec(unit) ?? []
  return name === undefined || suffix === undefined ? null : `${name}@${suffix}`
}

/** The entry for exactly this unit, else the one for all instances of its template. Null: there is none. */
export function findCredential(entries: readonly CredentialEntry[], { unit, id }: CredentialName) {
  const of = (name: string | null) => entries.find((entry) => entry.unit === name && entry.id === id)
  return of(unit) ?? of(templateOf(unit)) ?? null
}

/** The bytes of the credential. Throws `credential_too_large`: the manager would fail the unit. */
export function encodeCredential({ jsonMember }: CredentialEntry, { token, expiresAt }: ServedToken): Uint8Array {
  const text = jsonMember === null ? token : JSON.stringify({ [jsonMember]: token, expires_at: expiresAt })
  const data = new TextEncoder().encode(text)
  if (data.length <= mostBytes) return data
  throw workloadApiErrors.error('credential_too_large', `${data.length} bytes, and a unit may have ${mostBytes}`)
}
