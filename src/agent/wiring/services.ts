import type { AgentCore, AgentService } from '../core.ts'
import { wireCloudSurfaces } from './cloud-surfaces.ts'
import { wireCompat } from './compat.ts'
import { wireCredentials } from './credentials.ts'
import { wireDeviceEvents } from './device-events.ts'
import { watchExpiredFiles } from './expired-files.ts'
import { wireJournal } from './journal.ts'
import { wirePolicies } from './policies.ts'
import { wireSinks } from './sinks.ts'

/** Everything that this agent runs beside guest, broker and native listeners. Throws before anything is served. */
export async function wireServices(core: AgentCore): Promise<readonly AgentService[]> {
  const cloud = await wireCloudSurfaces(core)
  const journal = await wireJournal(core)
  return [
    journal,
    wirePolicies(core),
    wireDeviceEvents(core),
    await wireCompat(core),
    cloud,
    wireCredentials(core),
    wireSinks(core),
    watchExpiredFiles(core),
  ]
}
