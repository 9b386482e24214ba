import { execFileSync } from 'node:child_process'
import { randomBytes } from 'node:crypto'
import {
  chmodSync,
  chownSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { writeAtomically } from './atomic-file.ts'
import { Folder } from './folder.ts'
import { readProtected } from './protected-file.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
let root = ''
let folder: Folder

beforeEach(async () => {
  root = mkdtempSync(join(tmpdir(), 'attestd-folder-'))
  folder = await Folder.open(root, randomBytes)
})
afterEach(async () => {
  await folder.close()
  rmSync(root, { recursive: true, force: true })
})

const at = (name: string) => join(root, name)
const isRoot = process.getuid?.() === 0

describe('writing (BRK-110, BRK-111)', () => {
  it.each([0o440, 0o600, 0o644])('puts exactly the bytes there, with mode %o whatever the umask', async (mode) => {
    const before = process.umask(0o077)
    await folder.write('token', bytes('abc'), mode)
    process.umask(before)
    expect(readFileSync(at('token'), 'latin1')).toBe('abc')
    expect(statSync(at('token')).mode & 0o7777).toBe(mode)
    expect(readdirSync(root)).toEqual(['token'])
  })

  it('replaces the old file: who has it open reads the old content on', async () => {
    await folder.write('token', bytes('old'), 0o440)
    const before = statSync(at('token')).ino
    await folder.write('token', bytes('new and longer'), 0o440)
    expect(readFileSync(at('token'), 'latin1')).toBe('new and longer')
    expect(statSync(at('token')).ino).not.toBe(before)
  })

  it('a reader never sees a part, however many writers there are', async () => {
    const contents = ['a'.repeat(100_000), 'b'.repeat(50_000)]
    await folder.write('token', bytes(contents[0] ?? ''), 0o644)
    let writing = true
    const writers = Promise.all(
      Array.from({ length: 40 }, (_, at) => folder.write('token', bytes(contents[at % 2] ?? ''), 0o644)),
    ).finally(() => {
      writing = false
    })
    let reads = 0
    for (; writing; reads++) {
      expect(contents).toContain(readFileSync(at('token'), 'latin1'))
      await new Promise((resolve) => setImmediate(resolve))
    }
    await writers
    expect(reads).toBeGreaterThan(0)
    expect(readdirSync(root)).toEqual(['token'])
  })

  it('replaces a symbolic link instead of following it (BRK-112)', async () => {
    writeFileSync(at('elsewhere'), 'untouched')
    symlinkSync(at('elsewhere'), at('token'))
    await folder.write('token', bytes('new'), 0o440)
    expect(lstatSync(at('token')).isFile()).toBe(true)
    expect(readFileSync(at('elsewhere'), 'latin1')).toBe('untouched')
  })

  it('a folder in the place of the file is an error, and nothing is left behind', async () => {
    mkdirSync(at('token'))
    await expect(folder.write('token', bytes('new'), 0o440)).rejects.toMatchObject({
      code: 'FILE_UNUSABLE',
      facts: { errno: 'EISDIR', path: at('token') },
    })
    expect(readdirSync(root)).toEqual(['token'])
  })

  it('that fails in the middle keeps the old file and leaves nothing behind', async () => {
    await folder.write('token', bytes('old'), 0o440)
    const ignore = () => undefined
    process.on('SIGXFSZ', ignore)
    limitFileSize('1000')
    try {
      await expect(folder.write('token', new Uint8Array(5000), 0o440)).rejects.toMatchObject({
        facts: { errno: 'EFBIG' },
      })
    } finally {
      limitFileSize('unlimited')
      process.off('SIGXFSZ', ignore)
    }
    expect([readdirSync(root), readFileSync(at('token'), 'latin1')]).toEqual([['token'], 'old'])
    await folder.write('token', new Uint8Array(5000), 0o440)
  })

  it('goes through the folder that was opened, not through its path (BRK-112)', async () => {
    const inner = at('inner')
    mkdirSync(inner)
    await using held = await Folder.open(inner, randomBytes)
    renameSync(inner, at('moved'))
    mkdirSync(at('elsewhere'))
    symlinkSync(at('elsewhere'), inner)
    await held.write('token', bytes('here'), 0o440)
    expect(readFileSync(at('moved/token'), 'latin1')).toBe('here')
    expect(readdirSync(at('elsewhere'))).toEqual([])
  })

  it.each(['', '.', '..', 'a/b', '/etc/passwd', 'a\0b', `.tmp-${'0'.repeat(32)}`])(
    'the name %j is a bug',
    async (name) => {
      await expect(folder.write(name, bytes('x'), 0o600)).rejects.toThrow(TypeError)
      await expect(folder.read(name, { maxBytes: 1 })).rejects.toThrow(TypeError)
      await expect(folder.remove(name)).rejects.toThrow(TypeError)
    },
  )

  it('by path alone works the same', async () => {
    await writeAtomically(at('key'), bytes('secret'), { mode: 0o600, random: randomBytes })
    expect([readFileSync(at('key'), 'latin1'), statSync(at('key')).mode & 0o777]).toEqual(['secret', 0o600])
    await expect(writeAtomically(at('no/key'), bytes(''), { mode: 0o600, random: randomBytes })).rejects.toMatchObject({
      code: 'FILE_UNUSABLE',
      facts: { errno: 'ENOENT' },
    })
  })
})

/** Soft limit for files that this process writes: what is above it fails half-way, like on a full disk. */
function limitFileSize(bytesOrUnlimited: string): void {
  execFileSync('prlimit', ['--pid', String(process.pid), `--fsize=${bytesOrUnlimited}:unlimited`])
}

describe('reading', () => {
  const secret = { maxBytes: 10, forbidden: 0o077 }

  it('gives null where there is nothing, and the bytes up to the limit', async () => {
    expect(await folder.read('key', secret)).toBe(null)
    writeFileSync(at('key'), '0123456789', { mode: 0o600 })
    expect(await folder.read('key', secret)).toEqual(bytes('0123456789'))
    writeFileSync(at('key'), '0123456789a')
    await expect(folder.read('key', secret)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
  })

  it.each([
    [0o600, undefined, true],
    [0o644, undefined, true],
    [0o664, undefined, false],
    [0o646, undefined, false],
    [0o600, 0o077, true],
    [0o400, 0o077, true],
    [0o640, 0o077, false],
    [0o604, 0o077, false],
    [0o601, 0o077, false],
  ])('mode %o with forbidden %o: %s', async (mode, forbidden, allowed) => {
    writeFileSync(at('key'), 'x')
    chmodSync(at('key'), mode)
    const read = folder.read('key', forbidden === undefined ? { maxBytes: 1 } : { maxBytes: 1, forbidden })
    if (allowed) expect(await read).toEqual(bytes('x'))
    else
      await expect(read).rejects.toMatchObject({
        code: 'FILE_UNSAFE',
        message: expect.stringContaining(mode.toString(8)),
      })
  })

  it.skipIf(!isRoot)('refuses a file of another user unless that user is named', async () => {
    writeFileSync(at('key'), 'x', { mode: 0o600 })
    chownSync(at('key'), 30_001, 30_001)
    await expect(folder.read('key', secret)).rejects.toMatchObject({ code: 'FILE_UNSAFE' })
    expect(await folder.read('key', { ...secret, owners: [30_001] })).toEqual(bytes('x'))
  })

  it('refuses symbolic links, folders, and pipes without waiting for their writer', async () => {
    writeFileSync(at('real'), 'x', { mode: 0o600 })
    symlinkSync(at('real'), at('link'))
    mkdirSync(at('sub'), { mode: 0o700 })
    execFileSync('mkfifo', ['-m', '600', at('pipe')])
    for (const name of ['link', 'sub', 'pipe']) {
      await expect(folder.read(name, secret)).rejects.toMatchObject({ code: 'FILE_UNSAFE' })
    }
  })

  it('of a file of the kernel goes by its content, not by its size', async () => {
    const read = await readProtected('/proc/version', { maxBytes: 4096 })
    expect(Buffer.from(read ?? []).toString()).toBe(readFileSync('/proc/version', 'latin1'))
  })
})

describe('the folder', () => {
  it('is not opened through a symbolic link, nor where it is a file or absent', async () => {
    symlinkSync(root, at('link'))
    writeFileSync(at('file'), '')
    await expect(Folder.open(at('link'), randomBytes)).rejects.toMatchObject({ code: 'FILE_UNSAFE' })
    await expect(Folder.open(at('file'), randomBytes)).rejects.toMatchObject({ code: 'FILE_UNSAFE' })
    await expect(Folder.open(at('none'), randomBytes)).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
  })

  it('lists and removes, and clears what killed writers left', async () => {
    for (const name of ['b', 'a', `.tmp-${'0f'.repeat(16)}`, '.tmp-mine']) writeFileSync(at(name), '')
    expect(await folder.list()).toEqual(['.tmp-mine', 'a', 'b'])
    expect(await folder.removeLeftovers()).toBe(1)
    expect(readdirSync(root).sort()).toEqual(['.tmp-mine', 'a', 'b'])
    expect([await folder.remove('a'), await folder.remove('a')]).toEqual([true, false])
    expect(await folder.list()).toEqual(['.tmp-mine', 'b'])
  })
})
