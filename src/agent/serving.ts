import { runTogether, type Task } from '../base/tasks.ts'
import type { AdminActions } from '../workload-api/admin-routes.ts'
import type { Readiness } from '../workload-api/probe-routes.ts'
import { serveWorkloads, type WorkloadServerOptions } from '../workload-api/workload-server.ts'
import type { AgentCore } from './core.ts'
import type { ListenerName } from './wiring/listeners.ts'
import { serverOptions, workloadPorts } from './wiring/workload-ports.ts'

export interface ServingOptions {
  readonly readiness: () => Readiness
  readonly admin: AdminActions
  /** Called once, when both listeners answer. */
  readonly open: () => Promise<void>
}

/** Both native listeners; they answer whatever the issuer and the devices do (SYS-51). */
export function serveAll(core: AgentCore, { readiness, admin, open }: ServingOptions): Task {
  const { listeners } = core
  const shared = { ...serverOptions(core), readiness }
  const workloads: WorkloadServerOptions = { ...shared, ...workloadPorts(core), listener: 'api' }
  let listening = 0
  const serve = (name: ListenerName, options: WorkloadServerOptions) =>
    serveWorkloads(options, async (server) => {
      await listeners.listen(name, server)
      if (++listening === 2) await open()
    })
  return (signal) =>
    runTogether(signal, serve('api', workloads), serve('admin', { ...shared, listener: 'admin', admin }))
}
