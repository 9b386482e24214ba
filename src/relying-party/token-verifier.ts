import { MalformedError } from '../base/errors.ts'
import { parseJsonObject } from '../base/json.ts'
import type { AcceptedToken } from './accepted-token.ts'
import { appraiseToken, type TokenAppraisal } from './appraise-token.ts'
import { clipText } from './describe-value.ts'
import { DistrustedError, relyingPartyErrors } from './errors.ts'
import { discoverKeys } from './issuer-keys.ts'
import { fixedKeys, type KeySource } from './key-source.ts'
import { parseKeySet } from './public-keys.ts'
import { requireExpectations } from './require-expectations.ts'
import { requireTrust } from './require-trust.ts'
import type { JsonWebKeySet, TokenExpectations, TokenTrust } from './token-trust.ts'

/** Judges tokens by one configuration. Safe for concurrent use; keep it as long as the service runs. */
export interface TokenVerifier {
  /**
   * Accepts a token or throws. Give it the compact token alone, without `Bearer` and white space.
   *
   * Throws `MalformedError` (400) if the text is no token at all (`token.syntax`, `token.json`); `DistrustedError` (403)
   * with every finding if a check failed; `AttestdError` `keys_unavailable` (503) if the issuer's keys could not be
   * obtained, which says nothing about the token. An error of your replay cache is passed on. A `TypeError` is a bug in
   * the expectations.
   */
  accept(token: string, expectations?: TokenExpectations): Promise<AcceptedToken>
  /**
   * As `accept`, but gives the findings and never throws for a bad token, malformed ones included: for tools that show
   * each check. It also enters the token into the replay cache.
   */
  appraise(token: string, expectations?: TokenExpectations): Promise<TokenAppraisal>
}

function configuredKeys(jwks: JsonWebKeySet): KeySource {
  const keys = parseKeySet(parseJsonObject(JSON.stringify(jwks), 'keys.jwks'))
  if (keys.size > 0) return fixedKeys(keys)
  const reasons = keys.dropped.slice(0, 5).map(({ kid, reason }) => `${kid ?? 'a key without kid'}: ${reason}`)
  const detail = `keys.jwks: holds no usable public key${reasons.length === 0 ? '' : ` (${reasons.join('; ')})`}`
  throw relyingPartyErrors.error('TOKEN_TRUST_INVALID', clipText(detail, 400), { facts: { option: 'keys.jwks' } })
}

function keysOf({ issuer, keys, clock }: TokenTrust): KeySource {
  if ('source' in keys) return keys.source
  if ('jwks' in keys) return configuredKeys(keys.jwks)
  return discoverKeys(issuer, { ...(clock === undefined ? {} : { clock }), ...keys.discovery })
}

function requireAffirmed({ token, findings, proof }: TokenAppraisal): AcceptedToken {
  if (token !== undefined) return token
  const malformed = findings.find(({ id, outcome }) => outcome === 'failed' && /^token\.(?:syntax|json)$/.test(id))
  if (malformed === undefined) throw new DistrustedError(findings, proof?.findings)
  throw new MalformedError({ path: malformed.id }, malformed.detail ?? 'does not parse', {
    facts: { check: malformed.id },
  })
}

/**
 * Makes the verifier of one relying party. Checks, in the order of section 8 of the token specification: syntax and
 * strict JSON on the text; type and header; algorithm, key and signature; issuer, audience, times, age, nonces, subject,
 * replay; profile, kind, report data, runtime and init data, debug mode, measurements, TCB status, policies, simulation
 * and binding. Trust is what `trust` says and nothing else; no check is skipped without a finding that says so.
 *
 * Throws `AttestdError` `TOKEN_TRUST_INVALID` naming the option that is wrong. Reaches out only for `keys.discovery`,
 * and only when a token comes.
 */
export function createTokenVerifier(trust: TokenTrust): TokenVerifier {
  const required = requireTrust(trust)
  const source = keysOf(trust)
  const appraise = async (token: string, expectations: TokenExpectations = {}) =>
    appraiseToken(token, { trust: required, expected: requireExpectations(expectations), source })
  return { appraise, accept: async (token, expectations) => requireAffirmed(await appraise(token, expectations)) }
}
