import type { Socket } from 'node:net'
import type { PeerCredentials } from '../../platform/peer-credentials.ts'

/**
 * Who administers through the local socket: root, or the user of the service; null for anybody else, whatever the mode of
 * the socket became meanwhile. Where the kernel says nothing of peers the mode alone decides, and the history says so.
 */
export function localAdministrator(
  peers: Pick<PeerCredentials, 'identity' | 'peerUid'>,
  ownUid: number,
): (socket: Socket) => string | null {
  if (peers.identity === 'socket') return () => 'local'
  return (socket) => {
    const uid = peers.peerUid(socket)
    return uid === 0 || uid === ownUid ? `uid:${uid}` : null
  }
}
