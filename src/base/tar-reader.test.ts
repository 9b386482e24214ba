import { execFileSync } from 'node:child_process'
import { mkdirSync, mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from './errors.ts'
import { TarReader } from './tar-reader.ts'

interface Member {
  readonly name: string
  readonly type?: string
  readonly content?: string
  readonly target?: string
  /** Written over the header before its checksum is made. */
  readonly patch?: (header: Buffer) => void
  readonly size?: number
}

function header({ name, type = '0', content = '', target = '', patch, size = content.length }: Member): Buffer {
  const bytes = Buffer.alloc(512)
  bytes.write(name, 0, 'latin1')
  bytes.write('0000755\0', 100, 'latin1')
  bytes.write(`${size.toString(8).padStart(11, '0')}\0`, 124, 'latin1')
  bytes.write(type, 156, 'latin1')
  bytes.write(target, 157, 'latin1')
  bytes.write('ustar\x0000', 257, 'latin1')
  patch?.(bytes)
  bytes.fill(0x20, 148, 156)
  bytes.write(
    `${bytes
      .reduce((sum, byte) => sum + byte, 0)
      .toString(8)
      .padStart(6, '0')}\0 `,
    148,
    'latin1',
  )
  return bytes
}

const padded = (content: string) =>
  Buffer.concat([Buffer.from(content, 'latin1'), Buffer.alloc((512 - (content.length % 512)) % 512)])
const archive = (...members: readonly Member[]) =>
  Buffer.concat([...members.flatMap((member) => [header(member), padded(member.content ?? '')]), Buffer.alloc(1024)])

function read(bytes: Uint8Array, step = bytes.length): string[] {
  const told: string[] = []
  let content = ''
  const reader = new TarReader(
    {
      begin: ({ name, size, mode }) => {
        told.push(`${name} ${size} ${mode.toString(8)}`)
        content = ''
      },
      content: (part) => {
        content += Buffer.from(part).toString('latin1')
      },
      end: () => told.push(`= ${content}`),
      link: (name, target) => told.push(`${name} -> ${target}`),
    },
    'x.tar',
  )
  for (let at = 0; at < bytes.length; at += step) reader.add(bytes.subarray(at, at + step))
  reader.close()
  return told
}

const long = `./${'deep/'.repeat(60)}name`
const pax = (key: string, value: string) => {
  const rest = ` ${key}=${value}\n`
  const length = [2, 3].map((digits) => rest.length + digits).find((size, index) => String(size).length === index + 2)
  return `${length}${rest}`
}

describe('an archive', () => {
  it('tells regular files with their content, and hard links', () => {
    const members = [
      { name: './', type: '5' },
      { name: './a', content: 'one' },
      { name: './full', content: 'x'.repeat(512) },
      { name: './empty' },
      { name: './soft', type: '2', target: 'a' },
      { name: './hard', type: '1', target: './a' },
      { name: './dev', type: '3' },
    ]
    const told = [
      './a 3 755',
      '= one',
      './full 512 755',
      `= ${'x'.repeat(512)}`,
      './empty 0 755',
      '= ',
      './hard -> ./a',
    ]
    for (const step of [1, 100, 511, 512, 513, 1 << 20]) expect(read(archive(...members), step)).toEqual(told)
  })

  it('has long names in three forms', () => {
    const prefix = (bytes: Buffer) => void bytes.write('some/folder', 345, 'latin1')
    expect(
      read(
        archive(
          { name: '././@LongLink', type: 'L', content: `${long}\0` },
          { name: long.slice(0, 100), content: 'a' },
          { name: 'x', type: 'x', content: pax('mtime', '1.5') + pax('path', long) },
          { name: 'short', content: 'b' },
          { name: 'c', content: 'c', patch: prefix },
          { name: '././@LongLink', type: 'K', content: `${long}\0` },
          { name: 'link', type: '1', target: 'cut' },
          { name: 'after', content: 'd' },
        ),
      ),
    ).toEqual([
      `${long} 1 755`,
      '= a',
      `${long} 1 755`,
      '= b',
      'some/folder/c 1 755',
      '= c',
      `link -> ${long}`,
      'after 1 755',
      '= d',
    ])
  })

  it('has a header of attributes of 16384 bytes, and none that is longer', () => {
    const comment = (size: number) => `${size} comment=${'c'.repeat(size - 15)}\n`
    const withComment = (size: number) => archive({ name: 'x', type: 'x', content: comment(size) }, { name: 'a' })
    expect(read(withComment(16_384))).toEqual(['a 0 755', '= '])
    expect(() => read(withComment(16_385))).toThrow('a header of 16385 bytes')
  })

  it.each<[string, Uint8Array, string]>([
    ['a wrong checksum', archive({ name: 'a' }).map((byte, at) => (at === 3 ? 1 : byte)), 'wrong checksum'],
    ['another form', archive({ name: 'a', patch: (bytes) => void bytes.fill(0, 257, 263) }), 'before ustar'],
    [
      'a size that is no number',
      archive({ name: 'a', patch: (bytes) => void bytes.write('9', 124) }),
      'no octal number',
    ],
    [
      'a size in base 256',
      archive({ name: 'a', patch: (bytes) => void bytes.fill(0x80, 124, 125) }),
      'no octal number',
    ],
    ['a sparse file', archive({ name: 'a', type: 'S' }), 'packages do not have'],
    ['a link with content', archive({ name: 'a', type: '2', content: 'x' }), 'is no file'],
    ['a pax size', archive({ name: 'x', type: 'x', content: pax('size', '1') }, { name: 'a' }), 'pax header size'],
    [
      'a pax record of another length',
      archive({ name: 'x', type: 'x', content: '99 path=a\n' }, { name: 'a' }),
      'that is none',
    ],
    ['a pax header without form', archive({ name: 'x', type: 'x', content: 'path' }, { name: 'a' }), 'that is none'],
    ['a long name of nothing', archive({ name: 'x', type: 'L', content: '\0' }, { name: 'a' }), 'long name of no use'],
    [
      'a long name with a NUL',
      archive({ name: 'x', type: 'L', content: 'a\0b' }, { name: 'a' }),
      'long name of no use',
    ],
    [
      'a long name of 4097 bytes',
      archive({ name: 'x', type: 'L', content: 'a'.repeat(4097) }, { name: 'a' }),
      'no use',
    ],
    ['a long header without end', archive({ name: 'x', type: 'L', size: 1 << 20 }), 'a header of 1048576 bytes'],
    ['content behind the end', Buffer.concat([archive({ name: 'a' }), header({ name: 'b' })]), 'behind its end'],
    ['an end inside of a header', archive({ name: 'a' }).subarray(0, 511), 'inside of a member'],
    ['an end inside of content', archive({ name: 'a', content: 'abc' }).subarray(0, 514), 'inside of a member'],
    ['an end inside of padding', archive({ name: 'a', content: 'abc' }).subarray(0, 600), 'inside of a member'],
  ])('with %s is refused', (_name, bytes, says) => {
    expect(() => read(bytes)).toThrow(MalformedError)
    expect(() => read(bytes)).toThrow(says)
  })

  it.each([
    ['with a NUL', 'path', '/usr/bin/a\0b'],
    ['without a name', 'path', ''],
    ['of 4097 bytes', 'path', 'x'.repeat(4097)],
    ['with a NUL in its target', 'linkpath', 'a\0'],
  ])('has no name %s in a pax header', (_what, key, value) => {
    const length = (size: number): number =>
      `${size}`.length + key.length + value.length + 3 === size ? size : length(size + 1)
    const record = `${length(key.length + value.length + 4)} ${key}=${value}\n`
    expect(() => read(archive({ name: 'h', type: 'x', content: record }, { name: 'a' }))).toThrow('of no use')
  })

  it('shows escaped what it refuses: it may be commands for a terminal', () => {
    const record = '20 GNU.sparse\x1b[2J=1\n'
    expect(() => read(archive({ name: 'h', type: 'x', content: record }))).toThrow(
      'has the pax header GNU.sparse\\x1b[2J',
    )
  })

  it('is read or refused, whatever bytes it has', () => {
    const sound = archive(
      { name: 'a', content: 'one' },
      { name: 'x', type: 'x', content: pax('path', 'b') },
      { name: 'c' },
    )
    const edit = fc.tuple(fc.nat(sound.length - 1), fc.nat(255))
    fc.assert(
      fc.property(fc.array(edit, { maxLength: 3 }), (edits) => {
        const bytes = Uint8Array.from(sound)
        for (const [at, byte] of edits) bytes[at] = byte
        try {
          read(bytes, 100)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
    )
  })

  it.each(['gnu', 'ustar', 'pax'])('is what tar writes in its form %s', (form) => {
    const folder = mkdtempSync(join(tmpdir(), 'attestd-tar-'))
    mkdirSync(join(folder, 'tree', long.slice(0, 80)), { recursive: true })
    writeFileSync(join(folder, 'tree/a'), 'A'.repeat(1000), { mode: 0o640 })
    const name = `${long.slice(0, 80)}/${'n'.repeat(90)}`
    writeFileSync(join(folder, 'tree', name), 'B', { mode: 0o755 })
    const bytes = execFileSync('tar', ['-C', join(folder, 'tree'), `--format=${form}`, '--sort=name', '-c', '.'])
    rmSync(folder, { recursive: true })
    expect(read(bytes, 1000)).toEqual([
      './a 1000 640',
      `= ${'A'.repeat(1000)}`,
      `./${name.replace(/^\.\//, '')} 1 755`,
      '= B',
    ])
  })
})
