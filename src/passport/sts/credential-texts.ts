import { timeOfCalendar } from '../../base/calendar.ts'
import type { CloudCredentials } from '../../results/cloud-credentials.ts'
import { stsErrors } from './errors.ts'

/** Credentials as an answer spells them; null where a member is missing. */
export interface CredentialTexts {
  readonly accessKeyId: string | null
  readonly secret: string | null
  readonly securityToken: string | null
  readonly expiration: string | null
}

const keyId = /^[A-Za-z0-9._-]{8,128}$/
const printable = /^[\x21-\x7e]+$/
const utcTime = /^([0-9]{4})-([0-9]{2})-([0-9]{2})T([0-9]{2}):([0-9]{2}):([0-9]{2})(?:\.[0-9]{1,6})?Z$/
/** A role's session lives 12 hours at most; a clock may be wrong. */
const longestLifeS = 86_400
/** Credentials with less are of no use to whoever waits for them. */
const shortestLifeS = 60

/** Seconds since the epoch; null for anything but a time in UTC that exists. */
function secondsIn(text: string): number | null {
  const [year, month, day, hour, minute, second] = (utcTime.exec(text) ?? []).slice(1).map(Number)
  if (year === undefined || month === undefined || day === undefined) return null
  if (hour === undefined || minute === undefined || second === undefined) return null
  const ms = timeOfCalendar({ year, month, day, hour, minute, second })
  return ms === null ? null : Math.floor(ms / 1000)
}

const within = (text: string | null, form: RegExp, longest: number): text is string =>
  text !== null && text.length <= longest && form.test(text)

/**
 * Checks what a token service gave: every member there and of its form, a life of a minute to a day from `nowS` (seconds
 * since the epoch). Throws `sts_answer_invalid`, which quotes nothing of it.
 */
export function requireCredentials(texts: CredentialTexts, nowS: number): CloudCredentials {
  const invalid = (problem: string) => stsErrors.error('sts_answer_invalid', `the credentials of the answer ${problem}`)
  const { accessKeyId, secret, securityToken, expiration } = texts
  if (!within(accessKeyId, keyId, 128)) throw invalid('have no access key id')
  if (!within(secret, printable, 512)) throw invalid('have no secret')
  if (!within(securityToken, printable, 16_384)) throw invalid('have no session token')
  const expiresAt = expiration === null ? null : secondsIn(expiration)
  if (expiresAt === null) throw invalid('have no time of expiry')
  if (expiresAt < nowS + shortestLifeS) throw invalid('have expired, or the clock of this machine is wrong')
  if (expiresAt > nowS + longestLifeS) throw invalid('live longer than any role, or the clock of this machine is wrong')
  return { accessKeyId, secret, securityToken, expiresAt }
}
