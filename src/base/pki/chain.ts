import { equalBytes } from '../bytes.ts'
import type { Certificate } from './certificate.ts'
import { type CandidatePath, findPaths } from './chain-paths.ts'
import { type ChainProblem, type ChainProblemCode, chainProblems } from './chain-problem.ts'
import { describeName } from './distinguished-name.ts'
import { extensionIds } from './extensions.ts'
import { LinkVerdicts } from './link-verdicts.ts'
import { findRevocation, type RevocationMode, type RevocationStatus, worstStatus } from './revocation.ts'
import type { RevocationList } from './revocation-list.ts'
import type { SignatureVerdict } from './signature.ts'
import { type Authority, authorityOf, type TrustAnchor } from './trust-anchor.ts'
import { secondOf } from './whole-second.ts'

export interface ChainInput {
  readonly leaf: Certificate
  /** Possible intermediates, in any order: from the evidence, hostile. Never anchors, whatever their names. */
  readonly pool: readonly Certificate[]
  /** Possible intermediates that the operator configured; not counted among the certificates of a chain. */
  readonly intermediates?: readonly Certificate[]
  /** Trusted by configuration. None: no chain is accepted. */
  readonly anchors: readonly TrustAnchor[]
  readonly crls: readonly RevocationList[]
  readonly revocation: RevocationMode
  /** Milliseconds since the epoch; cut to whole seconds. */
  readonly now: number
  /** Critical extensions that the caller judges; default: those of `defaultCriticalExtensions`. */
  readonly knownCritical?: ReadonlySet<string>
}

export interface Chain {
  /** True only if a path to an anchor has no problem at all. */
  readonly accepted: boolean
  /** From the leaf to the last certificate below the anchor. */
  readonly certificates: readonly Certificate[]
  readonly anchor: TrustAnchor | null
  readonly problems: readonly ChainProblem[]
  /** Of the worst certificate in the chain. */
  readonly revocation: RevocationStatus
  /** Milliseconds since the epoch: until when the lists that were used are current; null unless the status is `fresh`. */
  readonly revocationUntil: number | null
  /** Milliseconds since the epoch: the first end of a validity in the chain, the anchor included. */
  readonly notAfter: number
}

export const defaultCriticalExtensions: ReadonlySet<string> = new Set([
  extensionIds.basicConstraints,
  extensionIds.keyUsage,
  extensionIds.extKeyUsage,
  extensionIds.subjectAltName,
])

/** Certificates in a chain, the anchor included; certificates that may be given; paths that are looked at. */
const limits = { depth: 5, certificates: 10, candidates: 32, deadEnds: 4 }

/**
 * Finds and checks the chain from a leaf to an anchor: names (DER equality), key identifiers, validity, CA
 * bit, path length (self-issued certificates count as well), key usage, critical extensions, keys, signatures
 * and revocation. Of several paths the first without a problem is taken, else the one that gets furthest;
 * its problems are all listed. Extended key usage and names of the leaf are for the caller. Never throws for
 * bad certificates. RFC 5280 section 6; EKC-01, EKC-04 to EKC-06, EKC-08; TDX-113 to TDX-120.
 */
export function checkChain(input: ChainInput): Chain {
  const { leaf, pool, intermediates = [], anchors } = input
  if (pool.length + 1 > limits.certificates) return refusedUnread(leaf, pool.length + 1)
  const paths = findPaths(leaf, [...pool, ...intermediates], anchors, limits)
  const verdicts = new LinkVerdicts()
  const chains = worthChecking(paths).map((path) => checkPath(path, input, verdicts))
  const [best] = chains.sort((a, b) => rank(a) - rank(b))
  if (!best) throw new TypeError('a leaf has at least one candidate path')
  return best
}

/** Where a path reaches an anchor no other one counts; else the longest show best what is missing. */
function worthChecking(paths: readonly CandidatePath[]): readonly CandidatePath[] {
  const anchored = paths.filter(({ anchor }) => anchor !== null)
  if (anchored.length > 0) return anchored
  return [...paths].sort((a, b) => b.certificates.length - a.certificates.length).slice(0, limits.deadEnds)
}

function refusedUnread(leaf: Certificate, count: number): Chain {
  const detail = `${chainProblems.too_many_certificates}: ${count}, the limit is ${limits.certificates}`
  const problems: ChainProblem[] = [{ code: 'too_many_certificates', at: 0, detail }]
  const { notAfter } = leaf
  const nothing = { anchor: null, revocation: 'none', revocationUntil: null } as const
  return { accepted: false, certificates: [leaf], problems, notAfter, ...nothing }
}

/** Accepted first, then by the number of problems. */
function rank({ accepted, problems }: Chain): number {
  return accepted ? 0 : problems.length
}

type Report = (code: ChainProblemCode, at: number, addition?: string) => void

function checkPath({ certificates, anchor, deadEnd }: CandidatePath, input: ChainInput, verdicts: LinkVerdicts): Chain {
  const problems: ChainProblem[] = []
  const authorities = [...certificates.map(authorityOf), ...(anchor ? [anchor.authority] : [])]
  const report: Report = (code, at, addition) => {
    const subject = authorities[at]?.subject
    const who = subject ? describeName(subject) : 'the chain'
    problems.push({ code, at, detail: `${who}: ${chainProblems[code]}${addition ? ` (${addition})` : ''}` })
  }
  authorities.forEach((authority, at) => {
    checkOne(authority, at, input, report)
    const reading = verdicts.key(authority)
    if (!reading.usable) report('unusable_key', at, reading.problem)
    if (at > 0) checkIssuer(authority, at, report)
  })
  if (certificates[0]?.basicConstraints?.ca) report('leaf_is_ca', 0)
  certificates.forEach((certificate, at) => {
    const issuer = authorities[at + 1]
    if (!issuer) return
    const problem = signatureProblems[verdicts.signature(certificate, issuer)]
    if (problem) report(problem, at)
    if (!namesKeyOf(certificate, issuer)) report('key_id', at)
  })
  if (deadEnd) report(deadEnd, certificates.length - 1, describeIssuer(certificates))
  const revocation = checkRevocation(certificates, authorities, input, report)
  problems.sort((a, b) => a.at - b.at)
  const notAfter = Math.min(...authorities.map((authority) => authority.notAfter))
  return { accepted: problems.length === 0, certificates, anchor, problems, ...revocation, notAfter }
}

function describeIssuer(certificates: readonly Certificate[]): string {
  const last = certificates[certificates.length - 1]
  return last ? `issuer ${describeName(last.issuer)}` : ''
}

function checkOne(authority: Authority, at: number, { now, knownCritical }: ChainInput, report: Report): void {
  const second = secondOf(now)
  if (second < authority.notBefore) report('not_yet_valid', at, new Date(authority.notBefore).toISOString())
  if (second > authority.notAfter) report('expired', at, new Date(authority.notAfter).toISOString())
  const known = knownCritical ?? defaultCriticalExtensions
  for (const id of authority.criticalExtensions) {
    // Reported by its own name below.
    if (id !== extensionIds.nameConstraints && !known.has(id)) report('unknown_critical_extension', at, id)
  }
  if (authority.constrainsNames) report('name_constraints', at)
}

/** `at` is also one more than the number of authorities between this one and the leaf. */
function checkIssuer({ basicConstraints, keyUsage }: Authority, at: number, report: Report): void {
  if (!basicConstraints?.ca) report('not_a_ca', at)
  if (!keyUsage?.has('keyCertSign')) report('key_usage', at)
  const pathLength = basicConstraints?.pathLength ?? null
  if (pathLength !== null && at - 1 > pathLength) report('path_length', at, `${pathLength} allowed, ${at - 1} found`)
}

const signatureProblems: Readonly<Record<SignatureVerdict, ChainProblemCode | null>> = {
  valid: null,
  invalid: 'signature',
  weak_algorithm: 'weak_signature',
  unsupported_algorithm: 'unsupported_signature',
  // Reported at the certificate that holds the key.
  unusable_key: null,
}

/** What the authority key identifier says must be so; what it leaves out, and what the issuer lacks, is not compared. */
function namesKeyOf({ authorityKeyId }: Certificate, issuer: Authority): boolean {
  if (!authorityKeyId) return true
  const { keyId, issuers, serial } = authorityKeyId
  if (keyId && issuer.subjectKeyId && !equalBytes(keyId, issuer.subjectKeyId)) return false
  if (serial === null) return true
  return serial === issuer.serial && issuers.some((name) => equalBytes(name, issuer.issuer.der))
}

function checkRevocation(
  certificates: readonly Certificate[],
  authorities: readonly Authority[],
  { crls, revocation, now }: ChainInput,
  report: Report,
): Pick<Chain, 'revocation' | 'revocationUntil'> {
  if (revocation === 'off') return { revocation: 'off', revocationUntil: null }
  const ends: number[] = []
  const statuses = certificates.map((certificate, at) => {
    const issuer = authorities[at + 1]
    if (!issuer) return 'none'
    const { status, problem, freshUntil } = findRevocation(certificate, issuer, crls, now)
    if (problem && (revocation === 'required' || problem === 'revoked')) report(problem, at)
    if (freshUntil !== null) ends.push(freshUntil)
    return status
  })
  const isKnown = ends.length > 0 && ends.length === certificates.length
  return { revocation: worstStatus(statuses), revocationUntil: isKnown ? Math.min(...ends) : null }
}
