import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { concatBytes, isFilledWith, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encode, sizedBytes, u16le, u32le } from '../../base/layout.ts'
import type { HashName } from '../tpm/algorithms.ts'
import { parseImaLog } from './ima-log.ts'
import { type ImaFieldId, type ImaFields, imaFieldIds, parseImaTemplate } from './ima-template.ts'
import { kernelHashes } from './kernel-hashes.ts'

const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))
const field = (bytes: Uint8Array) => encode(sizedBytes(u32le), bytes)
const bytesOfSize = (size: number, value = 0xab) => new Uint8Array(size).fill(value)
const digest = (prefix: string, size: number) => concatBytes(latin1(`${prefix}:\0`), bytesOfSize(size))
const dNg = digest('sha256', 32)
const nNg = latin1('/usr/bin/env\0')
const none = new Uint8Array()

const dataOf = (...fields: readonly Uint8Array[]) => concatBytes(...fields.map(field))
const parse = (template: string, ...fields: readonly Uint8Array[]) =>
  parseImaTemplate({ template, data: dataOf(...fields) })

function fieldsOf(template: string, ...fields: readonly Uint8Array[]): ImaFields {
  const { fields: read } = parse(template, ...fields)
  if (read === null) return expect.unreachable()
  return read
}

describe.skipIf(!haveVectors)('recorded records', () => {
  interface Entry {
    readonly file: string
    readonly expected: {
      readonly columnAlg: HashName
      readonly prefix?: unknown
      readonly index?: readonly string[]
      readonly signatures?: readonly { readonly entry: number; readonly path: string }[]
    }
  }
  const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
  const logs = manifest.filter(({ file }) => /ima.*\.bin$/.test(file))
  const recordsOf = ({ file, expected }: Entry) =>
    parseImaLog(vector(`tpm/${file}`), expected.columnAlg).map((record) => {
      const violation = isFilledWith(record.column, 0)
      const { fields, problem } = parseImaTemplate(record, { violation })
      expect(problem).toBeNull()
      return { ...record, violation, fields }
    })

  it.each(logs)('of $file have digests and names', (log) => {
    for (const { fields, violation } of recordsOf(log)) {
      expect(fields?.name?.includes(0)).toBe(false)
      expect(fields?.digest && isFilledWith(fields.digest.digest, 0)).toBe(violation)
    }
  })

  it.each(logs.filter(({ expected }) => expected.index))('of $file are those of the manifest', (log) => {
    const index = recordsOf(log).map(({ index: at, pcr, template, violation, fields }) =>
      [at, pcr, template, ...(violation ? ['VIOLATION'] : []), toLatin1(fields?.name ?? none)].join(' '),
    )
    expect(index).toEqual(log.expected.index)
  })

  it('have the fields of their templates', () => {
    const [log] = logs.filter(({ file }) => file === 'sequence/s2.ima.bin')
    const records = log ? recordsOf(log) : []
    const of = (at: number) => records[at]?.fields
    expect(of(20)?.digest).toMatchObject({ of: 'ima', algorithm: 'sha512' })
    expect([of(18)?.signature?.length, of(14)?.signature?.length, of(0)?.signature]).toEqual([0, 265, null])
    expect(of(21)?.buffer?.subarray(0, 2)).toEqual(Uint8Array.of(0x30, 0x82))
    expect(of(26)?.digest).toMatchObject({ of: 'verity', algorithm: 'sha256' })
    expect(of(28)?.digest).toMatchObject({ of: 'ima', algorithm: 'sha256' })
    expect(of(29)).toMatchObject({ signature: none, modsigDigest: { algorithm: 'sha256' } })
    expect(of(29)?.modsig).toHaveLength(96)
    expect(of(30)).toMatchObject({ xattrLengths: [28, 20], uid: 0, gid: 0, mode: 0o100755, signature: null })
    expect(toLatin1(of(30)?.xattrNames ?? none)).toMatch(/^security\.selinux\0security\.capability\0$/)
    expect([of(30)?.evmSignature?.length, of(30)?.xattrValues?.length]).toEqual([40, 48])
    expect(of(31)).toMatchObject({ mode: 0o100755, uid: null })
    expect([of(32)?.digest?.digest.length, of(33)?.digest?.digest.length]).toEqual([32, 20])
  })
})

describe('digests (IMA-07)', () => {
  it.each(kernelHashes)('of $name have $size bytes', ({ name, size }) => {
    expect(fieldsOf('ima-ng', digest(name, size), nNg).digest).toEqual({
      of: 'ima',
      algorithm: name,
      digest: bytesOfSize(size),
    })
    for (const wrong of [size - 1, size + 1, 0]) {
      expect(() => parse('ima-ng', digest(name, wrong), nNg)).toThrow(`ima.d-ng: a ${name} digest of ${wrong} bytes`)
    }
  })

  it.each([
    ['no NUL', latin1('sha256:')],
    ['no colon', concatBytes(latin1('sha256\0'), bytesOfSize(32))],
    ['another byte for the colon', concatBytes(latin1('sha256;\0'), bytesOfSize(32))],
    ['no name', digest('', 32)],
    ['a name that is not known', digest('sha257', 32)],
    ['the name of a property of objects', digest('constructor', 32)],
    ['a kind that other templates have', digest('ima:sha256', 32)],
    ['nothing', none],
    ['a name without end', latin1('a'.repeat(200))],
    ['upper case', digest('SHA256', 32)],
  ])('with %s are refused', (_what, bytes) => {
    expect(() => parse('ima-ng', bytes, nNg)).toThrow(MalformedError)
    expect(() => parse('ima-ng', bytes, nNg)).toThrow(/^ima\.d-ng: /)
  })

  it('say what was hashed where the template has a place for it', () => {
    expect(fieldsOf('ima-ngv2', digest('verity:sha512', 64), nNg).digest).toMatchObject({
      of: 'verity',
      algorithm: 'sha512',
    })
    expect(fieldsOf('ima-sigv2', digest('ima:sha1', 20), nNg, none).digest).toMatchObject({
      of: 'ima',
      algorithm: 'sha1',
    })
    for (const wrong of [
      dNg,
      digest('evm:sha256', 32),
      latin1('ima:'),
      latin1('verity'),
      none,
      digest('verity:sha256', 31),
    ]) {
      expect(() => parse('ima-ngv2', wrong, nNg)).toThrow(MalformedError)
    }
  })

  it('of SM3 go by both its names', () => {
    expect(fieldsOf('ima-ng', digest('sm3-256', 32), nNg).digest?.algorithm).toBe('sm3')
  })

  it('of 20 zero bytes under another name stand in violations only (IMA-05)', () => {
    const old = concatBytes(latin1('sha256:\0'), new Uint8Array(20))
    const read = (bytes: Uint8Array, violation: boolean) =>
      parseImaTemplate({ template: 'ima-ng', data: dataOf(bytes, nNg) }, { violation, path: 'ima.records.7' })
    expect(read(old, true).fields?.digest).toEqual({ of: 'ima', algorithm: 'sha256', digest: new Uint8Array(20) })
    expect(() => parse('ima-ng', old, nNg)).toThrow(MalformedError)
    expect(() => read(old, false)).toThrow('ima.records.7.d-ng: a sha256 digest of 20 bytes (at byte 4)')
    expect(() => read(old.with(27, 1), true)).toThrow(MalformedError)
    expect(() => read(old.subarray(0, 27), true)).toThrow(MalformedError)
  })

  it('without a name are SHA-1 or MD5 by their length', () => {
    expect(fieldsOf('d|n', bytesOfSize(20), nNg).digest?.algorithm).toBe('sha1')
    expect(fieldsOf('d|n', bytesOfSize(16), nNg).digest?.algorithm).toBe('md5')
    expect(() => parse('d|n', bytesOfSize(32), nNg)).toThrow('ima.d: a digest of 32 bytes')
  })
})

describe('names (IMA-07)', () => {
  it('end in their only NUL', () => {
    expect(fieldsOf('ima-ng', dNg, latin1('\0')).name).toEqual(none)
    expect(fieldsOf('ima-ng', dNg, latin1('/a\nb\xff\0')).name).toEqual(latin1('/a\nb\xff'))
    for (const wrong of ['', '/usr/bin/env', '/usr/bin/env\0x', '/usr/bin/env\0x\0', '/usr/bin/env\0\0']) {
      expect(() => parse('ima-ng', dNg, latin1(wrong))).toThrow('ima.n-ng: does not end in its only NUL (at byte 48)')
    }
  })

  it('are short in the old field only', () => {
    const name = (length: number) => latin1(`${'a'.repeat(length)}\0`)
    expect(fieldsOf('d-ng|n', dNg, name(255)).name).toHaveLength(255)
    expect(() => parse('d-ng|n', dNg, name(256))).toThrow('a name of 257 bytes')
    expect(fieldsOf('ima-ng', dNg, name(5000)).name).toHaveLength(5000)
  })

  it('of the legacy template have no NUL', () => {
    const legacy = (name: string) =>
      parseImaTemplate({ template: 'ima', data: concatBytes(bytesOfSize(20), field(latin1(name))) })
    expect(legacy('/bin/sh').fields).toMatchObject({
      digest: { of: 'ima', algorithm: 'sha1' },
      name: latin1('/bin/sh'),
    })
    expect(() => legacy('/bin/sh\0')).toThrow('ima.n: has a NUL')
    const data = concatBytes(bytesOfSize(20), field(latin1('a')))
    expect(() => parseImaTemplate({ template: 'ima', data: concatBytes(data, Uint8Array.of(1)) })).toThrow('left over')
    expect(() => parseImaTemplate({ template: 'ima', data: data.subarray(0, 24) })).toThrow('needs 1 bytes, has 0')
  })
})

describe('other fields', () => {
  const inode = (uid: Uint8Array, gid: Uint8Array, mode: Uint8Array) => fieldsOf('iuid|igid|imode', uid, gid, mode)

  it('of an inode are numbers, or left out where an event has none', () => {
    const u32 = (value: number) => encode(u32le, value)
    expect(inode(u32(1000), u32(0xffffffff), encode(u16le, 0o104755))).toMatchObject({
      uid: 1000,
      gid: 0xffffffff,
      mode: 0o104755,
    })
    expect(inode(none, none, none)).toMatchObject({ uid: null, gid: null, mode: null })
    expect(() => inode(bytesOfSize(2), none, none)).toThrow('ima.iuid: 2 bytes; must be 4 or none')
    expect(() => inode(none, bytesOfSize(8), none)).toThrow('ima.igid: 8 bytes; must be 4 or none')
    expect(() => inode(none, none, bytesOfSize(4))).toThrow('ima.imode: 4 bytes; must be 2 or none')
  })

  it('of lengths have 4 bytes each', () => {
    expect(fieldsOf('xattrlengths', concatBytes(encode(u32le, 7), encode(u32le, 0))).xattrLengths).toEqual([7, 0])
    expect(fieldsOf('xattrlengths', none).xattrLengths).toEqual([])
    expect(() => parse('xattrlengths', bytesOfSize(5))).toThrow('ima.xattrlengths: 5 bytes; must be a multiple of 4')
  })

  it('of appended signatures may be empty', () => {
    expect(fieldsOf('ima-modsig', dNg, nNg, none, none, none)).toMatchObject({ modsigDigest: null, modsig: none })
    expect(() => parse('ima-modsig', dNg, nNg, none, latin1('x'), none)).toThrow('ima.d-modsig')
  })
})

describe('templates', () => {
  it.each([
    ['ima-ng', [dNg, nNg]],
    ['ima-sig', [dNg, nNg, none]],
    ['ima-buf', [dNg, nNg, latin1('content')]],
    ['evm-sig', [dNg, nNg, none, none, none, none, none, none, none]],
    ['d-ng|n-ng|imode', [dNg, nNg, bytesOfSize(2)]],
  ])('%s is read to the last byte, and not beyond', (template, fields) => {
    expect(parse(template, ...fields).problem).toBeNull()
    const data = dataOf(...fields)
    for (let size = 0; size < data.length; size++) {
      expect(() => parseImaTemplate({ template, data: data.subarray(0, size) })).toThrow(MalformedError)
    }
    expect(() => parseImaTemplate({ template, data: concatBytes(data, Uint8Array.of(0)) })).toThrow(
      'ima: 1 bytes left over',
    )
    expect(() => parse(template, ...fields, none)).toThrow('ima: 4 bytes left over')
  })

  it.each([
    'ima-xyz',
    '',
    '|',
    'd-ng|',
    '|d-ng',
    'd-ng||n-ng',
    'd-ng|n-ng ',
    'd-ng|toString',
    '__proto__',
    'constructor',
    'IMA-NG',
    'd-ng|n-ng|d-ng',
    'd|d-ng',
    'n|n-ng',
    'd-ng|d-ngv2',
    'sig|sig',
    'n-ng',
    'n-ng|d-ng',
    'sig|d-ng',
    'modsig|n-ng|d',
    'd-ng|sig|n-ng',
    'd-ng|n-ng|sig|buf',
    'd-ng|n-ng|buf|sig',
    'd-ng|buf',
    'd|n|sig|buf|d-modsig|modsig|evmsig|xattrnames|xattrlengths|xattrvalues|iuid|igid|imode|sig|sig|sig',
  ])('%j is not known: no fields and a reason (IMA-07)', (template) => {
    expect(imaFieldIds(template)).toBeNull()
    const reading = parseImaTemplate({ template, data: latin1('anything') })
    expect(reading).toEqual({ fields: null, problem: expect.stringContaining('is not known') })
  })

  it('an unknown name is shown escaped and bounded', () => {
    const { problem } = parseImaTemplate({ template: `\x1b[31m${'x'.repeat(250)}`, data: none })
    expect(problem).toBe(`template \\x1b[31m${'x'.repeat(59)} is not known`)
  })

  it('a custom name may be of one field', () => {
    expect(fieldsOf('d-ng', dNg)).toMatchObject({ digest: { algorithm: 'sha256' }, name: null })
    expect(fieldsOf('sig', nNg)).toMatchObject({ digest: null, name: null })
  })

  // The name of a template is covered by no digest: what is known by another name must not gain a meaning.
  it.each([
    ['ima-ng', [dNg, nNg]],
    ['ima-ngv2', [digest('ima:sha256', 32), nNg]],
    ['ima-sig', [dNg, nNg, latin1('\x03\x02')]],
  ])('%s under another name of the table has the same digest and name, or is refused', (own, fields) => {
    const right = fieldsOf(own, ...fields)
    for (const other of ['ima', 'ima-ng', 'ima-ngv2', 'ima-sig', 'ima-sigv2', 'ima-buf', 'ima-modsig', 'evm-sig']) {
      try {
        const read = parse(other, ...fields).fields
        expect([read?.digest, read?.name]).toEqual([right.digest, right.name])
      } catch (error) {
        expect(error).toBeInstanceOf(MalformedError)
      }
    }
  })
})

describe('any bytes', () => {
  const ids: readonly ImaFieldId[] = [
    'd',
    'd-ng',
    'd-ngv2',
    'n',
    'n-ng',
    'sig',
    'buf',
    'd-modsig',
    'modsig',
    'evmsig',
    'xattrnames',
    'xattrlengths',
    'xattrvalues',
    'iuid',
    'igid',
    'imode',
  ]
  const templates = fc.oneof(
    fc.constantFrom('ima', 'ima-ng', 'ima-ngv2', 'ima-sig', 'ima-sigv2', 'ima-buf', 'ima-modsig', 'evm-sig'),
    fc.uniqueArray(fc.constantFrom(...ids), { minLength: 1 }).map((chosen) => chosen.join('|')),
    fc.string({ unit: 'binary', maxLength: 20 }),
  )
  const pieces = fc.constantFrom(
    dNg,
    nNg,
    none,
    digest('verity:sha256', 32),
    bytesOfSize(20),
    bytesOfSize(4),
    bytesOfSize(2),
    latin1('x'),
  )
  const data = fc.oneof(
    fc.uint8Array({ maxLength: 80 }),
    fc.array(pieces, { maxLength: 9 }).map((fields) => dataOf(...fields)),
    fc.tuple(fc.array(pieces, { minLength: 1, maxLength: 5 }), fc.nat(), fc.nat(255)).map(([fields, at, value]) => {
      const bytes = dataOf(...fields)
      return bytes.with(at % bytes.length, value)
    }),
  )

  it('are fields, no fields, or malformed; fields hold no byte that is not in the data', () => {
    fc.assert(
      fc.property(templates, data, fc.boolean(), (template, bytes, violation) => {
        try {
          const { fields } = parseImaTemplate({ template, data: bytes }, { violation })
          const views = Object.values(fields ?? {}).filter((value) => value instanceof Uint8Array)
          expect(views.every((view) => view.buffer === bytes.buffer)).toBe(true)
          expect(views.reduce((sum, view) => sum + view.length, 0)).toBeLessThanOrEqual(bytes.length)
          expect((fields?.xattrLengths ?? []).length * 4).toBeLessThanOrEqual(bytes.length)
        } catch (error) {
          expect(error).toBeInstanceOf(MalformedError)
        }
      }),
      { numRuns: 2000 },
    )
  })

  it('lengths that lie ask for no memory', () => {
    for (const length of [0xffffffff, 0x7fffffff, 44]) {
      const lie = concatBytes(encode(u32le, length), bytesOfSize(43))
      expect(() => parseImaTemplate({ template: 'xattrlengths', data: lie })).toThrow(`needs ${length} bytes, has 43`)
    }
  })
})
