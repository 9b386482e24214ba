import { compactVerify, createLocalJWKSet, errors, type JSONWebKeySet } from 'jose'
import { MalformedError } from '../../src/base/errors.ts'
import type { JsonObject } from '../../src/base/json.ts'
import { parseJsonObject } from '../../src/base/json.ts'

/** What the owner of a cloud account registered about an issuer of tokens. */
export interface RegisteredIssuer {
  /** `iss`, byte for byte; its keys are found below it. */
  readonly issuer: string
  /** Audiences that are taken. */
  readonly audiences: readonly string[]
  readonly algorithms: readonly string[]
  /** Greatest age since `iat`, in seconds. */
  readonly longestAgeS?: number
  /** Greatest time from `iat` to `exp`, in seconds. */
  readonly longestLifeS?: number
}

export type Refusal =
  | 'length'
  | 'syntax'
  | 'algorithm'
  | 'issuer'
  | 'keys'
  | 'signature'
  | 'audience'
  | 'times'
  | 'expired'
  | 'subject'

/** A token that its cloud refuses, and why. */
export class TokenRefused extends Error {
  readonly why: Refusal

  constructor(why: Refusal, says: string) {
    super(says)
    this.name = 'TokenRefused'
    this.why = why
  }
}

export interface JudgedToken {
  readonly issuer: string
  readonly audience: string
  readonly subject: string
  readonly issuedAt: number
  readonly expiresAt: number
}

const [shortest, longest] = [4, 20_000]
const compactForm = /^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+$/
const documentLimit = 65_536

async function fetchDocument(url: string): Promise<JsonObject> {
  try {
    const answer = await fetch(url, { redirect: 'error', signal: AbortSignal.timeout(5_000) })
    const text = await answer.text()
    if (answer.status !== 200 || text.length > documentLimit) throw new Error(`${answer.status}`)
    return parseJsonObject(text, 'document')
  } catch (error) {
    throw new TokenRefused('keys', `no document at ${url}: ${error instanceof Error ? error.message : 'failed'}`)
  }
}

/** Discovery first, then the key set that it names: what every cloud does with an issuer that is not its own. */
async function fetchKeys(issuer: string): Promise<JSONWebKeySet> {
  const { issuer: named, jwks_uri: uri } = await fetchDocument(`${issuer}/.well-known/openid-configuration`)
  if (named !== issuer || typeof uri !== 'string')
    throw new TokenRefused('keys', 'the discovery document is not its own')
  const { keys } = await fetchDocument(uri)
  if (!Array.isArray(keys)) throw new TokenRefused('keys', 'the key set has no keys')
  // Whatever it holds: jose reads each key by itself, and takes only one that is whole.
  return { keys: keys as unknown as JSONWebKeySet['keys'] }
}

function partOf(token: string, at: 0 | 1): JsonObject {
  try {
    return parseJsonObject(Buffer.from(token.split('.')[at] ?? '', 'base64url'), 'token')
  } catch (error) {
    if (error instanceof MalformedError) throw new TokenRefused('syntax', error.message)
    throw error
  }
}

function requireForm(token: string): void {
  if (token.length < shortest || token.length > longest) {
    throw new TokenRefused('length', `a token has ${shortest} to ${longest} characters, not ${token.length}`)
  }
  if (!compactForm.test(token)) throw new TokenRefused('syntax', 'not a JWT in compact form')
}

function requireHeader({ alg, kid }: JsonObject, { algorithms }: RegisteredIssuer): void {
  if (typeof kid !== 'string') throw new TokenRefused('syntax', 'the header has no kid')
  if (typeof alg !== 'string' || !algorithms.includes(alg)) throw new TokenRefused('algorithm', `alg ${String(alg)}`)
}

async function requireSignature(token: string, { issuer, algorithms }: RegisteredIssuer): Promise<void> {
  try {
    await compactVerify(token, createLocalJWKSet(await fetchKeys(issuer)), { algorithms: [...algorithms] })
  } catch (error) {
    if (error instanceof errors.JOSEError) throw new TokenRefused('signature', error.code)
    throw error
  }
}

function timeIn(claims: JsonObject, name: 'iat' | 'exp'): number {
  const value = claims[name]
  if (typeof value === 'number' && Number.isSafeInteger(value)) return value
  throw new TokenRefused('times', `${name} is not an integer`)
}

function requireTimes(
  claims: JsonObject,
  { longestAgeS, longestLifeS }: RegisteredIssuer,
  nowS: number,
): [number, number] {
  const [iat, exp] = [timeIn(claims, 'iat'), timeIn(claims, 'exp')]
  if (exp <= nowS) throw new TokenRefused('expired', `exp ${exp} is not after ${nowS}`)
  if (longestAgeS !== undefined && nowS - iat > longestAgeS) throw new TokenRefused('expired', `iat ${iat} is too old`)
  if (iat > nowS + 5) throw new TokenRefused('times', `iat ${iat} is in the future`)
  if (longestLifeS !== undefined && exp - iat > longestLifeS) throw new TokenRefused('times', 'it lives too long')
  return [iat, exp]
}

function requireAudience({ aud, azp }: JsonObject, { audiences }: RegisteredIssuer): string {
  const named = typeof azp === 'string' ? [azp] : Array.isArray(aud) ? aud : [aud]
  const audience = named.find((one) => typeof one === 'string' && audiences.includes(one))
  if (typeof audience === 'string') return audience
  throw new TokenRefused('audience', 'the audience is not registered')
}

/**
 * Judges a token as the STS of a cloud does: form and length on its text; issuer; signature, with keys that are fetched from
 * the issuer for this token; audience; times; subject. Throws `TokenRefused`. `nowS`: seconds since the epoch.
 */
export async function judgeToken(token: string, registered: RegisteredIssuer, nowS: number): Promise<JudgedToken> {
  requireForm(token)
  requireHeader(partOf(token, 0), registered)
  const claims = partOf(token, 1)
  if (claims['iss'] !== registered.issuer) throw new TokenRefused('issuer', 'the issuer is not registered')
  await requireSignature(token, registered)
  const audience = requireAudience(claims, registered)
  const [issuedAt, expiresAt] = requireTimes(claims, registered, nowS)
  const { sub } = claims
  if (typeof sub !== 'string' || sub === '') throw new TokenRefused('subject', 'the token names no subject')
  return { issuer: registered.issuer, audience, subject: sub, issuedAt, expiresAt }
}
