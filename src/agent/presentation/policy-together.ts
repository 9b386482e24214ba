import { type Evaluation, type JointVerdict, joinVerdicts } from '../../policies/index.ts'
import { grantedLines } from './policy-explanation.ts'
import { denialOf } from './policy-verdict.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

/** What one of several policies said; `id` names it as the command line does. */
export interface AskedPolicy {
  readonly id: string
  readonly evaluation: Evaluation
}

/** Several policies that were asked for one token, and what they say together (POL-429). */
export interface TogetherAsked {
  readonly asked: readonly AskedPolicy[]
  readonly joint: JointVerdict
}

/** Joins them as an agent does whose configuration names all of them. */
export function askedTogether(asked: readonly AskedPolicy[]): TogetherAsked {
  return { asked, joint: joinVerdicts(asked) }
}

/** Why there is no token: the first policy that does not permit, or that they contradict each other; null for a permit. */
export function jointDenial({ asked, joint }: TogetherAsked): string | null {
  if (joint.verdict === 'permit') return null
  const one = asked.find(({ id }) => id === joint.id)
  if (one !== undefined) return `${one.id}: ${denialOf(one.evaluation)}`
  return joint.verdict === 'error' ? `${joint.error.id}: ${joint.error.message}` : 'no policy was asked'
}

/** The last lines of a page: the joint verdict, and what it gives to the token. */
export function renderTogether(together: TogetherAsked, io: CommandIo): string {
  const { asked, joint } = together
  const denial = jointDenial(together)
  const verdict = denial === null ? painted(io, 'green', 'PERMIT') : `${painted(io, 'red', 'DENY')}: ${escaped(denial)}`
  return `${[`all ${asked.length} policies together: ${verdict}`, ...grantedLines(joint)].join('\n')}\n`
}

/** The same as JSON, without what each policy said by itself. */
export function togetherDocument(together: TogetherAsked): Record<string, unknown> {
  const { joint } = together
  if (joint.verdict === 'permit') return { ...joint }
  return { verdict: joint.verdict, policy: joint.id, reason: jointDenial(together) }
}
