import { randomBytes } from 'node:crypto'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { loadLibc } from '../../native/libc.ts'
import { forbidCoreDumps } from './core-dumps.ts'
import { Folder } from './folder.ts'

const libc = loadLibc()
const PR_GET_DUMPABLE = 3
const dumpable = () => libc.prctl(PR_GET_DUMPABLE, 0n, 0n, 0n, 0n).value
const before = dumpable()

describe('core dumps', () => {
  afterEach(() => {
    libc.prctl(4, BigInt(before), 0n, 0n, 0n)
  })

  it('are forbidden, and folders still work although /proc/self changes its owner', async () => {
    expect(before).toBe(1)
    expect([forbidCoreDumps(libc), dumpable()]).toEqual([true, 0])
    const path = mkdtempSync(join(tmpdir(), 'attestd-dump-'))
    await using folder = await Folder.open(path, randomBytes)
    await folder.write('token', Uint8Array.of(1), 0o600)
    expect(await folder.read('token', { maxBytes: 1 })).toEqual(Uint8Array.of(1))
    rmSync(path, { recursive: true })
  })
})
