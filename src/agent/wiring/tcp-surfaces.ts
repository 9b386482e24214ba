import type { Server } from 'node:http'
import { listenLoopback } from '../../platform/loopback-listener.ts'
import { openTcpPeers } from '../../platform/tcp-peers.ts'
import type { CallerIdentifier } from '../../workload-api/caller-identifier.ts'
import { cocoRest } from '../../workload-api/compat/coco-rest.ts'
import { gceMetadata } from '../../workload-api/compat/gce-metadata.ts'
import { gcpUrl } from '../../workload-api/compat/gcp-url.ts'
import { github } from '../../workload-api/compat/github.ts'
import type { Surface } from '../../workload-api/compat/surface.ts'
import type { AgentCore } from '../core.ts'
import { version } from '../version.ts'
import { readConsumerSecrets } from './consumer-secrets.ts'

/** A surface that the configuration switched on. */
export interface OpenSurface {
  readonly surface: Surface
  readonly listen: (server: Server) => Promise<void>
  /** In place of that of Unix sockets. */
  readonly identifier?: CallerIdentifier
}

interface TcpSurface {
  readonly surface: Surface
  /** `127.0.0.1:PORT` or `[::1]:PORT`. */
  readonly address: string
}

async function githubSurface({ loaded }: AgentCore): Promise<TcpSurface[]> {
  const section = loaded.configuration.compat.github
  if (section === undefined) return []
  const { listen: address, consumers, default_audience: defaultAudience = null, issuer = null } = section
  const secrets = await readConsumerSecrets(consumers, ['compat', 'github', 'consumers'], loaded)
  return [{ address, surface: github({ defaultAudience, issuer, secrets }) }]
}

async function gcpUrlSurface({ loaded }: AgentCore): Promise<TcpSurface[]> {
  const section = loaded.configuration.compat.gcp_url
  if (section === undefined) return []
  const { listen: address, consumers, issuer = null } = section
  const secrets = await readConsumerSecrets(consumers, ['compat', 'gcp_url', 'consumers'], loaded)
  const audiences = new Map(consumers.map(({ name, audience }) => [name, audience]))
  return [{ address, surface: gcpUrl({ audiences, issuer, secrets }) }]
}

function openSurfaces({ loaded, guest }: AgentCore): TcpSurface[] {
  const { gce_metadata: gce, coco_rest: coco } = loaded.configuration.compat
  const open: TcpSurface[] = []
  if (gce) open.push({ address: gce.listen, surface: gceMetadata({ issuer: gce.issuer ?? null }) })
  if (coco) {
    const { listen: address, flavour, default_audience: defaultAudience = null, issuer = null } = coco
    const isTd = guest.watchedTd !== null
    open.push({ address, surface: cocoRest({ flavour, defaultAudience, issuer, version, isTd }) })
  }
  return open
}

/** The surfaces on loopback TCP, whose callers are known by their uid (API-54, API-124). Reads the secrets of consumers. */
export async function tcpSurfaces(core: AgentCore): Promise<OpenSurface[]> {
  const open = [...(await githubSurface(core)), ...(await gcpUrlSurface(core)), ...openSurfaces(core)]
  const identifier = openTcpPeers({ libc: core.host.libc })
  return open.map(({ surface, address }) => ({
    surface,
    identifier,
    listen: (server) => listenLoopback(server, address),
  }))
}
