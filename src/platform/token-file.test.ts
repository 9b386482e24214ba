import { execFileSync, spawn, spawnSync } from 'node:child_process'
import { createHash } from 'node:crypto'
import { once } from 'node:events'
import {
  appendFileSync,
  chmodSync,
  chownSync,
  existsSync,
  linkSync,
  lstatSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  unlinkSync,
  utimesSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, afterEach, beforeEach, describe, expect, it, onTestFinished } from 'vitest'
import { makeMemoryFolder } from '../../test/support/memory-folder.ts'
import { seededRandom } from '../../test/support/seeded-random.ts'
import { ProjectedTokenFile } from './projected-token-file.ts'
import { TokenFile, type TokenFileOptions } from './token-file.ts'

const root = mkdtempSync(join(tmpdir(), 'attestd-token-file-'))
afterAll(() => rmSync(root, { recursive: true, force: true }))
const isRoot = process.geteuid?.() === 0

const bytes = (text: string) => new TextEncoder().encode(text)
const long = (letter: string) => letter.repeat(12_000)
const random = seededRandom(1)

let count = 0
let directory = ''
let path = ''
beforeEach(() => {
  directory = join(root, `d${++count}`)
  mkdirSync(directory)
  path = join(directory, 'token')
})

const options = (change: Partial<TokenFileOptions> = {}): TokenFileOptions => ({
  ...{ path, mode: 0o440, random, roots: [root], allowConsumerWritable: false, allowDisk: true },
  ...change,
})
const ticking = {
  now: () => Date.UTC(2026, 10, 22, 8, 30, ++count % 60),
  sleep: (ms: number) => new Promise<void>((wake) => setTimeout(wake, ms / 5)),
}
const layouts = {
  plain: (change: Partial<TokenFileOptions> = {}) => TokenFile.open(options(change)),
  projected: (change: Partial<TokenFileOptions> = {}) =>
    ProjectedTokenFile.open({ ...options(change), clock: ticking }),
}
const both = Object.entries(layouts)
const content = () => readFileSync(path, 'latin1')

/** A temporary name as writers of the file take it. */
const leftoverOf = (name: string) =>
  `.tmp-${createHash('sha256').update(name).digest('hex').slice(0, 16)}${'0'.repeat(16)}`

const meddling: [string, () => void][] = [
  ['removed', () => unlinkSync(path)],
  ['truncated', () => truncateSync(path, 0)],
  [
    'written to, with the old time set again',
    () => {
      const { atime, mtime } = statSync(path)
      writeFileSync(path, 'x.y.zz')
      utimesSync(path, atime, mtime)
    },
  ],
  [
    'replaced by a file of the same content',
    () => {
      writeFileSync(`${path}2`, content(), { mode: 0o440 })
      renameSync(`${path}2`, path)
    },
  ],
  [
    'replaced by a symbolic link',
    () => {
      unlinkSync(path)
      symlinkSync('/etc/passwd', path)
    },
  ],
  [
    'replaced by a pipe',
    () => {
      unlinkSync(path)
      execFileSync('mkfifo', [path])
    },
  ],
  ['given another mode', () => chmodSync(path, 0o644)],
]

describe.each(both)('a token file of layout %s', (layout, open) => {
  it('has exactly these bytes and this mode, whatever the umask is (BRK-110, BRK-114)', async () => {
    await using file = await open()
    const before = process.umask(0o077)
    await file.write(bytes('a.b.c')).finally(() => process.umask(before))
    expect(readFileSync(path)).toEqual(Buffer.from('a.b.c'))
    expect(statSync(path).mode & 0o7777).toBe(0o440)
    expect(statSync(path).isFile()).toBe(true)
  })

  it('leaves nothing beside it, however often it is written', async () => {
    await using file = await open()
    for (let n = 0; n < 20; n++) await file.write(bytes(`token ${n}`))
    expect(content()).toBe('token 19')
    expect(readdirSync(directory)).toHaveLength(layout === 'plain' ? 1 : 3)
  })

  it('is seen unchanged as long as nobody touches it', async () => {
    await using file = await open()
    expect(await file.look()).toBeNull()
    const mark = await file.write(bytes('a.b.c'))
    expect(await file.look()).toEqual({ mark, regular: true, modeFits: true })
    readFileSync(path)
    expect((await file.look())?.mark).toBe(mark)
    expect(await file.read(100)).toEqual(bytes('a.b.c'))
    expect([await file.read(5), await file.read(4)]).toEqual([bytes('a.b.c'), null])
  })

  it.each(meddling)('that was %s is seen as changed, and a write puts it right (BRK-116, F21)', async (_, meddle) => {
    await using file = await open()
    const mark = await file.write(bytes('a.b.c'))
    meddle()
    expect((await file.look())?.mark).not.toBe(mark)
    const passwords = readFileSync('/etc/passwd', 'latin1')
    // A pipe is not waited for, and a link not followed.
    expect(Buffer.from((await file.read(100_000)) ?? []).toString()).not.toContain('root:')
    const again = await file.write(bytes('a.b.c'))
    expect(content()).toBe('a.b.c')
    expect(lstatSync(path).mode & 0o777).toBe(layout === 'plain' ? 0o440 : 0o777)
    expect((await file.look())?.mark).toBe(again)
    expect(readFileSync('/etc/passwd', 'latin1')).toBe(passwords)
  })

  it.skipIf(!isRoot)('that was given another owner is seen as changed', async () => {
    await using file = await open()
    const mark = await file.write(bytes('a.b.c'))
    chownSync(path, 65_534, 65_534)
    expect((await file.look())?.mark).not.toBe(mark)
  })

  it('in whose place is a directory cannot be written, and says so (BRK-112)', async () => {
    await using file = await open()
    mkdirSync(join(path, 'inner'), { recursive: true })
    await expect(file.write(bytes('a.b.c'))).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
    expect(await file.read(100)).toBeNull()
    rmSync(path, { recursive: true })
    await file.write(bytes('a.b.c'))
    expect(content()).toBe('a.b.c')
  })

  it('goes without a trace when it is removed, and removing it twice is no failure', async () => {
    await using file = await open()
    await file.write(bytes('a.b.c'))
    await file.remove()
    await file.remove()
    expect(readdirSync(directory)).toEqual([])
    expect(await file.look()).toBeNull()
  })

  it.skipIf(!isRoot)('has the group of its directory, which it is not given but inherits (BRK-114)', async () => {
    chownSync(directory, 0, 54_321)
    chmodSync(directory, 0o2750)
    // The folder above belongs to the tests alone.
    chmodSync(root, 0o711)
    await using file = await open()
    await file.write(bytes('a.b.c'))
    expect(statSync(path)).toMatchObject({ gid: 54_321 })
    const read = (gid: number) => spawnSync('cat', [path], { uid: 65_534, gid, cwd: '/', encoding: 'utf8' }).stdout
    expect([read(54_321), read(65_534)]).toEqual(['a.b.c', ''])
  })

  it('goes to the directory that was opened: another one in its place gets nothing (BRK-112)', async () => {
    await using file = await open()
    expect(await file.whereabouts()).toBe('there')
    const aside = `${directory}-aside`
    renameSync(directory, aside)
    mkdirSync(directory)
    await file.write(bytes('a.b.c'))
    expect(readdirSync(directory)).toEqual([])
    expect(readFileSync(join(aside, 'token'), 'latin1')).toBe('a.b.c')
    expect(await file.whereabouts()).toBe('replaced')
    rmSync(aside, { recursive: true })
    expect(await file.whereabouts()).toBe('gone')
    await expect(file.write(bytes('a.b.c'))).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
  })

  it('tells where it was opened: the same for a new directory at the path, another by way of a link (BRK-112)', async () => {
    const way = join(directory, 'way')
    mkdirSync(join(way, 'own'), { recursive: true })
    const reach = () => open({ path: join(way, 'own', 'token') })
    await using first = await reach()
    renameSync(join(way, 'own'), join(way, 'moved'))
    mkdirSync(join(way, 'own'))
    await using second = await reach()
    expect([first.location, second.location]).toEqual([join(way, 'own'), join(way, 'own')])
    renameSync(way, `${way}-aside`)
    symlinkSync(`${way}-aside`, way)
    await using third = await reach()
    expect(third.location).toBe(join(`${way}-aside`, 'own'))
  })

  it('removes what killed writers of it left, and nothing else (BRK-117)', async () => {
    await using file = await open()
    await file.write(bytes('a.b.c'))
    const left = layout === 'plain' ? leftoverOf('token') : '..2026_11_22_08_30_00.000000001'
    if (layout === 'plain') writeFileSync(join(directory, left), 'half')
    else {
      mkdirSync(join(directory, left))
      writeFileSync(join(directory, left, 'token'), 'half')
      symlinkSync('nowhere', join(directory, '..data_tmp'))
      symlinkSync('nowhere', join(directory, '..name_tmp'))
    }
    const others = ['other', leftoverOf('another')]
    for (const name of others) writeFileSync(join(directory, name), '')
    expect(await file.removeLeftovers()).toBe(layout === 'plain' ? 1 : 3)
    expect(content()).toBe('a.b.c')
    expect(readdirSync(directory)).toEqual(expect.arrayContaining([...others, 'token']))
    expect(readdirSync(directory)).not.toContain(left)
  })

  it('is whole for every reader at any moment while it is written 200 times (BRK-111)', async () => {
    const memory = makeMemoryFolder()
    onTestFinished(() => rmSync(memory, { recursive: true, force: true }))
    path = join(memory, 'token')
    await using file = await open({ roots: [memory] })
    await file.write(bytes(long('0')))
    const script = `
      const { readFileSync } = require('node:fs')
      let reads = 0
      console.log('reading')
      process.on('SIGTERM', () => { console.log(reads); process.exit(0) })
      const look = () => {
        if (process.ppid !== ${process.pid}) process.exit(1)
        for (let n = 0; n < 100; n++, reads++) {
          const text = readFileSync(${JSON.stringify(path)}, 'latin1')
          if (text.length !== 12000 || text !== text[0].repeat(12000)) { console.log('torn ' + text.length); process.exit(1) }
        }
        setImmediate(look)
      }
      look()`
    const readers = [1, 2].map(() => spawn(process.execPath, ['-e', script], { stdio: ['ignore', 'pipe', 'pipe'] }))
    const said = readers.map(() => '')
    readers.forEach((reader, at) => {
      for (const stream of [reader.stdout, reader.stderr]) stream?.on('data', (chunk) => (said[at] += chunk))
    })
    await Promise.all(readers.map(({ stdout }) => once(stdout ?? process, 'data')))
    const closed = readers.map((reader) => once(reader, 'close'))
    for (let n = 0; n < 200; n++) await file.write(bytes(long(String.fromCharCode(97 + (n % 26)))))
    for (const reader of readers) reader.kill('SIGTERM')
    await Promise.all(closed)
    for (const text of said) expect(text).toMatch(/^reading\n[1-9]\d*\n$/)
  })
})

describe('the directory of a token file', () => {
  const refusal = (change: Partial<TokenFileOptions> = {}) =>
    TokenFile.open(options(change)).then(
      (file) => file.close().then(() => 'opened'),
      ({ code }) => code,
    )

  it('that is not there is missing; the error says what makes it', async () => {
    rmSync(directory, { recursive: true })
    const error = await TokenFile.open(options()).catch((error) => error)
    expect(error).toMatchObject({ code: 'TOKEN_DIRECTORY_MISSING', kind: 'unavailable' })
    expect(error.remedy).toMatch(/tmpfiles.*2750.*ReadWritePaths=/s)
  })

  it('on a disk needs leave (SYS-71)', async () => {
    expect(await refusal({ allowDisk: false })).toBe('TOKEN_DIRECTORY_UNSAFE')
    const memory = makeMemoryFolder()
    onTestFinished(() => rmSync(memory, { recursive: true }))
    expect(await refusal({ path: join(memory, 'token'), roots: [memory], allowDisk: false })).toBe('opened')
  })

  it('that is a symbolic link is refused (BRK-112)', async () => {
    renameSync(directory, `${directory}-real`)
    symlinkSync(`${directory}-real`, directory)
    expect(await refusal()).toBe('FILE_UNSAFE')
  })

  it('to which a link on the way leads out of all roots is refused; one that stays below is not (BRK-118)', async () => {
    const outside = mkdtempSync(join(tmpdir(), 'attestd-outside-'))
    mkdirSync(join(outside, 'inner'))
    mkdirSync(join(directory, 'real/inner'), { recursive: true })
    symlinkSync(outside, join(directory, 'away'))
    symlinkSync('real', join(directory, 'within'))
    expect(await refusal({ path: join(directory, 'away/inner/token') })).toBe('TOKEN_DIRECTORY_UNSAFE')
    expect(await refusal({ path: join(directory, 'within/inner/token') })).toBe('opened')
    rmSync(outside, { recursive: true })
  })

  it.each([
    ['a group', 0o770],
    ['everybody', 0o707],
    ['everybody, sticky', 0o1777],
  ])('that %s may write into is refused, itself or above, unless it is allowed (BRK-118)', async (_, mode) => {
    const inner = join(directory, 'inner')
    mkdirSync(inner)
    for (const writable of [directory, inner]) {
      chmodSync(writable, mode)
      expect(await refusal({ path: join(inner, 'token') })).toBe('TOKEN_DIRECTORY_UNSAFE')
      expect(await refusal({ path: join(inner, 'token'), allowConsumerWritable: true })).toBe('opened')
      chmodSync(writable, 0o755)
    }
  })

  it.skipIf(!isRoot)('that belongs to another user is refused unless it is allowed', async () => {
    chownSync(directory, 65_534, 65_534)
    expect(await refusal()).toBe('TOKEN_DIRECTORY_UNSAFE')
    expect(await refusal({ allowConsumerWritable: true })).toBe('opened')
  })

  it('outside of all roots is refused, also where the name only begins like one', async () => {
    mkdirSync(`${directory}x`)
    expect(await refusal({ roots: [directory], path: `${directory}x/token` })).toBe('TOKEN_DIRECTORY_UNSAFE')
    expect(await refusal({ roots: [join(root, 'absent')] })).toBe('TOKEN_DIRECTORY_UNSAFE')
    expect(await refusal({ roots: ['/'], allowConsumerWritable: true })).toBe('opened')
  })

  it('of a consumer that may write: a link in place of a version is not followed when it is removed', async () => {
    chmodSync(directory, 0o777)
    const victim = mkdtempSync(join(root, 'victim-'))
    writeFileSync(join(victim, 'token'), 'precious')
    await using file = await layouts.projected({ allowConsumerWritable: true })
    await file.write(bytes('a.b.c'))
    const version = readdirSync(directory).find((name) => name.startsWith('..2026')) ?? 'none'
    rmSync(join(directory, version), { recursive: true })
    symlinkSync(victim, join(directory, version))
    await file.write(bytes('d.e.f')).catch(() => undefined)
    await file.remove().catch(() => undefined)
    expect(readFileSync(join(victim, 'token'), 'latin1')).toBe('precious')
  })
})

describe('leftovers of the layout of Kubernetes', () => {
  it('that hold what is not ours, or are links, stay without their token, and keep nobody from writing', async () => {
    const [ours, link] = ['..2026_01_01_00_00_00.000000001', '..2026_01_01_00_00_00.000000002']
    mkdirSync(join(directory, ours))
    for (const name of ['token', 'of somebody']) writeFileSync(join(directory, ours, name), 'half')
    symlinkSync(root, join(directory, link))
    await using file = await layouts.projected()
    expect(await file.removeLeftovers()).toBe(2)
    expect(readdirSync(join(directory, ours))).toEqual(['of somebody'])
    await file.write(bytes('a.b.c'))
    expect(content()).toBe('a.b.c')
  })
})

describe('a token file whose token has ended', () => {
  it('is set aside for its owner alone (BRK-115)', async () => {
    await using file = await layouts.plain()
    await file.write(bytes('a.b.c'))
    await file.setAside(bytes('a.b.c'))
    expect(readdirSync(directory)).toEqual(['token.expired'])
    expect(statSync(`${path}.expired`).mode & 0o7777).toBe(0o400)
    await file.write(bytes('d.e.f'))
    await file.setAside(bytes('d.e.f'))
    expect(readFileSync(`${path}.expired`, 'latin1')).toBe('d.e.f')
  })

  it('is gone also where it cannot be set aside: a full disk keeps no ended token (BRK-115)', async () => {
    await using file = await layouts.plain()
    await file.write(bytes('a.b.c'))
    mkdirSync(`${path}.expired`)
    await expect(file.setAside(bytes('a.b.c'))).rejects.toMatchObject({ code: 'FILE_UNUSABLE' })
    expect(readdirSync(directory)).toEqual(['token.expired'])
  })

  it.each(['token', 'token.expired'])('sets no mode through a hard link that a consumer puts at %s', async (name) => {
    chmodSync(directory, 0o777)
    const victim = join(root, `victim-of-${name}`)
    writeFileSync(victim, 'precious', { mode: 0o640 })
    await using file = await layouts.plain({ allowConsumerWritable: true })
    await file.write(bytes('a.b.c'))
    rmSync(join(directory, name), { force: true })
    linkSync(victim, join(directory, name))
    await file.setAside(bytes('a.b.c'))
    expect([statSync(victim).mode & 0o7777, readFileSync(victim, 'latin1')]).toEqual([0o640, 'precious'])
    expect(readFileSync(`${path}.expired`, 'latin1')).toBe('a.b.c')
    expect(existsSync(path)).toBe(false)
  })
})

describe('the layout of Kubernetes (API-161)', () => {
  it('is a link to a link to a directory that is new for every token, and the old one goes', async () => {
    await using file = await layouts.projected()
    await file.write(bytes('one'))
    const linkOf = (name: string) => readlinkSync(join(directory, name))
    const first = linkOf('..data')
    expect(linkOf('token')).toBe('..data/token')
    expect(first).toMatch(/^\.\.2026_11_22_08_30_\d\d\.\d{9}$/)
    await file.write(bytes('two'))
    expect(linkOf('..data')).not.toBe(first)
    expect(existsSync(join(directory, first))).toBe(false)
    expect(statSync(join(directory, linkOf('..data'))).mode & 0o777).toBe(0o750)
  })
})

const small = join(root, 'small')
mkdirSync(small)
const mounted = isRoot && spawnSync('mount', ['-t', 'tmpfs', '-o', 'size=64k,mode=755', 'none', small]).status === 0

/** A file system of a few blocks that refuses as full and broken disks do. */
describe.skipIf(!mounted)('a file system that refuses (F19)', () => {
  const writable = () => spawnSync('mount', ['-o', 'remount,rw', small])
  afterAll(() => spawnSync('umount', [small]))
  afterEach(() => {
    writable()
    for (const name of readdirSync(small)) rmSync(join(small, name), { recursive: true })
  })

  const opened = (open: (typeof layouts)['plain' | 'projected']) => {
    path = join(small, 'sink', 'token')
    mkdirSync(join(small, 'sink'))
    return open({ roots: [small], allowDisk: false })
  }

  it.each(both)(
    'because it is full keeps the old token whole, and takes the next when there is room: %s',
    async (_, open) => {
      await using file = await opened(open)
      await file.write(bytes(long('a')))
      const names = readdirSync(join(small, 'sink')).length
      expect(() => {
        for (;;) appendFileSync(join(small, 'fill'), new Uint8Array(4096))
      }).toThrow('ENOSPC')
      for (let attempt = 0; attempt < 3; attempt++) {
        await expect(file.write(bytes(long('b')))).rejects.toMatchObject({ facts: { errno: 'ENOSPC' } })
      }
      expect(content()).toBe(long('a'))
      expect(readdirSync(join(small, 'sink'))).toHaveLength(names)
      unlinkSync(join(small, 'fill'))
      await file.write(bytes(long('b')))
      expect(content()).toBe(long('b'))
    },
  )

  it.each(both)(
    'because it is read-only keeps the old token, and takes the next when it is not: %s',
    async (_, open) => {
      await using file = await opened(open)
      await file.write(bytes('old'))
      expect(spawnSync('mount', ['-o', 'remount,ro', small]).status).toBe(0)
      await expect(file.write(bytes('new'))).rejects.toMatchObject({ facts: { errno: 'EROFS' } })
      await expect(file.remove()).rejects.toMatchObject({ facts: { errno: 'EROFS' } })
      expect(content()).toBe('old')
      writable()
      await file.write(bytes('new'))
      expect(content()).toBe('new')
    },
  )
})
