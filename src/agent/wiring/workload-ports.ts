import type { JsonObject } from '../../base/json.ts'
import type { ServerOptions, WorkloadPorts } from '../../workload-api/workload-server.ts'
import type { AgentCore } from '../core.ts'

/** What every HTTP listener of the agent is made of, so that all count together. */
export function serverOptions(core: AgentCore): ServerOptions {
  const { host, log, connections, buckets, limits, workloadEvents } = core
  const { clock, random } = host
  return { clock, random, log, limits, connections, buckets, observe: workloadEvents.emit }
}

/** The operations of workloads over the rooms of this agent: the same behind the native listener and every surface. */
export function workloadPorts({
  settings,
  broker,
  issuing,
  peers,
  collectEvidence,
  measure,
  gates,
}: AgentCore): WorkloadPorts {
  return {
    identifier: peers,
    policy: () => settings().callers,
    tokens: () => settings().tokens,
    provider: gates.guard(broker),
    collectEvidence,
    measure,
    jwks: async () => ({ keys: issuing.keys.jwks().keys.map((key): JsonObject => ({ ...key })) }),
  }
}
