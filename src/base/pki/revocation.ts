import { equalBytes } from '../bytes.ts'
import type { Certificate } from './certificate.ts'
import type { ChainProblemCode } from './chain-problem.ts'
import type { RevocationList } from './revocation-list.ts'
import { serialText } from './serial-number.ts'
import { verifySignature } from './signature.ts'
import type { Authority } from './trust-anchor.ts'
import { secondOf } from './whole-second.ts'

/** `required`: every certificate below the anchor needs a current list. `optional`: what is missing is reported. */
export type RevocationMode = 'required' | 'optional' | 'off'

/** `fresh`: a current list of the issuer does not name it; `stale`: only a list that has ended; `none`: no usable list. */
export type RevocationStatus = 'fresh' | 'stale' | 'none' | 'off'

export interface RevocationFinding {
  readonly status: Exclude<RevocationStatus, 'off'>
  /** Why the status is not `fresh`, or `revoked`. */
  readonly problem: ChainProblemCode | null
  /** Milliseconds since the epoch: until when a list that is current now says so; null unless the status is `fresh`. */
  readonly freshUntil: number | null
}

/** The order from which the status of a whole chain is the worst. */
const order: readonly RevocationStatus[] = ['off', 'fresh', 'stale', 'none']

export function worstStatus(statuses: readonly RevocationStatus[]): RevocationStatus {
  return order[Math.max(0, ...statuses.map((status) => order.indexOf(status)))] ?? 'none'
}

/**
 * Looks for `certificate` in those of `lists` that its issuer made. Only an authentic list counts, for and
 * against: an unsigned list that names the certificate would let anybody deny service. An authentic list that
 * has ended still revokes, because certificates are not un-revoked; that it names nothing proves nothing.
 */
export function findRevocation(
  certificate: Certificate,
  issuer: Authority,
  lists: readonly RevocationList[],
  now: number,
): RevocationFinding {
  const named = lists.filter((list) => equalBytes(list.issuer.der, certificate.issuer.der))
  const judged = named.map((list) => ({ list, problem: authenticityProblem(list, issuer) }))
  const authentic = judged.filter(({ problem }) => problem === null).map(({ list }) => list)
  if (authentic.some(({ revokedSerials }) => revokedSerials.has(serialText(certificate.serial)))) {
    return { status: 'fresh', problem: 'revoked', freshUntil: null }
  }
  const current = authentic.filter((list) => timeProblem(list, now) === null)
  if (current.length > 0) {
    return { status: 'fresh', problem: null, freshUntil: Math.max(...current.map(({ nextUpdate }) => nextUpdate)) }
  }
  const times = authentic.map((list) => timeProblem(list, now))
  if (times.includes('crl_stale')) return { status: 'stale', problem: 'crl_stale', freshUntil: null }
  return { status: 'none', problem: times[0] ?? judged[0]?.problem ?? 'crl_absent', freshUntil: null }
}

function authenticityProblem(list: RevocationList, issuer: Authority): ChainProblemCode | null {
  if (!issuer.keyUsage?.has('cRLSign')) return 'crl_key_usage'
  const named = list.authorityKeyId?.keyId
  if (named && issuer.subjectKeyId && !equalBytes(named, issuer.subjectKeyId)) return 'crl_key_id'
  const verdict = verifySignature(list.signatureAlgorithm, issuer.publicKey, list.tbs, list.signature)
  if (verdict !== 'valid') return 'crl_signature'
  return list.unsupported === null ? null : 'crl_unsupported'
}

function timeProblem({ thisUpdate, nextUpdate }: RevocationList, now: number): ChainProblemCode | null {
  const second = secondOf(now)
  if (second < thisUpdate) return 'crl_not_yet_valid'
  return second > nextUpdate ? 'crl_stale' : null
}
