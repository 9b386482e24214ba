import type { AgentCore, AgentService } from '../core.ts'
import { wireCloudSurfaces } from './cloud-surfaces.ts'
import { wireCompat } from './compat.ts'
import { wireDeviceEvents } from './device-events.ts'
import { wireSinks } from './sinks.ts'

/** Everything that this agent runs beside guest, broker and native listeners. Throws before anything is served. */
export async function wireServices(core: AgentCore): Promise<readonly AgentService[]> {
  return [wireDeviceEvents(core), await wireCompat(core), await wireCloudSurfaces(core), wireSinks(core)]
}
