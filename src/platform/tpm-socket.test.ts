import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { createServer, type Server, type Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { openSwtpmChannel } from './tpm-socket.ts'

const command = Uint8Array.from([0x80, 0x01, 0, 0, 0, 12, 0, 0, 1, 0x7b, 0, 8])
const response = Uint8Array.from([0x80, 0x01, 0, 0, 0, 14, 0, 0, 0, 0, 0, 2, 0xaa, 0xbb])
const never = new AbortController().signal

let folder = ''
let server: Server | undefined
let peers: Socket[] = []

/** A server that does with each command what the test says; real sockets, hostile manners. */
async function serve(answer: (socket: Socket, count: number) => void): Promise<{ path: string }> {
  const path = join(folder, 'tpm')
  let count = 0
  server = createServer((socket) => {
    peers.push(socket)
    socket.on('error', () => undefined)
    socket.on('data', () => answer(socket, ++count))
  })
  server.listen(path)
  await once(server, 'listening')
  return { path }
}

/** One byte a turn of the event loop. */
async function dribble(socket: Socket): Promise<void> {
  for (const byte of response) {
    await new Promise((resolve) => socket.write(Uint8Array.of(byte), resolve))
    await new Promise((resolve) => setImmediate(resolve))
  }
}

beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-socket-'))
})
afterEach(() => {
  for (const peer of peers) peer.destroy()
  peers = []
  server?.close()
  server = undefined
  rmSync(folder, { recursive: true, force: true })
})

describe('responses are cut out of the stream by their header', () => {
  it('in one piece, in single bytes, and one after the other', async () => {
    const place = await serve((socket, count) => {
      if (count === 1) socket.write(response)
      else void dribble(socket)
    })
    const channel = await openSwtpmChannel(place, never)
    expect(await channel.exchange(command, never)).toEqual(response)
    expect(await channel.exchange(command, never)).toEqual(response)
    expect(channel.usable()).toBe(true)
    await channel.close()
  })

  it('arrive by TCP too', async () => {
    server = createServer((socket) => socket.on('data', () => socket.write(response)))
    server.listen(0, '127.0.0.1')
    await once(server, 'listening')
    const { port } = server.address() as { port: number }
    const channel = await openSwtpmChannel({ host: '127.0.0.1', port }, never)
    expect(await channel.exchange(command, never)).toEqual(response)
    await channel.close()
  })

  it.each([
    ['bytes behind a response', Buffer.concat([response, Buffer.of(0)]), 'sent 1 bytes behind a response'],
    ['two responses', Buffer.concat([response, response]), 'sent 14 bytes behind a response'],
    ['a header that says 9 bytes', Uint8Array.from([0x80, 1, 0, 0, 0, 9, 0, 0, 0, 0]), 'says 9 bytes'],
    ['a header that says 4097 bytes', Uint8Array.from([0x80, 1, 0, 0, 0x10, 1, 0, 0, 0, 0]), 'says 4097 bytes'],
    ['a header that says 4 GiB', Uint8Array.from([0x80, 1, 0xff, 0xff, 0xff, 0xff, 0, 0, 0, 0]), 'says 4294967295'],
    ['text of another protocol', Buffer.from('HTTP/1.1 400 Bad Request\r\n\r\n'), 'says 1414541105 bytes'],
  ])('%s are malformed and end the connection', async (_what, bytes, says) => {
    const channel = await openSwtpmChannel(await serve((socket) => socket.write(bytes)), never)
    await expect(channel.exchange(command, never)).rejects.toMatchObject({
      code: 'TPM_RESPONSE_MALFORMED',
      message: expect.stringContaining(says),
    })
    expect(channel.usable()).toBe(false)
    await expect(channel.exchange(command, never)).rejects.toMatchObject({ code: 'TPM_RESPONSE_MALFORMED' })
    await channel.close()
  })

  it('bytes that nobody asked for end the connection', async () => {
    const channel = await openSwtpmChannel(await serve(() => undefined), never)
    await new Promise((resolve) => setImmediate(resolve))
    peers[0]?.write(response)
    await once(peers[0] as Socket, 'close')
    await expect(channel.exchange(command, never)).rejects.toMatchObject({
      code: 'TPM_RESPONSE_MALFORMED',
      message: expect.stringContaining('unasked'),
    })
  })
})

describe('a peer that goes away', () => {
  it.each([
    ['ends in the middle of a response', (socket: Socket) => socket.end(response.subarray(0, 11)), 'TPM_IO'],
    ['closes instead of answering', (socket: Socket) => socket.destroy(), 'TPM_IO'],
  ])('%s', async (_what, act, code) => {
    const channel = await openSwtpmChannel(await serve(act), never)
    await expect(channel.exchange(command, never)).rejects.toMatchObject({ code })
    expect(channel.usable()).toBe(false)
    await channel.close()
  })
})

describe('opening', () => {
  it.each([
    ['there is nothing', () => undefined, 'TPM_UNAVAILABLE', 'ENOENT'],
    ['there is a file', () => writeFileSync(join(folder, 'tpm'), ''), 'TPM_UNAVAILABLE', 'ECONNREFUSED'],
  ])('where %s', async (_what, prepare, code, errno) => {
    prepare()
    await expect(openSwtpmChannel({ path: join(folder, 'tpm') }, never)).rejects.toMatchObject({
      code,
      facts: { errno },
    })
  })

  it('where nobody listens on the port', async () => {
    await expect(openSwtpmChannel({ host: '127.0.0.1', port: 1 }, never)).rejects.toMatchObject({
      code: 'TPM_UNAVAILABLE',
      facts: { errno: 'ECONNREFUSED' },
    })
  })

  it('stops with its signal, before and during an exchange', async () => {
    const reason = new Error('deadline')
    const place = await serve(() => undefined)
    await expect(openSwtpmChannel(place, AbortSignal.abort(reason))).rejects.toBe(reason)
    const channel = await openSwtpmChannel(place, never)
    const controller = new AbortController()
    const answer = channel.exchange(command, controller.signal)
    controller.abort(reason)
    await expect(answer).rejects.toBe(reason)
    expect(channel.usable()).toBe(false)
    await channel.close()
    await channel.close()
  })
})
