import type { Task } from '../../base/tasks.ts'
import { CredentialSocket } from '../../workload-api/credential-socket.ts'
import { apiContext, serverParts } from '../../workload-api/workload-server.ts'
import type { AgentCore, AgentService } from '../core.ts'
import type { Settings } from './settings.ts'
import { serverOptions, workloadPorts } from './workload-ports.ts'

function warnOfDenied({ log }: AgentCore, { credentials }: Settings): void {
  for (const { entry, denied } of credentials) {
    if (denied === null) continue
    log.warn(
      { event: 'credential_denied', unit: entry.unit, credential: entry.id, dimension: denied },
      'no rule allows this credential: a rule must match the unit and uid 0, which is the service manager',
    )
  }
}

function serve({ listeners, log }: AgentCore, socket: CredentialSocket): Task {
  return async (signal) => {
    try {
      await listeners.listen('cred', socket.server)
      log.info({ event: 'surface_open', listener: 'cred' }, 'a surface answers')
      if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
    } finally {
      await socket.close()
    }
  }
}

/** API-55: without the kernel's word for it nobody is taken for the service manager. */
function warnOfUnidentified({ peers, log }: AgentCore): void {
  if (peers.degraded === null) return
  log.error({ code: peers.degraded.code, listener: 'cred' }, 'peers are unknown here: every credential will be empty')
}

/** The credential socket, where the service manager passes it or `listen.cred` names it (section 8.10). */
export function wireCredentials(core: AgentCore): AgentService {
  const { settings, loaded, listeners, peers, connections, host, log } = core
  const { cred } = loaded.configuration.listen
  warnOfDenied(core, settings())
  const adopt = (changed: Settings) => warnOfDenied(core, changed)
  if (cred === undefined && !listeners.passed.has('cred')) {
    if (settings().credentials.length > 0) {
      log.warn({ event: 'credentials_unserved' }, 'no credential socket: enable attestd-cred.socket or set listen.cred')
    }
    return { tasks: [], adopt }
  }
  warnOfUnidentified(core)
  const socket = new CredentialSocket({
    context: apiContext(serverParts('cred', serverOptions(core)), workloadPorts(core)),
    peers,
    ledger: connections,
    random: host.random,
    entries: () => settings().credentials.map(({ entry }) => entry),
  })
  return { tasks: [serve(core, socket)], adopt, describe: () => ({ credentials: socket.counts }) }
}
