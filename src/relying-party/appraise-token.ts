import type { KeyObject } from 'node:crypto'
import { MalformedError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import type { Appraisal, Finding } from '../results/appraisal.ts'
import { Checklist } from '../results/checklist.ts'
import { type AcceptedToken, composeAccepted } from './accepted-token.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import type { ProofAppraisal } from './appraise-proof.ts'
import { judgeAttestation } from './attestation-claims.ts'
import { type TokenCheckId, tokenChecks } from './checks.ts'
import { type CompactSegments, parseCompactJws, parseTokenObject } from './compact-jws.ts'
import { clipText, describeValue } from './describe-value.ts'
import { judgeHeader } from './header-checks.ts'
import type { Judging, TokenChecklist } from './judging.ts'
import type { KeySource } from './key-source.ts'
import { judgePossession } from './possession.ts'
import type { KeySelection, PublicKeySet } from './public-keys.ts'
import { registeredClaims, secondsIn } from './registered-claims.ts'
import type { Expected } from './require-expectations.ts'
import type { Trust } from './require-trust.ts'
import { signatureProblem } from './verify-signature.ts'

/** Every check of one token with its outcome, in the order of the specification. */
export interface TokenAppraisal extends Appraisal {
  readonly findings: readonly Finding<TokenCheckId>[]
  /** Present if and only if `affirmed`. */
  readonly token?: AcceptedToken
  /** The checks of the proof of possession, if one was judged. */
  readonly proof?: ProofAppraisal
}

interface ParsedToken {
  readonly text: string
  readonly header: JsonObject
  readonly payload: JsonObject
  readonly signature: Uint8Array
}

/** Runs a parser as a check: what does not parse fails it. */
function parsed<T>(id: TokenCheckId, list: TokenChecklist, parse: () => T): T | undefined {
  try {
    const value = parse()
    list.pass(id)
    return value
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    list.fail(id, clipText(error.message))
    return undefined
  }
}

/** TOK-70 and TOK-71, on the text, before any library sees the token: `jose` is lenient in both (section 8.5). */
function parseToken(token: unknown, trust: Trust, list: TokenChecklist): ParsedToken | undefined {
  const segments = parsed('token.syntax', list, () => parseCompactJws(token, trust.maxTokenLength))
  return segments && parsed('token.json', list, () => parseSegments(String(token), segments))
}

function parseSegments(text: string, { header, payload, signature }: CompactSegments): ParsedToken {
  return {
    text,
    header: parseTokenObject(header, 'token.header'),
    payload: parseTokenObject(payload, 'token.payload'),
    signature,
  }
}

async function selectKey(kid: string | undefined, algorithm: SignatureAlgorithm, source: KeySource) {
  const keys = await source.current()
  const selection = keys.select(kid, algorithm)
  if (selection.found !== 'unknown') return { keys, selection }
  const later = await source.refetched(keys)
  return later === undefined ? { keys, selection } : { keys: later, selection: later.select(kid, algorithm) }
}

function droppedIn(keys: PublicKeySet): string {
  const named = keys.dropped.slice(0, 5).map(({ kid, reason }) => `${kid ?? 'a key without kid'}: ${reason}`)
  return named.length === 0 ? '' : `; dropped from the key set: ${named.join('; ')}`
}

function keyProblem(kid: string | undefined, selection: KeySelection): string {
  return selection.found === 'refused' ? selection.reason : `no key of the issuer has the kid ${describeValue(kid)}`
}

/** TOK-81 and TOK-82. Throws `keys_unavailable` if there are no keys to choose from. */
async function obtainKey(
  { header }: ParsedToken,
  algorithm: SignatureAlgorithm,
  source: KeySource,
  list: TokenChecklist,
) {
  const { kid } = header
  if (kid !== undefined && typeof kid !== 'string') {
    list.fail('token.key', `kid is ${describeValue(kid)}`)
    return undefined
  }
  const { keys, selection } = await selectKey(kid, algorithm, source)
  const dropped = droppedIn(keys)
  list.judge(
    'token.key',
    selection.found === 'key',
    () => keyProblem(kid, selection) + dropped,
    `kid ${describeValue(kid)}${dropped}`,
  )
  return selection.found === 'key' ? selection.key : undefined
}

/** TOK-83. */
async function judgeSignature(token: ParsedToken, algorithm: SignatureAlgorithm, key: KeyObject, list: TokenChecklist) {
  const problem = await signatureProblem(token, algorithm, key, 'the issuer')
  return list.judge('token.signature', problem === undefined, () => problem ?? '')
}

/** TOK-72 to TOK-83. A token that fails here says nothing: no claim of it is judged. */
async function authenticate(token: ParsedToken, trust: Trust, source: KeySource, list: TokenChecklist) {
  const algorithm = judgeHeader(token.header, trust, list)
  if (algorithm === undefined || !list.passed('token.type', 'token.crit', 'token.header')) return undefined
  const key = await obtainKey(token, algorithm, source, list)
  return key !== undefined && (await judgeSignature(token, algorithm, key, list)) ? algorithm : undefined
}

/** TOK-98, last: a token that is refused for another reason may come again. */
async function judgeReplay({ trust, payload, now, list }: Judging): Promise<void> {
  const others = list.findings().filter(({ id }) => id !== 'token.replay')
  const affirmed = others.every(({ outcome }) => outcome === 'passed' || outcome === 'waived')
  const [jti, exp] = [payload['jti'], secondsIn(payload['exp'])]
  if (!affirmed || trust.replayCache === undefined || typeof jti !== 'string' || jti === '' || exp === undefined) return
  const entry = { issuer: trust.issuer, jti, expiresAt: exp + trust.clockSkewS, now }
  const verdict = await trust.replayCache.admit(entry)
  const problem =
    verdict === 'full' ? 'the replay cache is full of tokens that are still valid' : 'the token was accepted before'
  list.judge('token.replay', verdict === 'admitted', () => problem)
}

/** Runs every check of section 8 of the token specification and lists all of them. */
export async function appraiseToken(
  token: unknown,
  { trust, expected, source }: { readonly trust: Trust; readonly expected: Expected; readonly source: KeySource },
): Promise<TokenAppraisal> {
  const list: TokenChecklist = new Checklist(tokenChecks)
  const refused = () => ({ affirmed: false, findings: list.findings(), claims: {} })
  const presented = parseToken(token, trust, list)
  const algorithm = presented && (await authenticate(presented, trust, source, list))
  if (presented === undefined || algorithm === undefined) return refused()
  const { payload, header } = presented
  const judging: Judging = { trust, expected, payload, algorithm, now: trust.clock.now() / 1000, list }
  for (const judge of registeredClaims) judge(judging)
  const view = judgeAttestation(judging)
  const possession = await judgePossession(judging, presented.text)
  const proof = possession && { proof: possession }
  await judgeReplay(judging)
  if (!list.affirmed() || view === undefined) return { ...refused(), ...proof }
  const accepted = composeAccepted(judging, view, header['kid'])
  return { affirmed: true, findings: accepted.findings, claims: accepted.claims, token: accepted, ...proof }
}
