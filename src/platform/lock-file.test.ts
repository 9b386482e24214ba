import { spawn } from 'node:child_process'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, statSync, symlinkSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { loadLibc } from '../../native/libc.ts'
import { takeLock } from './lock-file.ts'

const libc = loadLibc()
let folder = ''
beforeEach(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-lock-'))
})
afterEach(() => rmSync(folder, { recursive: true }))

describe('a lock', () => {
  it('is held by one at a time, and free again after release', async () => {
    const path = join(folder, 'lock')
    const first = await takeLock(path, libc)
    const before = readdirSync('/proc/self/fd').length
    await expect(takeLock(path, libc)).rejects.toMatchObject({ code: 'LOCK_HELD', exitCode: 75 })
    expect(readdirSync('/proc/self/fd')).toHaveLength(before)
    await first.release()
    await using second = await takeLock(path, libc)
    expect(second).toBeDefined()
    expect(statSync(path).mode & 0o777).toBe(0o600)
  })

  it('of another process counts, and ends with it', async () => {
    const path = join(folder, 'lock')
    const other = spawn('flock', ['-x', '-o', path, 'sh', '-c', 'echo locked; exec cat'], {
      stdio: ['pipe', 'pipe', 'inherit'],
    })
    await once(other.stdout, 'data')
    await expect(takeLock(path, libc)).rejects.toMatchObject({ code: 'LOCK_HELD' })
    other.kill('SIGKILL')
    await once(other, 'exit')
    const lock = await takeLock(path, libc)
    await lock.release()
  })

  it('is not taken through a symbolic link', async () => {
    symlinkSync('/dev/null', join(folder, 'lock'))
    await expect(takeLock(join(folder, 'lock'), libc)).rejects.toMatchObject({ code: 'FILE_UNSAFE' })
  })
})
