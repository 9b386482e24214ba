import type { AgentCore, AgentService } from '../core.ts'
import { type AppraisalPolicies, isBundled } from '../embedded/appraisal-policies.ts'
import { policiesFor } from './policies-of-guest.ts'
import type { Settings } from './settings.ts'

const shown = (policies: AppraisalPolicies | null) =>
  policies?.configured.map((policy) => ({
    id: policy.id,
    hash: policy.hash,
    engine: isBundled(policy) ? 'rego-wasm' : 'text',
    usual: policies.usual.includes(policy),
  })) ?? []

/** Tells which appraisal policies are in force: in the status always, in the log when there are others than before. */
export function wirePolicies({ settings, guest, log }: AgentCore): AgentService {
  const inForce = (now: Settings) => {
    const { requirements, references } = now
    return shown(policiesFor(now, { td: guest.watchedTd, tpm: guest.tpm && { requirements, references } }))
  }
  let told = '[]'
  const tell = (now: Settings) => {
    const policies = inForce(now)
    const text = JSON.stringify(policies)
    if (text === told) return
    told = text
    log.info({ event: 'policies', policies }, policies.length === 0 ? 'no appraisal policies' : 'appraisal policies')
  }
  tell(settings())
  return { tasks: [], adopt: tell, describe: () => ({ policies: inForce(settings()) }) }
}
