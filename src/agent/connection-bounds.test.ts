import { describe, expect, it } from 'vitest'
import { defaultLimits } from '../workload-api/limits.ts'
import { boundConnections } from './connection-bounds.ts'

describe('connections that leave descriptors for administrators (API-23)', () => {
  it.each([null, 968, 4096, 524_288])('are those of the API with %j descriptors', (descriptors) => {
    expect(boundConnections(defaultLimits, descriptors)).toBe(defaultLimits)
  })

  it.each([
    [967, 255, 63, 32],
    [512, 104, 26, 26],
    [256, 18, 4, 4],
    [200, 8, 2, 2],
    [64, 8, 2, 2],
  ])('are fewer with %i descriptors: %i, %i over TCP, %i of one user', (descriptors, connections, tcp, ofOne) => {
    expect(boundConnections(defaultLimits, descriptors)).toEqual({
      ...defaultLimits,
      connections,
      tcpConnections: tcp,
      connectionsPerUid: ofOne,
    })
  })
})
