import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { errnoOf, type Libc, loadLibc, socketConstants } from '../../native/libc.ts'
import { descriptorOf, readPeer, readPeerName } from './peer-socket.ts'
import { notifyAddress } from './service-manager.ts'

const libc = loadLibc()
const bind = openLibrary(null).bind('bind', 'i32', ['i32', 'buffer', 'u32'])
const connect = openLibrary(null).bind('connect', 'i32', ['i32', 'buffer', 'u32'])

describe('the name of the peer (API-164)', () => {
  it.each([
    ['an abstract name', '@0123abcd/unit/payments.service/token', '\0' + '0123abcd/unit/payments.service/token'],
    ['an abstract name of full length', '@'.padEnd(107, 'n'), '\0'.padEnd(107, 'n')],
    ['no name', null, ''],
  ])('is %s', async (_what, own, expected) => {
    const folder = mkdtempSync(join(tmpdir(), 'attestd-name-'))
    const server = createServer()
    server.listen(join(folder, 'socket'))
    await once(server, 'listening')
    const client = libc.socket(socketConstants.AF_UNIX, socketConstants.SOCK_STREAM, 0).value
    const ownAddress = own === null ? null : notifyAddress(own)
    if (ownAddress) expect(bind(client, ownAddress, ownAddress.length)).toBe(0)
    const address = notifyAddress(join(folder, 'socket')) ?? Buffer.alloc(1)
    const accepted = once(server, 'connection')
    expect(connect(client, address, address.length)).toBe(0)
    const [socket] = (await accepted) as [Socket]
    expect(Buffer.from(readPeerName(libc, descriptorOf(socket))).toString('latin1')).toBe(expected)
    socket.destroy()
    libc.close(client)
    server.close()
    rmSync(folder, { recursive: true, force: true })
  })

  it('cannot be asked of what is not a socket', () => {
    expect(() => readPeerName(libc, 0x7fff)).toThrow(expect.objectContaining({ code: 'identity_unavailable' }))
  })
})

describe('the groups of a peer', () => {
  /** A kernel that has so many bytes of groups, and gives the errors in turn. */
  function groupsOf(bytes: number, ...errors: readonly number[]) {
    const rooms: number[] = []
    const kernel: Libc = {
      ...libc,
      getsockopt: (_fd, _level, name, value, length) => {
        if (name === socketConstants.SO_PEERCRED) return { value: 0, errno: 0 }
        if (name === socketConstants.SO_PEERPIDFD) return { value: -1, errno: errnoOf.ENOPROTOOPT }
        rooms.push(value?.length ?? 0)
        length?.set(new Uint8Array(new Uint32Array([bytes]).buffer))
        const errno = errors[rooms.length - 1] ?? 0
        return { value: errno === 0 ? 0 : -1, errno }
      },
    }
    return { kernel, rooms }
  }

  it('are asked for again with the room that the kernel names', () => {
    const { kernel, rooms } = groupsOf(65_536 * 4, errnoOf.ERANGE)
    expect(readPeer(kernel, 3).groups).toHaveLength(65_536)
    expect(rooms).toEqual([256, 65_536 * 4])
  })

  it.each([65_536 * 4 + 1, 0xffff_ffff])(
    'are not asked for with room for more than there can be (%i bytes)',
    (bytes) => {
      const { kernel, rooms } = groupsOf(bytes, errnoOf.ERANGE)
      expect(() => readPeer(kernel, 3)).toThrow(expect.objectContaining({ code: 'identity_unavailable' }))
      expect(rooms).toEqual([256])
    },
  )

  it('that grow while they are asked for are an error, not a part of them', () => {
    const { kernel } = groupsOf(400, errnoOf.ERANGE, errnoOf.ERANGE)
    expect(() => readPeer(kernel, 3)).toThrow(expect.objectContaining({ code: 'identity_unavailable' }))
  })

  it.each([errnoOf.ENOPROTOOPT, errnoOf.ENODATA])('are none where the kernel has none (errno %i)', (errno) => {
    expect(readPeer(groupsOf(0, errno).kernel, 3).groups).toEqual([])
  })
})
