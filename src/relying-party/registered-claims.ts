import { equalBytes } from '../base/bytes.ts'
import type { JsonValue } from '../base/json.ts'
import { hashClaim } from '../results/hash-claims.ts'
import { describeValue } from './describe-value.ts'
import type { Judge } from './judging.ts'

/** `aud` as an array; undefined if it is neither a string nor a non-empty array of strings (TOK-91). */
export function audienceOf(aud: JsonValue | undefined): readonly string[] | undefined {
  if (typeof aud === 'string') return [aud]
  const texts = Array.isArray(aud) ? aud.filter((item) => typeof item === 'string') : []
  return texts.length > 0 && Array.isArray(aud) && texts.length === aud.length ? texts : undefined
}

/** A time of a token: seconds since the epoch, an integer in [0, 2^53) (TOK-93); else undefined. */
export function secondsIn(value: JsonValue | undefined): number | undefined {
  return typeof value === 'number' && Number.isSafeInteger(value) && value >= 0 ? value : undefined
}

/** In time that depends on the lengths only: a nonce is a secret until it was used. */
function equalTexts(left: JsonValue | undefined, right: string): boolean {
  return typeof left === 'string' && equalBytes(Buffer.from(left), Buffer.from(right))
}

const judgeIssuer: Judge = ({ trust, payload, list }) => {
  const problem = () => `iss is ${describeValue(payload['iss'])}, trusted is ${describeValue(trust.issuer)}`
  list.judge('token.issuer', payload['iss'] === trust.issuer, problem)
}

const judgeAudience: Judge = ({ trust, payload, list }) => {
  const audience = audienceOf(payload['aud'])
  const problem = () =>
    audience === undefined
      ? `aud is ${describeValue(payload['aud'])}, not a text or a non-empty array of texts`
      : `the token is for ${describeValue(audience.join(' '))}, not for ${describeValue(trust.audience)}`
  list.judge('token.audience', audience?.includes(trust.audience) ?? false, problem)
}

const judgeAuthorizedParty: Judge = ({ trust, payload, list }) => {
  const { aud, azp } = payload
  if (azp === undefined && !(Array.isArray(aud) && aud.length > 1)) {
    list.pass('token.azp', 'one audience, no authorized party')
    return
  }
  const client =
    trust.clientId === undefined ? 'no clientId is configured' : `clientId is ${describeValue(trust.clientId)}`
  list.judge(
    'token.azp',
    trust.clientId !== undefined && azp === trust.clientId,
    () => `azp is ${describeValue(azp)}, ${client}`,
  )
}

const judgeTimes: Judge = ({ trust, payload, now, list }) => {
  const [exp, iat, nbf] = [secondsIn(payload['exp']), secondsIn(payload['iat']), secondsIn(payload['nbf'] ?? 0)]
  const latest = now + trust.clockSkewS
  const fail = (problem: string) => list.fail('token.times', problem)
  if (exp === undefined) return fail(`exp is ${describeValue(payload['exp'])}, not whole seconds`)
  if (iat === undefined) return fail(`iat is ${describeValue(payload['iat'])}, not whole seconds`)
  if (nbf === undefined || payload['nbf'] === null)
    return fail(`nbf is ${describeValue(payload['nbf'])}, not whole seconds`)
  if (exp <= iat) return fail(`exp ${exp} is not later than iat ${iat}`)
  if (iat > latest) return fail(`issued ${Math.ceil(iat - now)} s in the future`)
  if (nbf > latest) return fail(`valid only in ${Math.ceil(nbf - now)} s`)
  list.judge('token.times', now < exp + trust.clockSkewS, () => `expired ${Math.floor(now - exp)} s ago`)
}

const judgeAge: Judge = ({ trust, payload, now, list }) => {
  const iat = secondsIn(payload['iat'])
  if (iat === undefined) return
  const problem = () => `issued ${Math.floor(now - iat)} s ago, at most ${trust.maxTokenAgeS} s are accepted`
  list.judge('token.age', now - iat <= trust.maxTokenAgeS + trust.clockSkewS, problem)
}

const judgeNonce: Judge = ({ expected, payload, list }) => {
  const { nonce, eatNonce } = expected
  if (nonce === undefined && eatNonce === undefined) return list.waive('token.nonce', 'no nonce is expected')
  if (nonce !== undefined && !equalTexts(payload['nonce'], nonce)) {
    return list.fail('token.nonce', `nonce is ${payload['nonce'] === undefined ? 'absent' : 'another'}`)
  }
  const attested = [payload['eat_nonce'] ?? []].flat()
  const holds = eatNonce === undefined || attested.some((value) => equalTexts(value, eatNonce))
  list.judge('token.nonce', holds, () => 'eat_nonce does not contain the nonce that was sent')
}

const judgeSubject: Judge = ({ trust, expected, payload, list }) => {
  const { sub } = payload
  const demanded = [expected.subject, expected.userInfoSubject].filter((subject) => subject !== undefined)
  if (sub === undefined && trust.profile === 'alibaba' && demanded.length === 0) {
    return list.waive('token.subject', 'tokens of the configured profile alibaba have no subject')
  }
  if (typeof sub !== 'string' || !/^[\x20-\x7e]{1,255}$/.test(sub)) {
    return list.fail('token.subject', 'sub is not a text of 1 to 255 printable ASCII characters')
  }
  list.judge(
    'token.subject',
    demanded.every((subject) => subject === sub),
    () => 'sub is not the expected subject',
  )
}

const judgeHashes: Judge = ({ expected, payload, algorithm, list }) => {
  const { accessToken, code } = expected
  if (accessToken === undefined && code === undefined) {
    return list.waive('token.hashes', 'no access token and no code came with the token')
  }
  const matches = (claim: string, value: string | undefined) =>
    value === undefined || payload[claim] === hashClaim(algorithm, value)
  const wrong = [matches('at_hash', accessToken) ? [] : 'at_hash', matches('c_hash', code) ? [] : 'c_hash'].flat()
  list.judge(
    'token.hashes',
    wrong.length === 0,
    () => `${wrong.join(' and ')} does not belong to what came with the token`,
  )
}

/** Only the form: whether the token was seen is asked last, so that a refused token uses nothing up. */
const judgeTokenId: Judge = ({ trust, payload, list }) => {
  if (trust.replayCache === undefined) return list.waive('token.replay', 'no replay cache is configured')
  const { jti } = payload
  if (typeof jti !== 'string' || jti === '')
    list.fail('token.replay', `jti is ${jti === undefined ? 'absent' : 'no text'}`)
}

const judgeContext: Judge = ({ trust, expected, payload, now, list }) => {
  const { acr, maxAgeS } = expected
  if (acr === undefined && maxAgeS === undefined) {
    return list.waive('token.context', 'no context class and no greatest age of the appraisal are expected')
  }
  if (acr !== undefined && payload['acr'] !== acr) {
    return list.fail('token.context', `acr is ${describeValue(payload['acr'])}, requested was ${describeValue(acr)}`)
  }
  const appraised = secondsIn(payload['auth_time'])
  if (maxAgeS !== undefined && appraised === undefined) {
    return list.fail('token.context', `auth_time is ${describeValue(payload['auth_time'])}, not whole seconds`)
  }
  const age = now - (appraised ?? now)
  const recent = maxAgeS === undefined || (age <= maxAgeS + trust.clockSkewS && age >= -trust.clockSkewS)
  list.judge('token.context', recent, () => `appraised ${Math.floor(age)} s ago, requested was at most ${maxAgeS} s`)
}

/** TOK-90 to TOK-99, in order. */
export const registeredClaims: readonly Judge[] = [
  judgeIssuer,
  judgeAudience,
  judgeAuthorizedParty,
  judgeTimes,
  judgeAge,
  judgeNonce,
  judgeSubject,
  judgeHashes,
  judgeTokenId,
  judgeContext,
]
