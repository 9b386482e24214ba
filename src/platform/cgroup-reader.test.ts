import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { expect, it } from 'vitest'
import { CgroupReader } from './cgroup-reader.ts'

/** Holds every thread of the pool in the kernel: opening a FIFO waits for somebody at its other end. */
async function withoutPool(work: () => Promise<void>): Promise<void> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-pool-'))
  const fifo = join(folder, 'fifo')
  execFileSync('mkfifo', [fifo])
  const threads = Number(process.env['UV_THREADPOOL_SIZE'] ?? 4)
  const blocked = Array.from({ length: threads }, () => open(fifo, 'r'))
  try {
    await work()
  } finally {
    const end = openSync(fifo, constants.O_RDWR | constants.O_NONBLOCK)
    for (const file of await Promise.all(blocked)) await file.close()
    closeSync(end)
    rmSync(folder, { recursive: true })
  }
}

const own = readFileSync('/proc/self/cgroup', 'utf8')
const descriptors = () => readdirSync('/proc/self/fd').length

it('reads on the pool, and without it where everything in it hangs (API-57)', async () => {
  const reader = new CgroupReader()
  expect(await reader.read(process.pid)).toBe(own)
  await withoutPool(async () => {
    expect(await reader.read(process.pid)).toBe(own)
    const before = descriptors()
    const many = await Promise.all(Array.from({ length: 200 }, () => reader.read(process.pid)))
    expect(new Set(many)).toEqual(new Set([own]))
    // None of them waits for the pool with a descriptor in its hand.
    expect(descriptors()).toBe(before)
  })
  expect(await reader.read(process.pid)).toBe(own)
})

it('knows nothing of a process that is not there', async () => {
  expect(await new CgroupReader().read(2 ** 22 + 1)).toBeNull()
})
