import { parseCertificate } from '../../base/pki/certificate.ts'
import { checkChain } from '../../base/pki/chain.ts'
import type { ChainProblemCode } from '../../base/pki/chain-problem.ts'
import { attempt } from './each-quote.ts'
import type { EnrolmentCandidate, EnrolmentInputs } from './enrolment.ts'

/** Why an EK that was trusted at its enrolment is no longer. */
export type LostTrust = 'certificate_expired' | 'certificate_revoked' | 'certificate_untrusted'

type Remembered = Pick<EnrolmentCandidate, 'trust' | 'ekSpkiSha256' | 'certificates'>

/**
 * Checks the certificates of an enrolment again, with the anchors, pins and revocation lists of today (ENR-10). A list
 * that is missing or has ended is no reason: it says nothing about this EK, and would suspend every machine at once.
 * Pure; never throws for what the record holds.
 */
export function recheckEnrolment(remembered: Remembered, inputs: EnrolmentInputs): LostTrust | null {
  const { trust, ekSpkiSha256, certificates } = remembered
  if (trust === 'ek-pinned') {
    const isPinned = inputs.pinnedEks?.some(({ spkiSha256 }) => spkiSha256 === ekSpkiSha256) ?? false
    return isPinned ? null : 'certificate_untrusted'
  }
  const { value } = attempt(() => certificates.map((der) => parseCertificate(der)))
  // One record that cannot be read must not keep the check from all others.
  const [leaf, ...pool] = value ?? []
  if (!leaf) return 'certificate_untrusted'
  const anchors = [...inputs.anchors, ...(inputs.simulator ? (inputs.simulatorAnchors ?? []) : [])]
  return worstOf(checkChain({ ...inputs, leaf, pool, anchors }).problems.map(({ code }) => code))
}

function worstOf(codes: readonly ChainProblemCode[]): LostTrust | null {
  if (codes.includes('revoked')) return 'certificate_revoked'
  const others = codes.filter((code) => !code.startsWith('crl_'))
  if (others.length === 0) return null
  const isTime = (code: ChainProblemCode) => code === 'expired' || code === 'not_yet_valid'
  return others.every(isTime) ? 'certificate_expired' : 'certificate_untrusted'
}
