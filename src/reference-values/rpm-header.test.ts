import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../base/errors.ts'
import { hexDigest } from './digest-set.ts'
import { mergedUsrPath } from './package-file.ts'
import { isRpmPackage, parseRpmFiles, requireRpmLead, rpmHeaderSize } from './rpm-header.ts'

interface Column {
  readonly tag: number
  readonly type: number
  readonly values: readonly (string | number)[]
}

const sizes: Readonly<Record<number, number>> = { 3: 2, 4: 4 }

function valueBytes(type: number, value: string | number): Buffer {
  if (typeof value === 'string') return Buffer.from(`${value}\0`, 'latin1')
  const bytes = Buffer.alloc(sizes[type] ?? 4)
  bytes.writeUIntBE(value, 0, bytes.length)
  return bytes
}

/** A header with its preamble. */
function headerOf(columns: readonly Column[]): Buffer {
  const data: Buffer[] = []
  let offset = 0
  const entries = columns.map(({ tag, type, values }) => {
    const entry = Buffer.alloc(16)
    for (const [at, field] of [tag, type, offset, values.length].entries()) entry.writeUInt32BE(field, 4 * at)
    const content = Buffer.concat(values.map((value) => valueBytes(type, value)))
    data.push(content)
    offset += content.length
    return entry
  })
  const preamble = Buffer.alloc(16)
  preamble.writeUInt32BE(0x8eade801, 0)
  preamble.writeUInt32BE(columns.length, 8)
  preamble.writeUInt32BE(offset, 12)
  return Buffer.concat([preamble, ...entries, ...data])
}

const ones = '1'.repeat(64)
const sound = {
  names: { tag: 1117, type: 8, values: ['a', 'b', 'dir', 'ghost', 'link'] },
  folders: { tag: 1118, type: 8, values: ['/usr/bin/', '/etc/'] },
  places: { tag: 1116, type: 4, values: [0, 1, 1, 1, 0] },
  modes: { tag: 1030, type: 3, values: [0o100755, 0o100644, 0o040755, 0o100644, 0o120777] },
  flags: { tag: 1037, type: 4, values: [0, 1, 0, 64, 0] },
  digests: { tag: 1035, type: 8, values: [ones, '2'.repeat(64), '', '', ''] },
  algorithm: { tag: 5011, type: 4, values: [8] },
} satisfies Record<string, Column>
const withColumns = (changes: Partial<Record<keyof typeof sound, Column | null>>) =>
  headerOf(Object.values({ ...sound, ...changes }).flatMap((column) => column ?? []))

/** `at`: place in the entry of what is too large, its offset or its count. */
function entryOutside(at: number): Buffer {
  const header = headerOf([{ tag: 9999, type: 8, values: ['a'] }])
  header.writeUInt32BE(3, 16 + at)
  return header
}

describe('the header of a package', () => {
  it('names its regular files but ghosts', () => {
    expect(parseRpmFiles(withColumns({}))).toEqual([
      { path: '/usr/bin/a', digests: hexDigest('sha256', ones), executable: true },
      { path: '/etc/b', digests: hexDigest('sha256', '2'.repeat(64)), executable: false },
    ])
  })

  it('of a package without files names none', () => {
    expect(parseRpmFiles(headerOf([]))).toEqual([])
  })

  it('without an algorithm has MD5, which is no reference value', () => {
    const digests = { ...sound.digests, values: ['1'.repeat(32), '2'.repeat(32), '', '', ''] }
    expect(parseRpmFiles(withColumns({ algorithm: null, digests })).map((each) => each.digests)).toEqual(['', ''])
  })

  it.each<[string, Uint8Array, string]>([
    ['another beginning', Buffer.alloc(16), 'does not begin as a header'],
    ['an unknown algorithm', withColumns({ algorithm: { ...sound.algorithm, values: [99] } }), 'number 99'],
    [
      'a digest that is none',
      withColumns({ digests: { ...sound.digests, values: [ones, 'x', '', '', ''] } }),
      'files.1.digest',
    ],
    ['fewer modes', withColumns({ modes: { ...sound.modes, values: [0] } }), '5 names and 1 modes'],
    ['fewer flags', withColumns({ flags: { ...sound.flags, values: [0] } }), '5 names and 1 flags'],
    ['no digests', withColumns({ digests: null }), '5 names and 0 digests'],
    ['a folder that is not there', withColumns({ places: { ...sound.places, values: [0, 2, 1, 1, 0] } }), 'files.1'],
    [
      'a relative folder',
      withColumns({ folders: { ...sound.folders, values: ['usr/bin/', '/etc/'] } }),
      'no absolute path',
    ],
    [
      'a name with a slash',
      withColumns({ names: { ...sound.names, values: ['../a', 'b', 'c', 'd', 'e'] } }),
      'no absolute path',
    ],
    ['a column of another type', withColumns({ names: { tag: 1117, type: 6, values: ['a'] } }), 'tag1117: has type 6'],
    // Of a tag that nobody reads: no later look-up would find it.
    ['an entry that begins outside of the data', entryOutside(8), 'entry 0 lies outside'],
    ['an entry with more values than bytes', entryOutside(12), 'entry 0 lies outside'],
    ['a tag twice', headerOf([sound.names, sound.names]), 'tag 1117 is there twice'],
    ['bytes behind its end', Buffer.concat([withColumns({}), Buffer.alloc(1)]), 'left over'],
    ['an end too early', withColumns({}).subarray(0, -1), 'needs'],
    ['a text without end', withColumns({}).map((byte, at, all) => (at > all.length - 5 ? 1 : byte)), 'rpm.'],
  ])('with %s is refused', (_name, bytes, says) => {
    expect(() => parseRpmFiles(bytes)).toThrow(MalformedError)
    expect(() => parseRpmFiles(bytes)).toThrow(says)
  })

  it.each([
    [8, 65_536, 'entries; rpm takes 65535'],
    [12, (256 << 20) + 1, 'bytes of data; rpm takes'],
  ])('of a size above the limit is refused before it is read', (at, value, says) => {
    const preamble = headerOf([])
    preamble.writeUInt32BE(value, at)
    expect(() => rpmHeaderSize(preamble, false)).toThrow(says)
    preamble.writeUInt32BE(value - 1, at)
    expect(rpmHeaderSize(preamble, false)).toBeGreaterThan(65_535)
  })

  it.each([1117, 1118, 1116, 5011])(
    'has no more values of tag %i than files can be, and they are not read first',
    (tag) => {
      const count = 4_000_001
      const size = 4 * count
      const header = Buffer.alloc(16 + 16 + size)
      header.writeUInt32BE(0x8eade801, 0)
      header.writeUInt32BE(1, 8)
      header.writeUInt32BE(size, 12)
      for (const [at, field] of [tag, tag === 1117 || tag === 1118 ? 8 : 4, 0, count].entries())
        header.writeUInt32BE(field, 16 + 4 * at)
      expect(() => parseRpmFiles(header)).toThrow(`rpm.tag${tag}: 4000001 values; 4000000 are taken`)
    },
  )

  it('of signatures is padded to eight bytes', () => {
    const columns = headerOf([{ tag: 1000, type: 6, values: ['abc'] }])
    expect(rpmHeaderSize(columns.subarray(0, 16), false)).toBe(36)
    expect(rpmHeaderSize(columns.subarray(0, 16), true)).toBe(40)
  })

  it('is parsed or refused, whatever bytes it has', () => {
    const whole = withColumns({})
    const edit = fc.tuple(fc.nat(whole.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 4 }), (edits) => {
        const bytes = Uint8Array.from(whole)
        for (const [at, byte] of edits) bytes[at] = byte
        try {
          for (const { path } of parseRpmFiles(bytes)) expect(path).toMatch(/^\//)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })

  it('stands behind a lead', () => {
    const lead = Buffer.alloc(96)
    expect(isRpmPackage(lead)).toBe(false)
    expect(() => requireRpmLead(lead)).toThrow(MalformedError)
    lead.writeUInt32BE(0xedabeedb)
    expect(() => requireRpmLead(lead)).toThrow('format version 0')
    lead[4] = 3
    requireRpmLead(lead)
    expect(isRpmPackage(lead)).toBe(true)
    expect(() => requireRpmLead(lead.subarray(0, 95))).toThrow('needs')
  })
})

describe('paths on a system with links into /usr', () => {
  it.each([
    ['/bin/ls', '/usr/bin/ls'],
    ['/lib64/ld.so', '/usr/lib64/ld.so'],
    ['/sbin/init', '/usr/sbin/init'],
    ['/usr/bin/ls', '/usr/bin/ls'],
    ['/binary', '/binary'],
    ['/etc/bin/x', '/etc/bin/x'],
  ])('%s is %s', (path, merged) => {
    expect(mergedUsrPath(path)).toBe(merged)
  })
})
