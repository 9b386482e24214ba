import type { Logger } from 'pino'
import { readDescriptorLimit } from '../platform/descriptor-limit.ts'
import { defaultLimits, type WorkloadLimits } from '../workload-api/limits.ts'

/** A caller's connection: its socket, the pidfd of its process, and the folder of that in /proc (API-41, API-43). */
const eachTakes = 3
/** Devices, token files, the database, upstream connections, and those of administrators (API-23). */
const ownNeed = 200
const fewest = 8

/**
 * Limits under which workloads cannot take so many connections that no descriptor is left for administrators: accepting their
 * connection would fail, whatever reserve is counted. `descriptors`: what this process may have open; null: not known.
 */
export function boundConnections(limits: WorkloadLimits, descriptors: number | null): WorkloadLimits {
  const room = descriptors === null ? limits.connections : Math.floor((descriptors - ownNeed) / eachTakes)
  if (room >= limits.connections) return limits
  const connections = Math.max(fewest, room)
  const part = (most: number) => Math.min(most, Math.floor(connections / 4))
  const [tcpConnections, connectionsPerUid] = [part(limits.tcpConnections), part(limits.connectionsPerUid)]
  return { ...limits, connections, tcpConnections, connectionsPerUid }
}

/** The limits of this process with this floor for what is served; says so where they are lower than those of the API. */
export function limitsHere(log: Logger, servingFloorS: number): WorkloadLimits {
  const descriptors = readDescriptorLimit()
  const limits = boundConnections({ ...defaultLimits, drainMs: 2_000, servingFloorS }, descriptors)
  const { connections } = limits
  if (connections < defaultLimits.connections) {
    log.warn({ event: 'few_descriptors', descriptors, connections }, 'fewer connections are taken: raise LimitNOFILE=')
  }
  return limits
}
