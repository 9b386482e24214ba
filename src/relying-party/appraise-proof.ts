import { createHash, type KeyObject } from 'node:crypto'
import { equalBytes } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { jwkThumbprint } from '../base/jwk.ts'
import type { Finding } from '../results/appraisal.ts'
import { Checklist } from '../results/checklist.ts'
import { matchAlgorithm, type SignatureAlgorithm } from './algorithms.ts'
import { parseCompactJws, parseTokenObject } from './compact-jws.ts'
import { clipText, describeValue } from './describe-value.ts'
import type { PresentedProof } from './presented-proof.ts'
import { type ProofCheckId, proofChecks } from './proof-checks.ts'
import { allowsAlgorithm, importPublicKey, privateMemberOf } from './public-keys.ts'
import type { ReplayCache } from './replay-cache.ts'
import { normalTarget } from './request-target.ts'
import { signatureProblem } from './verify-signature.ts'

export interface ProofAppraisal {
  readonly affirmed: boolean
  readonly findings: readonly Finding<ProofCheckId>[]
}

/** What a proof is judged by. */
export interface ProofInputs {
  readonly presented: PresentedProof
  /** The token that came with the proof, as text. */
  readonly token: string
  /** Its claim `cnf`. */
  readonly confirmation: JsonValue | undefined
  readonly algorithms: ReadonlySet<SignatureAlgorithm>
  /** Seconds since the epoch. */
  readonly now: number
  /** Where used proofs are remembered; null: this one is not remembered, and `proof.replay` stays unreached. */
  readonly replayCache: ReplayCache | null
}

type ProofChecklist = Checklist<ProofCheckId>

interface ParsedProof {
  readonly text: string
  readonly header: JsonObject
  readonly payload: JsonObject
  readonly signature: Uint8Array
}

interface ProvenKey {
  readonly algorithm: SignatureAlgorithm
  readonly key: KeyObject
  readonly thumbprint: string
}

const longestProof = 8192
const longestId = 128
/** Seconds between the making of a proof and now, in both directions. */
const windowS = 60
/** How long a proof is remembered: as long as it could be accepted by a clock that is off. */
const rememberedS = 120

function judgeHeaders({ scheme, proofs }: PresentedProof, list: ProofChecklist): string | undefined {
  if (!/^dpop$/i.test(scheme)) {
    list.fail('proof.header', `the token came with the scheme ${describeValue(scheme)}`)
    return undefined
  }
  const [proof, ...others] = proofs
  const problem = proof === undefined ? 'there is no proof' : `there are ${proofs.length} proofs`
  return list.judge('proof.header', proof !== undefined && others.length === 0, () => problem) ? proof : undefined
}

function parseProof(text: string, list: ProofChecklist): ParsedProof | undefined {
  try {
    const { header, payload, signature } = parseCompactJws(text, longestProof)
    const members = parseTokenObject(header, 'proof.header')
    const extension = ['crit', 'b64', 'zip'].find((name) => members[name] !== undefined)
    if (extension !== undefined) throw new MalformedError({ path: 'proof.header' }, `has ${extension}`)
    const parsed = { text, header: members, payload: parseTokenObject(payload, 'proof.payload'), signature }
    list.pass('proof.syntax')
    return parsed
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    list.fail('proof.syntax', clipText(error.message))
    return undefined
  }
}

/** The key that a proof names for itself, if it may be used with this algorithm. It is trusted for nothing yet. */
function namedKey(jwk: JsonValue | undefined, algorithm: SignatureAlgorithm): KeyObject | string {
  if (!isJsonObject(jwk)) return `jwk is ${describeValue(jwk)}`
  const secret = privateMemberOf(jwk)
  if (secret !== undefined) return `jwk has the private member ${secret}`
  return allowsAlgorithm(jwk, algorithm) ? importPublicKey(jwk) : `jwk is not a key for ${algorithm}`
}

function judgeKey({ header }: ParsedProof, algorithms: ProofInputs['algorithms'], list: ProofChecklist) {
  const { typ, alg, jwk } = header
  list.judge('proof.type', typ === 'dpop+jwt', () => `typ is ${describeValue(typ)}`)
  const algorithm = matchAlgorithm(alg)
  const allowed = algorithm !== undefined && algorithms.has(algorithm)
  list.judge('proof.algorithm', allowed, () => `alg is ${describeValue(alg)}`)
  if (algorithm === undefined || !allowed) return undefined
  const key = namedKey(jwk, algorithm)
  if (typeof key === 'string' || !isJsonObject(jwk)) {
    list.fail('proof.key', String(key))
    return undefined
  }
  list.pass('proof.key')
  return { algorithm, key, thumbprint: jwkThumbprint(jwk) }
}

async function authenticate(
  proof: ParsedProof,
  algorithms: ProofInputs['algorithms'],
  list: ProofChecklist,
): Promise<ProvenKey | undefined> {
  const named = judgeKey(proof, algorithms, list)
  if (named === undefined || !list.passed('proof.type')) return undefined
  const problem = await signatureProblem(proof, named.algorithm, named.key, 'the proof')
  return list.judge('proof.signature', problem === undefined, () => problem ?? '') ? named : undefined
}

function judgeTarget({ htm, htu }: JsonObject, { method, url }: PresentedProof, list: ProofChecklist): void {
  list.judge('proof.method', htm === method, () => `htm is ${describeValue(htm)}, the method ${describeValue(method)}`)
  const [named, called] = [typeof htu === 'string' ? normalTarget(htu) : undefined, normalTarget(url)]
  const problem = () =>
    called === undefined
      ? 'the URL of the request, as given to the checker, is no absolute http or https URL'
      : `htu is ${describeValue(htu)}, the request was for ${clipText(called)}`
  list.judge('proof.url', named !== undefined && named === called, problem)
}

function judgeMoment({ iat, jti }: JsonObject, now: number, list: ProofChecklist): void {
  const made = typeof iat === 'number' && Number.isSafeInteger(iat) ? iat : undefined
  const near = made !== undefined && Math.abs(Math.floor(now) - made) <= windowS
  const age = made === undefined ? '' : `: ${Math.abs(Math.floor(now) - made)} s ${made > now ? 'ahead' : 'ago'}`
  list.judge('proof.time', near, () => `iat is ${describeValue(iat)}${age}`)
  const identified = typeof jti === 'string' && jti.length >= 1 && jti.length <= longestId
  list.judge('proof.id', identified, () => (typeof jti === 'string' ? `jti has ${jti.length} characters` : 'no jti'))
}

const isOneOf = (value: string, accepted: readonly string[]) =>
  // Every one is looked at: how long it takes says nothing about which is nearest.
  accepted.filter((one) => equalBytes(Buffer.from(one), Buffer.from(value))).length > 0

function judgeContext({ ath, nonce }: JsonObject, inputs: ProofInputs, list: ProofChecklist): void {
  const hash = createHash('sha256').update(inputs.token).digest('base64url')
  list.judge('proof.token', ath === hash, () =>
    ath === undefined ? 'there is no ath' : 'ath is that of another token',
  )
  const { nonces } = inputs.presented
  const given = typeof nonce === 'string' && nonces !== undefined && isOneOf(nonce, nonces)
  if (nonces === undefined) list.waive('proof.nonce', 'no nonce is demanded')
  else
    list.judge('proof.nonce', given, () => (nonce === undefined ? 'there is no nonce' : 'the nonce is not one in use'))
}

/** The thumbprints that a token names: `jkt`, that of `jwk`, or both, which must then agree. Empty: it is bound to no key. */
function boundThumbprints(confirmation: JsonValue | undefined): readonly string[] {
  if (!isJsonObject(confirmation)) return []
  const { jkt, jwk } = confirmation
  const named = jkt === undefined ? [] : [typeof jkt === 'string' ? jkt : '']
  if (jwk === undefined) return named
  try {
    return [...named, isJsonObject(jwk) ? jwkThumbprint(jwk) : '']
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return ['']
  }
}

function judgeBinding(thumbprint: string, confirmation: JsonValue | undefined, list: ProofChecklist): void {
  const bound = boundThumbprints(confirmation)
  const same = bound.length > 0 && bound.every((one) => one === thumbprint)
  list.judge('proof.binding', same, () =>
    bound.length === 0 ? 'the token is bound to no key' : 'the token is bound to another key than that of the proof',
  )
}

/**
 * Last, and only for a proof that is good in every other way: else strangers could fill the memory of used proofs, or use
 * up the proofs of others. The thumbprint of the key stands for the issuer (RFC 9278).
 */
async function judgeReplay({ jti, iat }: JsonObject, thumbprint: string, inputs: ProofInputs, list: ProofChecklist) {
  const others = list.findings().filter(({ id }) => id !== 'proof.replay')
  const good = others.every(({ outcome }) => outcome === 'passed' || outcome === 'waived')
  if (!good || inputs.replayCache === null || typeof jti !== 'string' || typeof iat !== 'number') return
  const issuer = `urn:ietf:params:oauth:jwk-thumbprint:sha-256:${thumbprint}`
  const entry = { issuer, jti, expiresAt: iat + rememberedS, now: inputs.now }
  const verdict = await inputs.replayCache.admit(entry)
  const problem = verdict === 'full' ? 'the cache of used proofs is full' : 'the proof was used before'
  list.judge('proof.replay', verdict === 'admitted', () => problem)
}

/**
 * Judges the proof of possession that came with a token (RFC 9449 section 4.3, TOK-142, TOK-143). Never throws for a bad
 * proof; an error of the replay cache is passed on. The token itself is judged elsewhere.
 */
export async function appraiseProof(inputs: ProofInputs): Promise<ProofAppraisal> {
  const { presented, algorithms, now } = inputs
  const list: ProofChecklist = new Checklist(proofChecks)
  const text = judgeHeaders(presented, list)
  const proof = text === undefined ? undefined : parseProof(text, list)
  const proven = proof && (await authenticate(proof, algorithms, list))
  if (proof !== undefined && proven !== undefined) {
    judgeTarget(proof.payload, presented, list)
    judgeMoment(proof.payload, now, list)
    judgeContext(proof.payload, inputs, list)
    judgeBinding(proven.thumbprint, inputs.confirmation, list)
    await judgeReplay(proof.payload, proven.thumbprint, inputs, list)
  }
  return { affirmed: list.affirmed(), findings: list.findings() }
}
