import { execFileSync } from 'node:child_process'
import { closeSync, constants, mkdtempSync, openSync, readdirSync, readFileSync, rmSync } from 'node:fs'
import { open } from 'node:fs/promises'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { CgroupReader, type FileReads } from './cgroup-reader.ts'

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

/** A kernel whose control-group file holds `text`, and whose pool hangs until it is let go. */
class LongFile implements FileReads {
  readonly rooms: number[] = []
  letGo: () => void = () => undefined
  #bytes: Buffer
  #pool: Promise<void>

  constructor(text: string, hangs: boolean) {
    this.#bytes = Buffer.from(text)
    this.#pool = hangs ? new Promise((resolve) => (this.letGo = resolve)) : Promise.resolve()
  }

  async onPool(_fd: number, into: Uint8Array): Promise<number> {
    await this.#pool
    return this.here(_fd, into)
  }

  here(_fd: number, into: Uint8Array): number {
    this.rooms.push(into.length)
    return this.#bytes.copy(into)
  }
}

describe.each([
  ['on the pool', false],
  ['at once, where the pool hangs', true],
])('%s', (_, hangs) => {
  it.each([
    [4095, [4096]],
    [4096, [4096, 65_536]],
    [4097, [4096, 65_536]],
    [65_535, [4096, 65_536]],
  ])('%i bytes are read whole (API-50)', async (size, rooms) => {
    const text = `0::/${'a'.repeat(size - 5)}\n`
    const file = new LongFile(text, hangs)
    expect(await new CgroupReader(file).read(process.pid)).toBe(text)
    expect(file.rooms).toEqual(rooms)
    file.letGo()
  })

  it.each([65_536, 65_537])('of %i bytes nothing is told, for there may be more (API-50)', async (size) => {
    const file = new LongFile('a'.repeat(size), hangs)
    expect(await new CgroupReader(file).read(process.pid)).toBeNull()
    file.letGo()
  })
})
