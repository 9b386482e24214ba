import { once } from 'node:events'
import { mkdirSync, mkdtempSync, rmSync, statSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, describe, expect, it } from 'vitest'
import { loadLibc } from './c-library.ts'
import { findLockHolder, isListening } from './in-use.ts'
import { takeLock } from './lock-file.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-in-use-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** A root whose tables say what the test wants. */
function tables(name: string, text: string): { root: string } {
  const root = join(folder, name.replace('/', '-'))
  mkdirSync(join(root, 'proc/net'), { recursive: true })
  writeFileSync(join(root, 'proc', name), text)
  return { root }
}

describe('who holds a lock', () => {
  const path = join(folder, 'lock')

  it('is this process while it does, and nobody before and after; looking takes and makes nothing', async () => {
    expect(await findLockHolder(path)).toBeNull()
    expect(() => statSync(path)).toThrow('ENOENT')
    const lock = await takeLock(path, loadLibc())
    expect(await findLockHolder(path)).toBe(process.pid)
    await lock.release()
    expect(await findLockHolder(path)).toBeNull()
  })

  it('is read from the lines of flock about that file alone', async () => {
    writeFileSync(path, '')
    const { ino } = statSync(path)
    const held = (text: string) => findLockHolder(path, tables('locks', text))
    expect(await held(`1: FLOCK  ADVISORY  WRITE 41 fe:00:${ino} 0 EOF\n`)).toBe(41)
    expect(await held(`7: POSIX  ADVISORY  WRITE 41 fe:00:${ino} 0 EOF\n`)).toBeNull()
    expect(await held(`1: FLOCK  ADVISORY  WRITE 41 fe:00:${ino}1 0 EOF\n`)).toBeNull()
    expect(await held(`1: -> FLOCK  ADVISORY  WRITE 42 fe:00:${ino} 0 EOF\n`)).toBeNull()
    expect(await held('garbage\n')).toBeNull()
    expect(await findLockHolder(path, { root: join(folder, 'none') })).toBeNull()
  })
})

describe('whether somebody listens', () => {
  it('is seen without connecting', async () => {
    const path = join(folder, 'a socket')
    expect(await isListening(path)).toBe(false)
    let connections = 0
    const server = createServer(() => connections++).listen(path)
    await once(server, 'listening')
    expect(await isListening(path)).toBe(true)
    server.close()
    await once(server, 'close')
    expect([await isListening(path), connections]).toEqual([false, 0])
  })

  it('is not said of sockets that are connected only, or have another path', async () => {
    const line = (flags: string, path: string) =>
      `00000000abcdef12: 00000002 00000000 ${flags} 0001 01 528867 ${path}\n`
    const listening = (text: string) => isListening('/run/x.sock', tables('net/unix', text))
    expect(await listening(line('00010000', '/run/x.sock'))).toBe(true)
    expect(await listening(line('00000000', '/run/x.sock'))).toBe(false)
    expect(await listening(line('00010000', '/run/x.sock2'))).toBe(false)
    expect(await isListening('/run/x.sock', { root: join(folder, 'none') })).toBe(false)
  })
})
