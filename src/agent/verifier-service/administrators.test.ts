import type { Socket } from 'node:net'
import { describe, expect, it } from 'vitest'
import { localAdministrator } from './administrators.ts'

const socket = {} as Socket
const among = (uid: number | null, identity: 'pidfd' | 'procfs' | 'socket' = 'pidfd') =>
  localAdministrator({ identity, peerUid: () => uid }, 998)(socket)

describe('who administers through the local socket', () => {
  it('is root, or the user of the service, by the kernel', () => {
    expect([among(0), among(998), among(998, 'procfs')]).toEqual(['uid:0', 'uid:998', 'uid:998'])
  })

  it('is nobody else, and nobody of whom the kernel says nothing', () => {
    expect([among(1000), among(65_534), among(null)]).toEqual([null, null, null])
  })

  it('is whoever could open the socket, where the kernel cannot be asked at all', () => {
    expect(among(null, 'socket')).toBe('local')
  })
})
