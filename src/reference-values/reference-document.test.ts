import { createHash } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { collected, referenceItem, referenceItems, referenceValues } from '../../test/support/reference-arbitraries.ts'
import { MalformedError } from '../base/errors.ts'
import { areEqual, differences, type ReferenceDifferences } from './differences.ts'
import { digestSet, digestsOf, hexDigest, uniteDigests, withoutDigests } from './digest-set.ts'
import { encodeReferenceItem, encodeReferenceValues, referenceValuesId } from './encode-reference-values.ts'
import { parseReferenceValues, ReferenceParser, readReferenceValues } from './parse-reference-values.ts'
import { joinReferenceValues, ReferenceCollector } from './reference-collector.ts'
import { parseReferenceLine, plainFileForm } from './reference-line.ts'
import type { ReferenceValues } from './reference-values.ts'
import { tpmReferences } from './tpm-references.ts'

const header = { name: 'test', description: null }
const first = '{"format":"attestd.reference-values","version":1,"name":"test"}'
const ones = '1'.repeat(64)
const twos = '2'.repeat(64)
const fileLine = (path: string) => `{"file":"${path}","sha256":["${ones}"]}`
const parse = (...lines: readonly string[]) => parseReferenceValues(Buffer.from([first, ...lines].join('\n')), 'doc')
const encoded = (values: ReferenceValues) => Buffer.concat([...encodeReferenceValues(values, header)])

describe('a document', () => {
  it('says what its lines say, in any order and with empty lines', () => {
    const { header: head, values } = parseReferenceValues(
      Buffer.from(
        [
          '{"format":"attestd.reference-values","version":1,"name":"web","description":"servers"}',
          '',
          `{"file":"/usr/bin/caf\\\\xc3\\\\xa9","sha256":["${twos}","${ones}"]}\r`,
          `{"sha1":["${'a'.repeat(40)}"], "file": "/b"}`,
          `{"files":"/lib/*.so","sha256":["${ones}"]}`,
          '{"exclude":{"prefix":"/tmp/"},"reason":"scratch"}',
          '{"exclude":"/run/**"}',
          `{"key":"${ones}","keyring":".ima"}`,
          `{"buffer":"kexec-cmdline","sha256":["${ones}"]}`,
          `{"pcrs":{"sha256":{"7":["${twos}"],"0":["${ones}"]}},"image":"web-1"}`,
        ].join('\n'),
      ),
      'doc',
    )
    expect(head).toEqual({ name: 'web', description: 'servers' })
    expect(values).toEqual({
      files: new Map([
        ['/usr/bin/caf\xc3\xa9', uniteDigests(hexDigest('sha256', ones), hexDigest('sha256', twos))],
        ['/b', hexDigest('sha1', 'a'.repeat(40))],
      ]),
      patterns: [{ pattern: { kind: 'glob', text: '/lib/*.so' }, digests: hexDigest('sha256', ones) }],
      excludes: [
        { pattern: { kind: 'prefix', text: '/tmp/' }, reason: 'scratch' },
        { pattern: { kind: 'glob', text: '/run/**' }, reason: null },
      ],
      keys: [{ keyring: '.ima', sha256: ones, der: null }],
      buffers: [{ name: 'kexec-cmdline', digests: hexDigest('sha256', ones) }],
      pcrs: [
        {
          image: 'web-1',
          banks: [
            {
              hash: 'sha256',
              pcrs: [
                { pcr: 0, accepted: [ones] },
                { pcr: 7, accepted: [twos] },
              ],
            },
          ],
        },
      ],
    })
  })

  it('unites what names one path twice, and counts it', () => {
    const { values, repeated } = parse(`{"file":"/a","sha256":["${ones}"]}`, `{"file":"/a","sha256":["${twos}"]}`)
    expect(digestsOf(values.files.get('/a') ?? '')).toHaveLength(2)
    expect(repeated).toBe(1)
  })

  it('keeps a key with its DER', () => {
    const der = Buffer.from('some DER')
    const sha256 = createHash('sha256').update(der).digest('hex')
    const { values } = parse(`{"key":"${sha256}","keyring":".ima","der":"${der.toString('base64')}"}`)
    expect(values.keys).toEqual([{ keyring: '.ima', sha256, der: der.toString('base64') }])
  })

  it.each([
    ['{"file":"/a"}', 'has no digest (line 2, column 1)'],
    [`{"file":"/a","sha256":[]}`, 'sha256 is not a list of 1 to 4096 digests (line 2, column 14)'],
    [`{"file":"/a","sha256":"${ones}"}`, 'sha256 is not a list'],
    [`{"file":"/a","sha256":["${'A'.repeat(64)}"]}`, 'sha256 is not a sha256 digest of 64 lower-case'],
    [`{"file":"/a","sha256":["${ones}0"]}`, 'sha256 is not a sha256 digest'],
    [`{"file":"/a","md5":["${ones}"]}`, 'md5 is no member of such a line (line 2, column 14)'],
    [`{"file":"/a","file":"/b","sha256":["${ones}"]}`, 'duplicate member "file" (line 2, column 14)'],
    [`{"file":"/a","sha256":["${ones}"]} x`, 'text behind the end of the document (line 2, column 93)'],
    [`{"file":"","sha256":["${ones}"]}`, 'file is empty'],
    [`{"file":"/\\\\x00","sha256":["${ones}"]}`, 'or has a NUL (line 2, column 2)'],
    [
      `{"file":"/é","sha256":["${ones}"]}`,
      'file has a character beyond printable ASCII; write each of its bytes as \\\\xNN (line 2',
    ],
    [`{"file":"/\\\\x41","sha256":["${ones}"]}`, 'file is not an escaped name in its one form (line 2, column 2)'],
    [`{"file":7,"sha256":["${ones}"]}`, 'file is not a text'],
    [`{"files":"/[","sha256":["${ones}"]}`, "files '[' without its ']' (character 2 of the pattern) (line 2"],
    [`{"files":["/a"],"sha256":["${ones}"]}`, 'files is neither a glob nor'],
    ['{"exclude":{"prefix":"/a","reason":"x"}}', 'reason is no member'],
    ['{"exclude":"/a","reason":""}', 'reason is empty'],
    ['{"exclude":"/a","reason":"\\u0007"}', 'or has control characters'],
    [`{"key":"${ones}"}`, 'keyring is missing'],
    [`{"key":"ab","keyring":".ima"}`, 'key is not a sha256 digest'],
    [`{"key":"${ones}","keyring":".ima","der":"AA=="}`, 'der is another key than the SHA-256'],
    [`{"key":"${ones}","keyring":".ima","der":"A"}`, 'der is not standard base64'],
    [`{"pcrs":{"sha256":{"24":["${ones}"]}},"image":"x"}`, '24 is not a PCR from 0 to 23'],
    [`{"pcrs":{"sha256":{"07":["${ones}"]}},"image":"x"}`, '07 is not a PCR'],
    [`{"pcrs":{"sha224":{"0":["${ones}"]}},"image":"x"}`, 'sha224 is no member'],
    [`{"pcrs":{"sha384":{"0":["${ones}"]}},"image":"x"}`, '0 is not a sha384 digest'],
    ['{"pcrs":{"sha256":{}},"image":"x"}', 'pcrs names no PCR'],
    [`{"pcrs":{"sha256":{"0":["${ones}"]}}}`, 'image is missing'],
    ['{"path":"/a"}', 'is none of file, files, exclude, key, buffer, pcrs'],
    ['[]', 'is not a JSON object'],
    ['{"file":', 'ends too early (line 2, column 9)'],
    ['{"pcrs":{"sha256":["0"]},"image":"x"}', 'sha256 is not an object of PCRs'],
    ['{"pcrs":["sha256"],"image":"x"}', 'pcrs is not an object of banks'],
    [`{"key":"${ones}","keyring":".ima","der":7}`, 'der is not a text of a key in DER'],
  ])('refuses %s', (line, says) => {
    expect(() => parse(line)).toThrow(MalformedError)
    expect(() => parse(line)).toThrow(says)
  })

  it('takes names, texts and lists of the greatest length, and no greater ones', () => {
    const name = (length: number) => `{"file":"\\\\\\\\${'a'.repeat(length - 1)}","sha256":["${ones}"]}`
    expect([...parse(name(4096)).values.files.keys()][0]).toHaveLength(4096)
    expect(() => parse(name(4097))).toThrow('longer than 4096 bytes')
    expect(parse(fileLine('a'.repeat(4096))).values.files.size).toBe(1)
    expect(() => parse(fileLine('a'.repeat(4097)))).toThrow('longer than 4096 bytes')
    const der = (size: number) => {
      const bytes = Buffer.alloc(size)
      const sha256 = createHash('sha256').update(bytes).digest('hex')
      return `{"key":"${sha256}","keyring":".ima","der":"${bytes.toString('base64')}"}`
    }
    expect(parse(der(12_288)).values.keys).toHaveLength(1)
    expect(() => parse(der(12_289))).toThrow('der is not a text of a key in DER')
    const reason = (length: number) => `{"exclude":"/a","reason":"${'r'.repeat(length)}"}`
    expect(parse(reason(1024)).values.excludes[0]?.reason).toHaveLength(1024)
    expect(() => parse(reason(1025))).toThrow('longer than 1024 characters')
    const digests = (count: number) =>
      JSON.stringify({
        file: '/a',
        sha1: Array.from({ length: count }, (_none, at) => at.toString(16).padStart(40, '0')),
      })
    expect(digestsOf(parse(digests(4096)).values.files.get('/a') ?? '')).toHaveLength(4096)
    expect(() => parse(digests(4097))).toThrow('list of 1 to 4096 digests')
  })

  it('has as many files and other items as it may, and no more', () => {
    const lines = [first, fileLine('/a'), fileLine('/b'), fileLine('/b'), '{"exclude":"/x"}', '{"exclude":"/y"}', '']
    const bytes = Buffer.from(lines.join('\n'))
    const read = (limits: { files: number; others: number }) => {
      const parser = new ReferenceParser('doc', limits)
      parser.add(bytes)
      return parser.end().values
    }
    expect(read({ files: 2, others: 2 }).files.size).toBe(2)
    expect(() => read({ files: 1, others: 2 })).toThrow('is one file too many: a document has 1 (line 3, column 1)')
    expect(() => read({ files: 2, others: 1 })).toThrow('is one item too many: a document has 1 beside files (line 6')
  })

  it('has no more patterns than one matcher holds, and neither have several together', () => {
    const lines = (count: number, from = 0) =>
      Array.from({ length: count }, (_none, at) => `{"exclude":"/${'a'.repeat(4000)}${at + from}"}`)
    expect(() => parse(...lines(66))).toThrow('doc: its patterns: take more than 262144 steps together')
    const parts = [parse(...lines(40)).values, parse(...lines(40, 40)).values]
    expect(() => tpmReferences(joinReferenceValues(parts), [1, 2])).toThrow(MalformedError)
  })

  it('counts lines whatever they hold', () => {
    expect(() => parse(`{"file":"/a","sha256":["${ones}"]}`, '', '{"exclude":"/a"}', '{"files":3}')).toThrow('(line 5,')
  })

  it.each([
    ['', 'is empty, without its first line'],
    ['\n', 'ends too early'],
    [`${fileLine('/a')}\n${first}`, 'format is not "attestd.reference-values"'],
    ['{"format":"attestd.policy","version":1,"name":"x"}', 'format is not "attestd.reference-values"'],
    ['{"format":"attestd.reference-values","version":2,"name":"x"}', 'version is not 1 (line 1, column 38)'],
    ['{"format":"attestd.reference-values","version":1}', 'name is missing'],
    ['{"format":"attestd.reference-values","version":1,"name":"x","id":1}', 'id is no member'],
    ['\ufeff{"format":"attestd.reference-values","version":1,"name":"x"}', 'byte order mark'],
  ])('with the first line %j is refused', (text, says) => {
    expect(() => parseReferenceValues(Buffer.from(text), 'doc')).toThrow(says)
  })

  it('refuses what is no UTF-8, naming the line', () => {
    expect(() => parseReferenceValues(Buffer.from(`${first}\n{"exclude":"\xff"}`, 'latin1'), 'doc')).toThrow(
      'doc line 2',
    )
  })

  it('takes a line of one MiB, and none that is longer, ended or not', () => {
    const line = (length: number) => `{"exclude":"/a"}${' '.repeat(length - 16)}`
    expect(parse(line(1 << 20)).values.excludes).toHaveLength(1)
    expect(() => parse(line((1 << 20) + 1))).toThrow('is longer than 1048576 bytes (line 2')
    expect(() => parse(line((1 << 20) + 1), '')).toThrow('is longer than 1048576 bytes (line 2')
  })

  it('is read as it arrives, cut anywhere, in memory that is used again', async () => {
    const document = encoded(
      parse(`{"file":"/a","sha256":["${ones}"]}`, `{"file":"/b","sha256":["${twos}"]}`, '{"exclude":"/tmp/**"}').values,
    )
    for (const size of [1, 7, 64, 1000]) {
      const buffer = new Uint8Array(size)
      const chunks = async function* () {
        for (let at = 0; at < document.length; at += size) {
          const part = document.subarray(at, at + size)
          buffer.set(part)
          yield buffer.subarray(0, part.length)
        }
      }
      const { values } = await readReferenceValues(chunks(), 'doc')
      expect(encoded(values)).toEqual(document)
    }
  })
})

describe('many digests of one path', () => {
  const setOf = (count: number) =>
    Array.from({ length: count }, (_none, at) => hexDigest('sha256', at.toString(16).padStart(64, '0'))).join('')
  const header = { name: 'many', description: null }
  const valuesOf = (digests: string) => {
    const collector = new ReferenceCollector()
    collector.add({ kind: 'file', path: '/a', digests })
    collector.add({ kind: 'files', pattern: { kind: 'glob', text: '/b*' }, digests })
    collector.add({ kind: 'buffer', name: 'c', digests })
    return collector.build()
  }

  it.each([4096, 4097, 9000])('are written in lines that can be read: %i', (count) => {
    const values = valuesOf(setOf(count))
    const document = Buffer.concat([...encodeReferenceValues(values, header)])
    expect(document.toString().split('\n')).toHaveLength(2 + 3 * Math.ceil(count / 4096))
    expect(parseReferenceValues(document, 'x').values).toEqual(values)
  })

  it('are refused where there are so many that every further one takes long', () => {
    const most = setOf(16_384)
    const collector = new ReferenceCollector()
    collector.addFile('/\x1b', most)
    expect(() => collector.addFile('/\x1b', hexDigest('sha256', 'f'.repeat(64)))).toThrow('/\\x1b: has more than')
  })

  it('are united in whatever order they come', () => {
    const digest = fc.oneof(
      fc.constantFrom('0', '1', '2', '3').map((digit) => hexDigest('sha256', digit.repeat(64))),
      fc.constantFrom('0', '1').map((digit) => hexDigest('sha512', digit.repeat(128))),
      fc.constantFrom('2', '3').map((digit) => hexDigest('sha1', digit.repeat(40))),
    )
    fc.assert(
      fc.property(fc.array(digest, { maxLength: 12 }), (digests) => {
        const byOne = digests.reduce((set, next) => uniteDigests(set, next), '')
        expect(byOne).toBe([...new Set(digests)].sort().join(''))
      }),
    )
  })
})

describe('encoding', () => {
  it('and parsing give the same again', () => {
    fc.assert(
      fc.property(referenceValues, (values) => {
        const document = encoded(values)
        const again = parseReferenceValues(document, 'doc')
        expect(again.repeated).toBe(0)
        expect(encoded(again.values)).toEqual(document)
        expect(areEqual(differences(values, again.values))).toBe(true)
      }),
    )
  })

  it('does not depend on the order or on how it was split into documents, and neither does the id', () => {
    fc.assert(
      fc.property(referenceItems, referenceItems, (some, others) => {
        const whole = collected([...some, ...others])
        const joined = joinReferenceValues([collected(others.toReversed()), collected(some.toReversed())])
        expect(encoded(joined)).toEqual(encoded(whole))
        expect(referenceValuesId(joined)).toBe(referenceValuesId(whole))
      }),
    )
  })

  it('has an id that is the SHA-256 of everything but the first line', () => {
    fc.assert(
      fc.property(referenceValues, (values) => {
        const document = encoded(values)
        const behind = document.subarray(document.indexOf(0x0a) + 1)
        expect(referenceValuesId(values)).toBe(createHash('sha256').update(behind).digest('hex'))
      }),
    )
  })

  it('of a plain file is read alike without and with a reader of JSON', () => {
    fc.assert(
      fc.property(referenceItem, (item) => {
        const text = encodeReferenceItem(item)
        const strict = parseReferenceLine({ document: 'doc', number: 2, text })
        expect(encodeReferenceItem(strict)).toBe(text)
        if (plainFileForm.test(text)) expect(parse(text).values.files).toEqual(collected([strict]).files)
      }),
    )
  })

  it.each([`{"file":"/a b","sha256":["${ones}"]}`, `{"file":"/~[]","sha256":["${ones}"]}`])(
    '%s needs no reader of JSON',
    (text) => {
      expect(plainFileForm.test(text)).toBe(true)
      expect(encodeReferenceItem(parseReferenceLine({ document: 'doc', number: 2, text }))).toBe(text)
    },
  )
})

describe('sets of digests', () => {
  it('unite and part as sets do', () => {
    const one = fc.constantFrom('00', '01', '02', '03').map((byte) => hexDigest('sha256', byte.repeat(32)))
    const set = fc.array(one, { maxLength: 4 }).map((sets) => uniteDigests(...sets))
    fc.assert(
      fc.property(set, set, (left, right) => {
        const keys = (digests: string) => new Set(digestsOf(digests).map(({ digest }) => digest[0]))
        expect(keys(uniteDigests(left, right))).toEqual(new Set([...keys(left), ...keys(right)]))
        expect(uniteDigests(withoutDigests(left, right), right)).toBe(uniteDigests(left, right))
        expect(digestSet(digestsOf(left))).toBe(left)
      }),
    )
  })
})

function applied(before: ReferenceValues, { files, others }: ReferenceDifferences): ReferenceValues {
  const collector = new ReferenceCollector()
  const changed = new Map(files.changed.map((change) => [change.path, change]))
  for (const [path, digests] of before.files) {
    if (files.removed.has(path)) continue
    const { added = '', removed = '' } = changed.get(path) ?? {}
    collector.addFile(path, uniteDigests(withoutDigests(digests, removed), added))
  }
  for (const [path, digests] of files.added) collector.addFile(path, digests)
  const gone = new Set(others.removed.map(encodeReferenceItem))
  const { patterns, excludes, keys, buffers, pcrs } = before
  const items = [
    ...patterns.map((item) => ({ kind: 'files' as const, ...item })),
    ...excludes.map((item) => ({ kind: 'exclude' as const, ...item })),
    ...keys.map((item) => ({ kind: 'key' as const, ...item })),
    ...buffers.map((item) => ({ kind: 'buffer' as const, ...item })),
    ...pcrs.map((item) => ({ kind: 'pcrs' as const, ...item })),
  ]
  for (const item of items) if (!gone.has(encodeReferenceItem(item))) collector.add(item)
  for (const item of others.added) collector.add(item)
  return collector.build()
}

describe('differences', () => {
  it('of values with themselves are none', () => {
    fc.assert(fc.property(referenceValues, (values) => areEqual(differences(values, values))))
  })

  it('applied to the values before give those after, and none are missed', () => {
    fc.assert(
      fc.property(referenceValues, referenceValues, (before, after) => {
        const found = differences(before, after)
        expect(encoded(applied(before, found))).toEqual(encoded(after))
        expect(areEqual(found)).toBe(referenceValuesId(before) === referenceValuesId(after))
      }),
    )
  })

  it('name a path once, as added, removed or changed', () => {
    const before = parse(`{"file":"/a","sha256":["${ones}"]}`, `{"file":"/b","sha256":["${ones}"]}`).values
    const after = parse(`{"file":"/b","sha256":["${twos}"]}`, `{"file":"/c","sha256":["${ones}"]}`).values
    const { files } = differences(before, after)
    expect([...files.added.keys()]).toEqual(['/c'])
    expect([...files.removed.keys()]).toEqual(['/a'])
    expect(files.changed).toEqual([
      { path: '/b', added: hexDigest('sha256', twos), removed: hexDigest('sha256', ones) },
    ])
  })
})

describe('reference values for appraisals', () => {
  it('have the id of the document, and a part for IMA where something is asked of it', () => {
    const { values } = parse(fileLine('/a'), '{"exclude":"/tmp/**"}')
    const references = tpmReferences(values, [1, 2])
    expect(references.id).toBe(referenceValuesId(values))
    expect(references.ima).toMatchObject({ exclude: values.excludes, patterns: [], keys: [], buffers: [] })
    expect(references.ima?.files.entries).toBe(1)
    expect(references.ima?.templates?.['ima-sig'].filter((word) => word !== 0).length).toBeGreaterThan(4)
    // To another thread and back, without a copy of the table.
    expect(structuredClone(references)).toEqual(references)
    expect(structuredClone(references).ima?.files.arena.buffer).toBeInstanceOf(SharedArrayBuffer)
  })

  it.each([
    [`{"files":"/a","sha256":["${ones}"]}`, true],
    [`{"key":"${ones}","keyring":".ima"}`, true],
    [`{"buffer":"x","sha256":["${ones}"]}`, true],
    ['{"exclude":"/tmp/**"}', false],
    [`{"pcrs":{"sha256":{"0":["${ones}"]}},"image":"x"}`, false],
  ])('of %s alone ask of IMA: %s', (line, asks) => {
    expect(tpmReferences(parse(line).values, [1, 2]).ima !== null).toBe(asks)
  })
})
