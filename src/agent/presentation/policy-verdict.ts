import type { Evaluation } from '../../policies/index.ts'
import type { PresentedEvidence } from '../policy-tools/claims-of-evidence.ts'
import { grantedLines } from './policy-explanation.ts'
import { shownValue } from './policy-values.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

/** Why a policy does not permit, in a few words: for an error (POL-443 names the same). */
export function denialOf(evaluation: Evaluation): string | null {
  if (evaluation.verdict === 'permit') return null
  const lines = evaluation.decidedBy.length === 0 ? '' : `, line ${evaluation.decidedBy.join(', ')}`
  if (evaluation.verdict === 'deny') return `${evaluation.reason}${lines}`
  return `error${lines}: ${evaluation.error.id}: ${evaluation.error.message}`
}

/** The claims of evidence, one a line, in the order in which rules see them. */
export function renderClaims({ claims }: Pick<PresentedEvidence, 'claims'>): string {
  const width = Math.min(48, Math.max(...claims.map(({ type }) => type.length)))
  const lines = claims.map(({ type, value, issuer }) => {
    const who = issuer === 'AttestationService' ? '' : ` (${issuer})`
    return `${escaped(type).padEnd(width)}  ${shownValue(value)}${who}`
  })
  return `${lines.join('\n')}\n`
}

/** A bundle has no lines. */
const placeOf = (lines: readonly number[]) => (lines.length === 0 ? '' : `: line ${lines.join(', ')}`)

/** The verdict, what decided, and what the policy gives to the token. */
export function renderPolicyVerdict(policyName: string, evaluation: Evaluation, io: CommandIo): string {
  const denial = denialOf(evaluation)
  const verdict =
    denial === null ? `${painted(io, 'green', 'PERMIT')}${placeOf(evaluation.decidedBy)}` : painted(io, 'red', 'DENY')
  const head = `${escaped(policyName)}: ${verdict}${denial === null ? '' : `: ${escaped(denial)}`}`
  return `${[head, ...grantedLines(evaluation)].join('\n')}\n`
}
