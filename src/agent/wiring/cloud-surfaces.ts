import type { Task } from '../../base/tasks.ts'
import { listenLoopback } from '../../platform/loopback-listener.ts'
import { openTcpPeers } from '../../platform/tcp-peers.ts'
import { alibabaUri } from '../../workload-api/compat/alibaba-uri.ts'
import { awsContainer } from '../../workload-api/compat/aws-container.ts'
import type { CloudSurfaceSettings } from '../../workload-api/compat/cloud-credentials.ts'
import { type Surface, serveSurface } from '../../workload-api/compat/surface.ts'
import type { AgentCore, AgentService } from '../core.ts'
import { wireCloudCredentials } from './cloud-credentials.ts'
import { readConsumerSecrets } from './consumer-secrets.ts'
import { serverOptions, workloadPorts } from './workload-ports.ts'

const makers: Readonly<Record<'aws_container' | 'alibaba_uri', (settings: CloudSurfaceSettings) => Surface>> = {
  aws_container: awsContainer,
  alibaba_uri: alibabaUri,
}

async function tasksOf(core: AgentCore, name: keyof typeof makers): Promise<Task[]> {
  const { loaded, host, log } = core
  const section = loaded.configuration.compat[name]
  if (section === undefined) return []
  const secrets = await readConsumerSecrets(section.consumers, ['compat', name, 'consumers'], loaded)
  const { consumers, obtainCredentials, tasks } = wireCloudCredentials(core, name, section)
  const { issuer = null } = section
  const surface = makers[name]({ consumers, secrets, issuer, obtainCredentials })
  const identifier = openTcpPeers({ libc: host.libc })
  const options = { ...serverOptions(core), ...workloadPorts(core), identifier }
  const serve = serveSurface(surface, options, async (server) => {
    await listenLoopback(server, section.listen)
    log.info({ event: 'surface_open', listener: surface.listener, address: section.listen }, 'a surface answers')
  })
  return [serve, ...tasks]
}

/** Credentials of cloud roles for workloads whose SDKs ask for them over loopback TCP (API-153, API-155). */
export async function wireCloudSurfaces(core: AgentCore): Promise<AgentService> {
  return { tasks: [...(await tasksOf(core, 'aws_container')), ...(await tasksOf(core, 'alibaba_uri'))] }
}
