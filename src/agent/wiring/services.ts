import type { AgentCore, AgentService } from '../core.ts'

/** Everything that this agent runs beside guest, broker and native listeners. Throws before anything is served. */
export async function wireServices(_core: AgentCore): Promise<readonly AgentService[]> {
  return []
}
