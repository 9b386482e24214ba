import { once } from 'node:events'
import { mkdtempSync, rmSync } from 'node:fs'
import { createServer, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { loadLibc, socketConstants } from '../../native/libc.ts'
import { descriptorOf, readPeerName } from './peer-socket.ts'
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
