import { confidentialSpace } from '../../workload-api/compat/confidential-space.ts'
import { fly } from '../../workload-api/compat/fly.ts'
import { serveSurface } from '../../workload-api/compat/surface.ts'
import type { AgentCore, AgentService } from '../core.ts'
import { type OpenSurface, tcpSurfaces } from './tcp-surfaces.ts'
import { serverOptions, workloadPorts } from './workload-ports.ts'

function unixSurfaces({ loaded, listeners }: AgentCore): OpenSurface[] {
  const { confidential_space: space, fly: flySection } = loaded.configuration.compat
  const open: OpenSurface[] = []
  if (space) {
    const { default_audience: defaultAudience, issuer = null, intel_issuer: intelIssuer = null } = space
    const surface = confidentialSpace({ defaultAudience, issuer, intelIssuer })
    open.push({ surface, listen: (server) => listeners.listen('cs', server) })
  }
  if (flySection) {
    const { default_audience: defaultAudience = null, issuer = null } = flySection
    open.push({ surface: fly({ defaultAudience, issuer }), listen: (server) => listeners.listen('fly', server) })
  }
  return open
}

/** Surfaces of other conventions, each on a listener of its own (API-120): the native operations behind every one. */
export async function wireCompat(core: AgentCore): Promise<AgentService> {
  const open = [...unixSurfaces(core), ...(await tcpSurfaces(core))]
  const shared = { ...serverOptions(core), ...workloadPorts(core) }
  const tasks = open.map(({ surface, listen, identifier = shared.identifier }) =>
    serveSurface(surface, { ...shared, identifier }, async (server) => {
      await listen(server)
      core.log.info({ event: 'surface_open', listener: surface.listener }, 'a surface answers')
    }),
  )
  return { tasks, describe: () => ({ surfaces: open.map(({ surface }) => surface.listener) }) }
}
