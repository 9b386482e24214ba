import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import type { Socket } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { type LoopbackConnection, loopbackConnection, TcpTables } from './tcp-table.ts'

const connection: LoopbackConnection = {
  client: { address: '127.0.0.1', port: 0x1234 },
  server: { address: '127.0.0.1', port: 0x0050 },
}
const head = '  sl  local_address rem_address   st tx_queue rx_queue tr tm->when retrnsmt   uid  timeout inode\n'
const entry = (local: string, remote: string, state: string, uid: string | number) =>
  `   0: ${local} ${remote} ${state} 00000000:00000000 00:00000000 00000000 ${String(uid).padStart(5)}        0 1 1 0 0 0\n`
const mapped = '0000000000000000FFFF0000'
const own = '0100007F:1234'
const theirs = '0100007F:0050'
const one = `${'0'.repeat(24)}01000000`

describe('the uid of the client in the tables (API-54)', () => {
  let folder: string
  let paths: readonly [string, string]
  beforeAll(() => {
    folder = mkdtempSync(join(tmpdir(), 'attestd-tcp-'))
    paths = [join(folder, 'tcp'), join(folder, 'tcp6')]
  })
  afterAll(() => rmSync(folder, { recursive: true }))

  function tables(four: string, six: string | null = '') {
    rmSync(paths[1], { force: true })
    writeFileSync(paths[0], head + four)
    if (six !== null) writeFileSync(paths[1], head + six)
    return new TcpTables(paths)
  }

  it.each([
    ['its own entry', entry(own, theirs, '01', 1000), 1000],
    ['the entry of the server, which is not asked', entry(theirs, own, '01', 0), null],
    ['both entries', entry(theirs, own, '01', 0) + entry(own, theirs, '01', 1000), 1000],
    ['a client that closed one side', entry(own, theirs, '04', 0), null],
    ['a client whose closing the server has confirmed', entry(own, theirs, '05', 1000), null],
    ['one that only connects', entry(own, theirs, '02', 1000), null],
    ['an older connection that waits to end', entry(own, theirs, '06', 0) + entry(own, theirs, '01', 1000), 1000],
    ['another port', entry('0100007F:1235', theirs, '01', 1000), null],
    ['another address', entry('0200007F:1234', theirs, '01', 1000), null],
    ['one end mapped and the other not', entry(mapped + own, theirs, '01', 1000), null],
    ['no number', entry(own, theirs, '01', 'root'), null],
    ['the largest number', entry(own, theirs, '01', 4294967295), 4294967295],
    ['nothing', '', null],
  ])('with %s', async (_what, lines, uid) => {
    expect(await tables(lines).uidOfClient(connection)).toBe(uid)
    expect(await tables('', lines).uidOfClient(connection)).toBe(uid)
    expect(await tables(lines, null).uidOfClient(connection)).toBe(uid)
  })

  it('of an IPv6 socket with mapped addresses', async () => {
    expect(await tables('', entry(mapped + own, mapped + theirs, '01', 1001)).uidOfClient(connection)).toBe(1001)
  })

  it('over IPv6', async () => {
    const six = { client: { address: '::1', port: 0x1234 }, server: { address: '::1', port: 0x0050 } }
    expect(await tables('', entry(`${one}:1234`, `${one}:0050`, '01', 7)).uidOfClient(six)).toBe(7)
    expect(await tables(entry(own, theirs, '01', 7)).uidOfClient(six)).toBe(null)
  })

  it.each([1, 26, 27, 399, 400, 401, 2000])('behind %i others, wherever the steps of reading fall', async (others) => {
    const before = Array.from({ length: others }, (_, at) => entry(theirs, own, '01', at)).join('')
    for (const pad of ['', 'x'.repeat(63), 'x'.repeat(64)]) {
      const answer = tables(`${pad}\n${before}${entry(own, theirs, '01', 1000)}`).uidOfClient(connection)
      expect(await answer).toBe(1000)
    }
  })

  it('is not looked for in what has no lines', async () => {
    const found = tables('x'.repeat(100_000)).uidOfClient(connection)
    await expect(found).rejects.toMatchObject({ code: 'identity_unavailable' })
  })

  it('cannot be told where the table is no file', async () => {
    await expect(new TcpTables([folder]).uidOfClient(connection)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
  })

  it('is told to all who asked before a reading began by that one reading, and to nobody by an older one', async () => {
    const reading = tables(entry(own, theirs, '01', 1000))
    const early = reading.uidOfClient(connection)
    writeFileSync(paths[0], head + entry(own, theirs, '01', 2000))
    const late = Array.from({ length: 200 }, () => reading.uidOfClient(connection))
    await early
    expect(new Set(await Promise.all(late))).toEqual(new Set([2000]))
  })

  it('of a failed reading is not that of the next', async () => {
    const reading = tables('x'.repeat(100_000))
    const failed = reading.uidOfClient(connection)
    await expect(failed).rejects.toThrow()
    writeFileSync(paths[0], head + entry(own, theirs, '01', 5))
    expect(await reading.uidOfClient(connection)).toBe(5)
  })
})

describe('the ends of a connection', () => {
  const socket = (remoteAddress: string | undefined, localAddress = '127.0.0.1') =>
    ({ remoteAddress, remotePort: 1, localAddress, localPort: 2 }) as Socket

  it.each([
    ['127.0.0.1', '127.0.0.1'],
    ['127.8.9.1', '127.8.9.1'],
    ['::1', '::1'],
    ['::ffff:127.0.0.1', '127.0.0.1'],
    ['10.0.0.1', undefined],
    ['::ffff:10.0.0.1', undefined],
    ['127.evil', undefined],
    ['fe80::1', undefined],
    [undefined, undefined],
  ])('of a peer at %s', (address, expected) => {
    expect(loopbackConnection(socket(address))?.client.address).toBe(expected)
  })

  it('are not on loopback if ours is not', () => {
    expect(loopbackConnection(socket('127.0.0.1', '10.0.0.1'))).toBe(null)
  })
})
