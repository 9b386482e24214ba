import type { Logger } from 'pino'
import { parseText } from '../base/bytes.ts'
import { registryErrors } from '../registry/errors.ts'
import type { TpmRegistry } from '../registry/tpm-registry.ts'
import type { EnrolmentDecision, RegistryActions } from '../workload-api/registry-routes.ts'
import {
  describeAppraisal,
  describeEnrolment,
  describeInList,
  type ShownAppraisal,
  type ShownEnrolment,
} from './registry-view.ts'

export interface RegistryActionParts {
  readonly registry: TpmRegistry
  /** All tokens of the bundled verifier are obtained anew; `hard`: those at hand are not served any more. Gives their number. */
  readonly renewTokens: (hard: boolean) => number
  readonly log: Pick<Logger, 'warn'>
}

export interface RegistryPage {
  readonly enrolments: readonly ShownEnrolment[]
  /** Give it as `after` for the next page; null: this one is the last. */
  readonly next: string | null
}

export interface EnrolmentHistory {
  readonly enrolment: ShownEnrolment
  /** Newest first. */
  readonly history: readonly ShownAppraisal[]
}

/** What became of a decision; `tokens` is how many entries of the cache are obtained anew. */
export interface Decided {
  readonly enrolment: ShownEnrolment
  readonly tokens: number
}

export interface Released {
  /** Enrolments that were given free: 0 where the EK has none, or all were free already. */
  readonly released: number
  readonly tokens: number
}

const bytesOf = (name: string) => parseText(name, 'hex', 'name')

/**
 * The registry as administrators see it and decide about it. A decision against an enrolment ends all tokens of the bundled
 * verifier: they are obtained again from what still stands. Tokens that other agents of the same registry hold live to
 * their end.
 */
export class AgentRegistryActions implements RegistryActions {
  #parts: RegistryActionParts

  constructor(parts: RegistryActionParts) {
    this.#parts = parts
  }

  async list(after: string): Promise<RegistryPage> {
    const { records, next } = await this.#parts.registry.list(after)
    return { enrolments: records.map(describeInList), next }
  }

  async show(akName: string): Promise<EnrolmentHistory> {
    const { registry } = this.#parts
    const record = await registry.describe(bytesOf(akName))
    if (record === null) throw registryErrors.error('ak_unknown', 'the attestation key is not enrolled')
    const history = await registry.history(bytesOf(akName))
    return { enrolment: describeEnrolment(record), history: history.map(describeAppraisal) }
  }

  async decide(akName: string, decision: EnrolmentDecision): Promise<Decided> {
    const { registry, renewTokens, log } = this.#parts
    const enrolment = describeEnrolment(await registry[decision](bytesOf(akName)))
    // Also where the key may attest again: what was refused since is not held against it.
    const tokens = renewTokens(decision !== 'resume')
    log.warn(
      { event: 'enrolment_decided', decision, ak_name: akName, tokens },
      `enrolment: ${decision}, by the operator`,
    )
    return { enrolment, tokens }
  }

  async release(ekName: string): Promise<Released> {
    const { registry, renewTokens, log } = this.#parts
    const released = await registry.release(bytesOf(ekName))
    const tokens = released === 0 ? 0 : renewTokens(true)
    log.warn(
      { event: 'enrolments_released', ek_name: ekName, released, tokens },
      'enrolments: release, by the operator',
    )
    return { released, tokens }
  }
}
