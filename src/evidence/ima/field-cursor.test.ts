import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { concatBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { FieldCursor } from './field-cursor.ts'
import { ImaCursor } from './ima-cursor.ts'
import { parseImaTemplate } from './ima-template.ts'

const u32 = (value: number) => Uint8Array.of(value, value >>> 8, value >>> 16, value >>> 24)
const text = (value: string) => Uint8Array.from(value, (letter) => letter.charCodeAt(0))
const sized = (bytes: Uint8Array) => concatBytes(u32(bytes.length), bytes)
const record = (template: string, data: Uint8Array) =>
  concatBytes(u32(10), new Uint8Array(20).fill(1), sized(text(template)), template === 'ima' ? data : sized(data))

const cut = (bytes: Uint8Array, start: number, end: number) => (start < 0 ? null : bytes.slice(start, end))

/** The fields by offsets, or the message of the refusal. */
function byCursor(cursor: ImaCursor, fields: FieldCursor): unknown {
  try {
    const problem = fields.read(cursor)
    if (problem !== null) return problem
    const { bytes } = cursor
    return {
      name: cut(bytes, fields.nameAt, fields.nameEnd),
      signature: cut(bytes, fields.signatureAt, fields.signatureEnd),
      digest: fields.digestAt < 0 ? null : [fields.algorithm, bytes[fields.digestAt]],
      hasBuffer: fields.bufferAt >= 0,
    }
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

function byObjects(cursor: ImaCursor): unknown {
  const { template, bytes, dataAt, end, index } = cursor
  try {
    const path = `ima.records.${index}`
    const { fields, problem } = parseImaTemplate({ template, data: bytes.subarray(dataAt, end) }, { path })
    if (fields === null) return problem
    const { name, signature, digest, buffer } = fields
    return {
      name: name && Uint8Array.from(name),
      signature: signature && Uint8Array.from(signature),
      digest: digest && [digest.algorithm, digest.digest[0]],
      hasBuffer: buffer !== null,
    }
  } catch (error) {
    if (error instanceof MalformedError) return error.message
    throw error
  }
}

/** One cursor for all records: what it remembers of one must not show in the next. */
function requireSame(log: Uint8Array): number {
  const cursor = new ImaCursor(log, 'sha1', 10_000)
  const fields = new FieldCursor()
  let records = 0
  for (; cursor.next(); records++) expect(byCursor(cursor, fields)).toEqual(byObjects(cursor))
  return records
}

describe('fields by offsets', () => {
  const algorithm = fc.constantFrom(
    'sha256:\0',
    'sha1:\0',
    'md5:\0',
    'sha512:\0',
    'none:\0',
    ':\0',
    '\0',
    'sha256:',
    '',
  )
  const kind = fc.constantFrom('', 'ima:', 'verity:', 'ima', 'x:')
  const size = fc.constantFrom(0, 1, 16, 20, 32, 64)
  const digest = fc
    .tuple(kind, algorithm, size)
    .map(([of, name, length]) => concatBytes(text(of + name), new Uint8Array(length).fill(7)))
  const name = fc
    .tuple(fc.uint8Array({ maxLength: 9 }), fc.boolean())
    .map(([bytes, ends]) => concatBytes(bytes, new Uint8Array(ends ? 1 : 0)))
  const field = fc.oneof(digest, name, fc.uint8Array({ maxLength: 5 }))
  const data = fc.oneof(
    fc.tuple(digest, name).map(([one, two]) => concatBytes(sized(one), sized(two))),
    fc.tuple(digest, name, field).map((fields) => concatBytes(...fields.map(sized))),
    fc
      .tuple(fc.array(field, { maxLength: 4 }), fc.uint8Array({ maxLength: 3 }))
      .map(([fields, rest]) => concatBytes(...fields.map(sized), rest)),
    fc.uint8Array({ maxLength: 30 }),
  )
  const template = fc.constantFrom(
    'ima-ng',
    'ima-sig',
    'ima-buf',
    'ima-ngv2',
    'ima-sigv2',
    'd-ng|n-ng',
    'n-ng|d-ng',
    'd-ng',
    'd-ng|n-ng|imode',
    'x',
  )

  it('are those of the parser with objects, and refused as there, one record after the other', () => {
    fc.assert(
      fc.property(fc.array(fc.tuple(template, data), { maxLength: 6 }), (records) => {
        requireSame(concatBytes(...records.map(([one, bytes]) => record(one, bytes))))
      }),
      { numRuns: 2000 },
    )
  })

  it.skipIf(!haveVectors).each(['sequence/s2.ima.bin', 'guest/ima.g2.bin', 'ima/legacy-template.bin'])(
    'of %s',
    (file) => {
      expect(requireSame(vector(`tpm/${file}`))).toBeGreaterThan(5)
    },
  )

  it('of a digest that is nothing but a NUL there are none', () => {
    const cursor = new ImaCursor(record('ima-ng', concatBytes(sized(text('\0')), sized(text('/a\0')))), 'sha1', 1)
    cursor.next()
    expect(() => new FieldCursor().read(cursor)).toThrow(MalformedError)
  })
})
