import { parseText, toHex } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { jwkThumbprint } from '../base/jwk.ts'
import {
  type BoundRequest,
  deriveReportData,
  deriveSeed,
  deriveTpmQualifyingData,
  encodeTokenRequest,
} from '../evidence/binding.ts'
import { hashLeaf, inclusionRoot } from '../evidence/request-tree.ts'
import type { RequestCommitment } from '../results/request-commitment.ts'
import { clipText } from './describe-value.ts'
import { valueAt } from './evidence-view.ts'
import type { Judge, Judging } from './judging.ts'
import { audienceOf, secondsIn } from './registered-claims.ts'

const members = ['challenge', 'devices', 'index', 'path', 'policies', 'salt', 'size', 'ttl']
/** A tree of 1 024 requests has ten levels. */
const longestPath = 10

function malformed(path: string, says: string): never {
  throw new MalformedError({ path: `attestd.commitment${path}` }, says)
}

function bytesOf(value: JsonValue | undefined, path: string, ...lengths: readonly number[]): Uint8Array {
  if (typeof value !== 'string') malformed(path, 'is not a text')
  const bytes = parseText(value, 'base64url', `attestd.commitment${path}`)
  if (!lengths.includes(bytes.length)) malformed(path, `is ${bytes.length} bytes`)
  return bytes
}

function listOf(value: JsonValue | undefined, path: string, most: number): readonly JsonValue[] {
  if (!Array.isArray(value) || value.length > most) malformed(path, `is not a list of at most ${most} items`)
  return value
}

function countOf(value: JsonValue | undefined, path: string): number {
  return secondsIn(value) ?? malformed(path, 'is not a whole number')
}

/** The claim with exactly its members; throws `MalformedError`. Whether its numbers fit each other, the tree says. */
function parseCommitment(claim: JsonValue): RequestCommitment {
  if (!isJsonObject(claim)) malformed('', 'is not an object')
  if (Object.keys(claim).sort().join() !== members.join()) malformed('', 'has other members')
  const { challenge, devices, index, path, policies, salt, size, ttl } = claim
  return {
    challenge: bytesOf(challenge, '.challenge', 32),
    devices: bytesOf(devices, '.devices', 0, 32),
    index: countOf(index, '.index'),
    size: countOf(size, '.size'),
    path: listOf(path, '.path', longestPath).map((sibling) => bytesOf(sibling, '.path', 32)),
    salt: bytesOf(salt, '.salt', 16),
    ttlS: ttl === null ? null : countOf(ttl, '.ttl'),
    policyIds: listOf(policies, '.policies', 10).map((id) =>
      typeof id === 'string' ? id : malformed('.policies', 'is no text'),
    ),
  }
}

function keyIn(cnf: JsonValue | undefined): BoundRequest['cnf'] {
  if (cnf === undefined) return null
  const { jkt, jwk } = isJsonObject(cnf) ? cnf : {}
  if (typeof jkt === 'string' && jwk === undefined) return { jkt }
  if (isJsonObject(jwk) && jkt === undefined) return { jkt: jwkThumbprint(jwk) }
  throw new MalformedError({ path: 'cnf' }, 'names no key')
}

function noncesIn(claim: JsonValue | undefined): readonly string[] {
  const nonces = claim === undefined ? [] : Array.isArray(claim) ? claim : [claim]
  return nonces.map((nonce) => {
    if (typeof nonce !== 'string') throw new MalformedError({ path: 'eat_nonce' }, 'is not a text')
    return nonce
  })
}

/** The request as the token answers it: of the claims that a relying party goes by, and of the proof what is not among them. */
function requestOf(payload: JsonObject, { ttlS, policyIds }: RequestCommitment): BoundRequest {
  const audience = audienceOf(payload['aud'])
  if (audience === undefined) throw new MalformedError({ path: 'aud' }, 'is no audience')
  return {
    audience,
    nonces: noncesIn(payload['eat_nonce']),
    tokenType: 'OIDC',
    ttlS,
    policyIds,
    cnf: keyIn(payload['cnf']),
  }
}

/** What was asked for and is not in the token as it was asked for. */
function shortfall(payload: JsonObject, { ttlS, policyIds }: RequestCommitment): string | undefined {
  const [issuedAt, expiresAt] = [secondsIn(payload['iat']) ?? 0, secondsIn(payload['exp']) ?? Infinity]
  if (ttlS !== null && expiresAt - issuedAt > ttlS) return 'the token lives longer than its request asked for'
  const reports = payload['evaluation-reports']
  const evaluated = new Set(
    (Array.isArray(reports) ? reports : []).map((report) => (isJsonObject(report) ? report['policy-id'] : undefined)),
  )
  return policyIds.every((id) => evaluated.has(id)) ? undefined : 'a policy that the request names was not evaluated'
}

/** What the token says that the devices signed, each with what it must be. A composite has several. */
function quotedIn(payload: JsonObject, seed: Uint8Array, devices: Uint8Array) {
  const reportData = valueAt(payload, 'tdx', 'quote', 'body', 'report_data')
  const qualifyingData = valueAt(payload, 'tpm', 'qualifying_data')
  const withTd = payload['tee'] === 'tdx' || payload['tee'] === 'acstdxnvgpu'
  const all = [
    { name: 'report data', found: reportData, wanted: () => toHex(deriveReportData(seed, devices)) },
    { name: 'qualifying data', found: qualifyingData, wanted: () => toHex(deriveTpmQualifyingData(seed)) },
  ]
  return all.filter(({ found, name }) => found !== undefined || (withTd && name === 'report data'))
}

function commitmentProblem({ trust, payload }: Judging, claim: JsonValue): string | undefined {
  const commitment = parseCommitment(claim)
  const { challenge, size, devices, salt } = commitment
  const root = inclusionRoot(hashLeaf(encodeTokenRequest(requestOf(payload, commitment), salt)), commitment)
  if (root === null) return 'index, size and path do not fit each other'
  const verifier = trust.issuer
  const seed = deriveSeed({ purpose: 'token', verifier, challenge, root, size, agentKey: null })
  const quoted = quotedIn(payload, seed, devices)
  if (quoted.length === 0) return 'the token does not say what was quoted'
  // Only report data cover it: elsewhere it would be a part of the proof that nothing holds in place.
  const covered = quoted.some(({ name }) => name === 'report data')
  if (devices.length > 0 && !covered) return 'the proof digests devices beside a TD, and there is no TD'
  const other = quoted.find(({ found, wanted }) => found !== wanted())
  if (other !== undefined) return `the ${other.name} that was quoted commits to another request`
  return shortfall(payload, commitment)
}

/**
 * BRK-86, BRK-90 to BRK-93: the leaf is recomputed from the claims of the token, the root from the proof, and what the
 * devices signed from both. No digest of the proof is compared with a digest of the proof: a proof of another token,
 * of another batch or of an inner node leads to other report data.
 */
export const judgeCommitment: Judge = (judging) => {
  const { trust, payload, list } = judging
  const { commitment } = isJsonObject(payload['attestd']) ? payload['attestd'] : {}
  if (commitment === undefined) {
    if (trust.requireCommitment) list.fail('token.inclusion', 'the token carries no proof of inclusion')
    else list.waive('token.inclusion', 'the token carries no proof of inclusion, and none is demanded')
    return
  }
  const problem = describeProblem(judging, commitment)
  list.judge('token.inclusion', problem === undefined, () => problem ?? '')
}

function describeProblem(judging: Judging, commitment: JsonValue): string | undefined {
  try {
    return commitmentProblem(judging, commitment)
  } catch (error) {
    if (error instanceof MalformedError) return clipText(error.message)
    throw error
  }
}
