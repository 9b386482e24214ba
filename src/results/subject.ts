import { createHash } from 'node:crypto'
import { toBase64url } from '../base/bytes.ts'
import { canonicalJson } from '../base/json.ts'
import type { Tee } from './acr.ts'
import { resultsErrors } from './errors.ts'

/**
 * What the subject of a token names (section 5 of token.md); configured per audience, so that one audience always
 * sees the same mode (TOK-41).
 */
export type SubjectRule =
  /** One instance of one agent: the key in `cnf` (TOK-37). */
  | { readonly mode: 'key' }
  /** What runs, shared by equal machines (TOK-38). Without a list: the default of the kind. */
  | { readonly mode: 'workload'; readonly claimPaths?: readonly string[] }
  /** One vTPM (TOK-39). */
  | { readonly mode: 'ek' }

/** What was verified about the guest. */
export interface SubjectFacts {
  readonly tee: Tee
  /** Claims of an affirmed appraisal, nested. */
  readonly claims: Readonly<Record<string, unknown>>
  /** RFC 7638 thumbprint of the key in `cnf`: bound by the evidence, or null (TOK-29). */
  readonly jkt: string | null
  /** Hex SHA-256 of the EK's SubjectPublicKeyInfo if its chain and the activation of the AK were verified, or null. */
  readonly ekSpkiSha256: string | null
}

const defaultPaths: Readonly<Partial<Record<Tee, readonly string[]>>> = {
  tdx: ['tdx.quote.body.mr_td', 'tdx.quote.body.rtmr_1', 'tdx.quote.body.rtmr_2', 'tdx.quote.body.mr_config_id'],
}

/** The claim paths of a `workload` rule for this kind; throws `SUBJECT_RULE_INVALID` if there are none. */
function requireClaimPaths(rule: SubjectRule & { mode: 'workload' }, tee: Tee): readonly string[] {
  const paths = rule.claimPaths ?? defaultPaths[tee] ?? []
  if (paths.length === 0) {
    throw resultsErrors.error('SUBJECT_RULE_INVALID', `subject mode workload has no claim list for ${tee}`, {
      facts: { tee },
    })
  }
  return paths
}

function unproven(mode: string, claim: string, why: string) {
  return resultsErrors.error('SUBJECT_UNPROVEN', `subject mode ${mode}: ${claim} ${why}`, { facts: { mode, claim } })
}

function lookUp(claims: Readonly<Record<string, unknown>>, path: string): unknown {
  let value: unknown = claims
  for (const step of path.split('.')) {
    if (typeof value !== 'object' || value === null || !Object.hasOwn(value, step)) return undefined
    value = (value as Readonly<Record<string, unknown>>)[step]
  }
  return value
}

/** A claim that says something: a constant in its place would hand one identity to every guest (TOK-40). */
function requireClaim(claims: Readonly<Record<string, unknown>>, path: string): string | number | boolean {
  const value = lookUp(claims, path)
  if (typeof value === 'string' && value !== '') return value
  if (typeof value === 'boolean' || Number.isSafeInteger(value)) return value as boolean | number
  throw unproven('workload', path, value === undefined ? 'is missing' : 'is empty or not a single value')
}

function workloadInput(rule: SubjectRule & { mode: 'workload' }, { tee, claims }: SubjectFacts): object {
  const paths = requireClaimPaths(rule, tee)
  return { mode: 'workload', tee, claims: Object.fromEntries(paths.map((path) => [path, requireClaim(claims, path)])) }
}

function subjectInput(rule: SubjectRule, facts: SubjectFacts): object {
  if (rule.mode === 'workload') return workloadInput(rule, facts)
  if (rule.mode === 'key') {
    if (facts.jkt === null) throw unproven('key', 'cnf', 'is not bound by the evidence')
    return { mode: 'key', jkt: facts.jkt }
  }
  if (facts.ekSpkiSha256 === null) throw unproven('ek', 'the endorsement key', 'is not verified')
  return { mode: 'ek', ek: facts.ekSpkiSha256 }
}

/**
 * `sub` (TOK-36): `attestd:v1:<mode>:<43 characters>`, ASCII, at most 63 bytes, the same for equal inputs for ever.
 * Throws `SUBJECT_UNPROVEN` naming the claim that is missing: there is no fallback value (TOK-40).
 */
export function composeSubject(rule: SubjectRule, facts: SubjectFacts): string {
  const digest = createHash('sha256')
    .update(canonicalJson(subjectInput(rule, facts)))
    .digest()
  return `attestd:v1:${rule.mode}:${toBase64url(digest)}`
}
