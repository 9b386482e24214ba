import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { AttestdError, MalformedError } from '../../base/errors.ts'
import { type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import { type HashName, hashAlgorithms, hashNames } from './algorithms.ts'
import type { TpmEvidence } from './evidence.ts'
import { encodeTpmEvidence, parseTpmEvidence, tpmEvidenceLimits } from './evidence-json.ts'

const base64 = (size: number, fill = 7) => Buffer.alloc(size, fill).toString('base64')
const pem = `-----BEGIN CERTIFICATE-----\n${'QUJD'.repeat(16)}\nQUI=\n-----END CERTIFICATE-----\n`

/** A whole container, as parsed JSON; `edit` may change anything in it. */
function container(edit: (whole: JsonObject) => void = () => {}): JsonObject {
  const whole: JsonObject = {
    version: 1,
    ak: { public: base64(90), certificate: pem },
    ek: { public: base64(314), certificate: base64(1000), chain: [base64(10)] },
    quotes: [
      {
        attest: base64(145),
        signature: base64(72),
        pcrs: { sha256: { '0': '0a'.repeat(32), '10': '1f'.repeat(32) }, sha1: { '23': '00'.repeat(20) } },
      },
    ],
    eventlog: base64(100),
    ima: { format: 'binary', from: 3, column: 'sha256', data: base64(50) },
    hints: { simulated: true, kernelCmdline: 'quiet', anything: [1, { at: 'all' }] },
  }
  edit(whole)
  return whole
}

type Step = string | number
/** Sets the member at a path; `undefined` removes it. */
function editAt(path: readonly Step[], value: JsonValue | undefined) {
  return (whole: JsonObject) => {
    let at = whole as Record<Step, JsonValue>
    for (const step of path.slice(0, -1)) at = at[step] as Record<Step, JsonValue>
    const last = path.at(-1) ?? ''
    if (value === undefined) delete at[last]
    else at[last] = value
  }
}

function problemOf(input: string | Uint8Array | JsonObject): string {
  try {
    parseTpmEvidence(input)
  } catch (error) {
    expect(error).toBeInstanceOf(MalformedError)
    return (error as Error).message
  }
  return 'accepted'
}

describe('a TPM evidence container', () => {
  it('is read from text, bytes and a parsed object alike', () => {
    const text = JSON.stringify(container())
    const evidence = parseTpmEvidence(container())
    expect(parseTpmEvidence(text)).toEqual(evidence)
    expect(parseTpmEvidence(new TextEncoder().encode(text))).toEqual(evidence)
    expect(evidence.ak.publicArea).toEqual(new Uint8Array(90).fill(7))
    expect(evidence.ek.chain).toHaveLength(1)
    expect(evidence.quotes[0]?.pcrs.get('sha256')?.get(10)).toEqual(new Uint8Array(32).fill(0x1f))
    expect(evidence.quotes[0]?.pcrs.get('sha1')?.get(23)).toEqual(new Uint8Array(20))
    expect(evidence.ima).toMatchObject({ from: 3, column: 'sha256' })
    expect(evidence.simulated).toBe(true)
  })

  it.each<[string, readonly Step[]]>([
    ['ak.certificate', ['ak', 'certificate']],
    ['ek', ['ek']],
    ['ek.public', ['ek', 'public']],
    ['ek.certificate', ['ek', 'certificate']],
    ['ek.chain', ['ek', 'chain']],
    ['eventlog', ['eventlog']],
    ['ima', ['ima']],
  ])('takes %s as null or absent, which is the same', (_name, path) => {
    const [asNull, absent] = [container(editAt(path, null)), container(editAt(path, undefined))]
    expect(parseTpmEvidence(asNull)).toEqual(parseTpmEvidence(absent))
    expect(parseTpmEvidence(absent)).not.toEqual(parseTpmEvidence(container()))
  })

  it('has a SHA-1 column and no simulator unless it says so', () => {
    const evidence = parseTpmEvidence(
      container((whole) => {
        editAt(['ima', 'column'], undefined)(whole)
        editAt(['hints'], undefined)(whole)
      }),
    )
    expect(evidence.ima?.column).toBe('sha1')
    expect(evidence.simulated).toBe(false)
  })

  it('may hold an IMA part without records', () => {
    expect(parseTpmEvidence(container(editAt(['ima', 'data'], ''))).ima?.data).toEqual(new Uint8Array())
  })
})

const quote = (member: Step, ...more: readonly Step[]): readonly Step[] => ['quotes', 0, member, ...more]

describe('what is not exactly version 1 is refused, by the path of the member', () => {
  it.each<[readonly Step[], JsonValue | undefined, string]>([
    [['version'], 2, 'evidence.version: must be 1'],
    [['version'], '1', 'evidence.version: must be 1'],
    [['version'], undefined, 'evidence.version: must be 1'],
    [['surplus'], 1, 'evidence: has the unknown member "surplus"'],
    [['aa_eventlog'], null, 'evidence: has the unknown member "aa_eventlog"'],
    [['ak'], undefined, 'evidence.ak: is missing'],
    [['ak'], [], 'evidence.ak: is not an object'],
    [['ak', 'name'], 'x', 'evidence.ak: has the unknown member "name"'],
    [['ak', 'public'], undefined, 'evidence.ak.public: is missing'],
    [['ak', 'public'], null, 'evidence.ak.public: is not a string'],
    [['ak', 'public'], '', 'evidence.ak.public: is empty'],
    [['ak', 'public'], 'AA', 'evidence.ak.public: is not standard base64'],
    [['ak', 'public'], 'AB==', 'evidence.ak.public: is not standard base64'],
    [['ak', 'public'], 'AA==\n', 'evidence.ak.public: is not standard base64'],
    [['ak', 'public'], 'A_8=', 'evidence.ak.public: is not standard base64'],
    [['ak', 'certificate'], base64(90), 'evidence.ak.certificate: is not one certificate in PEM form'],
    [['ak', 'certificate'], `${pem}${pem}`, 'evidence.ak.certificate: is not one certificate in PEM form'],
    [['ak', 'certificate'], `${'\n'.repeat(9000)}${pem}`, 'evidence.ak.certificate: is longer than 8192'],
    [['ek'], 'x', 'evidence.ek: is not an object'],
    [['ek', 'name'], 'x', 'evidence.ek: has the unknown member "name"'],
    [['ek', 'public'], '', 'evidence.ek.public: is empty'],
    [['ek', 'certificate'], 5, 'evidence.ek.certificate: is not a string'],
    [['ek', 'chain'], {}, 'evidence.ek.chain: is not an array'],
    [['ek', 'chain', 0], null, 'evidence.ek.chain.0: is not a string'],
    [['quotes'], undefined, 'evidence.quotes: is missing'],
    [['quotes'], {}, 'evidence.quotes: is not an array'],
    [['quotes'], [], 'evidence.quotes: has 0 items'],
    [['quotes', 1], 'x', 'evidence.quotes.1: is not an object'],
    [quote('label'), 'x', 'evidence.quotes.0: has the unknown member "label"'],
    [quote('attest'), '', 'evidence.quotes.0.attest: is empty'],
    [quote('attest'), '*', 'evidence.quotes.0.attest: is not standard base64'],
    [quote('signature'), undefined, 'evidence.quotes.0.signature: is missing'],
    [quote('pcrs'), undefined, 'evidence.quotes.0.pcrs: is missing'],
    [quote('pcrs', 'SHA256'), {}, 'evidence.quotes.0.pcrs: has the unknown member "SHA256"'],
    [quote('pcrs', 'sm3_256'), {}, 'evidence.quotes.0.pcrs: has the unknown member "sm3_256"'],
    [quote('pcrs', 'sha1'), [], 'evidence.quotes.0.pcrs.sha1: is not an object'],
    [quote('pcrs', 'sha1', '01'), '00', 'evidence.quotes.0.pcrs.sha1: has the member "01"'],
    [quote('pcrs', 'sha1', '24'), '00', 'evidence.quotes.0.pcrs.sha1: has the member "24"'],
    [quote('pcrs', 'sha1', '-1'), '00', 'evidence.quotes.0.pcrs.sha1: has the member "-1"'],
    [quote('pcrs', 'sha1', ' 1'), '00', 'evidence.quotes.0.pcrs.sha1: has the member " 1"'],
    [quote('pcrs', 'sha1', '1e0'), '00', 'evidence.quotes.0.pcrs.sha1: has the member "1e0"'],
    [quote('pcrs', 'sha1', '23'), 'AB'.repeat(20), 'evidence.quotes.0.pcrs.sha1.23: is not lower-case hexadecimal'],
    [quote('pcrs', 'sha1', '23'), '0'.repeat(39), 'evidence.quotes.0.pcrs.sha1.23: is not lower-case hexadecimal'],
    [quote('pcrs', 'sha1', '23'), '00'.repeat(19), 'evidence.quotes.0.pcrs.sha1.23: has 19 bytes'],
    [quote('pcrs', 'sha1', '23'), '00'.repeat(21), 'evidence.quotes.0.pcrs.sha1.23: is longer than 40'],
    [quote('pcrs', 'sha1', '23'), null, 'evidence.quotes.0.pcrs.sha1.23: is not a string'],
    [['eventlog'], '', 'evidence.eventlog: is empty'],
    [['ima', 'format'], 'ascii', 'evidence.ima.format: must be "binary"'],
    [['ima', 'format'], undefined, 'evidence.ima.format: must be "binary"'],
    [['ima', 'from'], undefined, 'evidence.ima.from: is not a count'],
    [['ima', 'from'], -1, 'evidence.ima.from: is not a count'],
    [['ima', 'from'], 0.5, 'evidence.ima.from: is not a count'],
    [['ima', 'from'], 2 ** 53, 'evidence.ima.from: is not a count'],
    [['ima', 'column'], 'md5', 'evidence.ima.column: is not one of'],
    [['ima', 'column'], 'toString', 'evidence.ima.column: is not one of'],
    [['ima', 'column'], null, 'evidence.ima.column: is not one of'],
    [['ima', 'data'], undefined, 'evidence.ima.data: is missing'],
    [['ima', 'count'], 1, 'evidence.ima: has the unknown member "count"'],
    [['hints'], null, 'evidence.hints: is not an object'],
    [['hints'], true, 'evidence.hints: is not an object'],
    [['hints', 'simulated'], 'true', 'evidence.hints.simulated: is not true or false'],
  ])('%j = %j', (path, value, says) => {
    expect(problemOf(container(editAt(path, value)))).toContain(says)
  })

  it.each([
    ['duplicate members', '{"version":1,"version":1}', 'duplicate member'],
    ['a number with a fraction', JSON.stringify(container()).replace('"from":3', '"from":3.0'), 'not an integer'],
    ['an array', '[]', 'is not a JSON object'],
    ['nothing', '', 'ends too early'],
    ['deep hints', `{"version":1,"hints":${'['.repeat(9)}`, 'nested deeper'],
  ])('%s', (_what, text, says) => {
    expect(problemOf(text)).toContain(says)
  })

  it('does not take a member of the prototype for its own', () => {
    expect(problemOf('{"__proto__":{"version":1}}')).toContain('unknown member "__proto__"')
  })
})

describe('limits (EVD-05), at n and n + 1', () => {
  const { attest, signature, publicArea, certificate, eventLog } = tpmEvidenceLimits
  it.each<[readonly Step[], number]>([
    [['ak', 'public'], publicArea],
    [['ek', 'public'], publicArea],
    [['ek', 'certificate'], certificate],
    [['ek', 'chain', 0], certificate],
    [quote('attest'), attest],
    [quote('signature'), signature],
    [['eventlog'], eventLog],
  ])('%j may have %i bytes', (path, size) => {
    expect(problemOf(container(editAt(path, base64(size))))).toBe('accepted')
    expect(problemOf(container(editAt(path, base64(size + 1))))).toMatch(/has \d+ bytes, may have|is longer than/)
    expect(problemOf(container(editAt(path, base64(size + 3))))).toContain('is longer than')
  })

  it('four certificates in the chain, four quotes', () => {
    const times = (count: number, item: JsonValue | undefined) => Array.from({ length: count }, () => item ?? null)
    const [one] = (container()['quotes'] ?? []) as JsonValue[]
    expect(problemOf(container(editAt(['ek', 'chain'], times(4, base64(1)))))).toBe('accepted')
    expect(problemOf(container(editAt(['ek', 'chain'], times(5, base64(1)))))).toContain('has 5 items')
    expect(problemOf(container(editAt(['quotes'], times(4, one))))).toBe('accepted')
    expect(problemOf(container(editAt(['quotes'], times(5, one))))).toContain('has 5 items')
  })

  it('2048 values in the document, hints included', () => {
    const withHints = (count: number) => {
      const hints = Array.from({ length: count }, () => '{}').join()
      return `{"version":1,"hints":{"a":[${hints}]},"quotes":[]}`
    }
    expect(problemOf(withHints(2043))).toContain('evidence.quotes')
    expect(problemOf(withHints(2044))).toContain('more than 2048 values')
  })

  it('are the numbers of the specification (EVD-05, SVC-40)', () => {
    const { document, attest, signature, publicArea, certificate, chain, quotes, eventLog } = tpmEvidenceLimits
    expect([document, eventLog]).toEqual([33_554_432, 2_097_152])
    expect([attest, signature, publicArea, certificate, chain, quotes]).toEqual([2304, 1024, 1024, 4096, 4, 4])
  })

  it('an IMA log that fills the document', () => {
    const { ima, document } = tpmEvidenceLimits
    const whole = container(editAt(['ima', 'data'], base64(ima)))
    expect(problemOf(whole)).toBe('accepted')
    expect(problemOf(container(editAt(['ima', 'data'], base64(ima + 1))))).toContain('evidence.ima.data')
    expect(problemOf(`${' '.repeat(document)}{}`)).toContain('evidence: is longer than')
  })
})

const bytes = (min: number, max: number) => fc.uint8Array({ minLength: min, maxLength: max })
const bank = (hash: HashName) => {
  const { size } = hashAlgorithms[hash]
  const values = fc.uniqueArray(fc.tuple(fc.integer({ min: 0, max: 23 }), bytes(size, size)), {
    selector: ([pcr]) => pcr,
  })
  return values.map((list) => [hash, new Map(list)] as const)
}
const evidences: fc.Arbitrary<TpmEvidence> = fc
  .record({
    ak: fc.record({ publicArea: bytes(1, 99), certificate: fc.constantFrom(null, pem) }),
    ek: fc.record({
      publicArea: fc.option(bytes(1, 99)),
      certificate: fc.option(bytes(1, 99)),
      chain: fc.array(bytes(1, 9), { maxLength: 4 }),
    }),
    quotes: fc.array(
      fc.record({
        attest: bytes(1, 99),
        signature: bytes(1, 99),
        pcrs: fc.subarray(hashNames).chain((names) => fc.tuple(...names.map(bank)).map((banks) => new Map(banks))),
      }),
      { minLength: 1, maxLength: 4 },
    ),
    eventLog: fc.option(bytes(1, 99)),
    ima: fc.option(fc.record({ from: fc.nat(), column: fc.constantFrom(...hashNames), data: bytes(0, 99) })),
    simulated: fc.boolean(),
  })
  .chain((evidence) =>
    fc
      .option(fc.string({ unit: 'grapheme', maxLength: 50 }))
      .map((line) => (line === null || line.includes('\0') ? evidence : { ...evidence, kernelCmdline: line })),
  )

describe('encoding', () => {
  it('is read back to the same evidence, as object and as text, and writes the same again', () => {
    fc.assert(
      fc.property(evidences, (evidence) => {
        const encoded = encodeTpmEvidence(evidence)
        expect(parseTpmEvidence(encoded)).toEqual(evidence)
        const text = JSON.stringify(encoded)
        expect(parseTpmEvidence(text)).toEqual(evidence)
        expect(JSON.stringify(encodeTpmEvidence(parseTpmEvidence(text)))).toBe(text)
      }),
    )
  })

  it('writes what SVC-23 shows: no column where it is SHA-1, no hints of a real TPM that says no command line', () => {
    const { kernelCmdline, ...evidence } = parseTpmEvidence(container(editAt(['ima', 'column'], 'sha1')))
    expect(Object.keys(encodeTpmEvidence({ ...evidence, simulated: false }))).toEqual([
      'version',
      'ak',
      'ek',
      'quotes',
      'eventlog',
      'ima',
    ])
    expect(encodeTpmEvidence(evidence)['ima']).toEqual({ format: 'binary', from: 3, data: base64(50) })
    expect(encodeTpmEvidence(evidence)['hints']).toEqual({ simulated: true })
    const spoken = { ...evidence, simulated: false, kernelCmdline: kernelCmdline ?? '' }
    expect(encodeTpmEvidence(spoken)['hints']).toEqual({ kernelCmdline: 'quiet' })
  })
})

describe('the hint of a command line (ELOG-20)', () => {
  const withHint = (kernelCmdline: unknown) => container(editAt(['hints'], { simulated: true, kernelCmdline } as never))

  it.each(['', 'quiet ro', 'x'.repeat(4096), 'é😀'])('is kept as it is: %s', (text) => {
    expect(parseTpmEvidence(withHint(text))).toMatchObject({ simulated: true, kernelCmdline: text })
  })

  it('is absent where it is null or not there', () => {
    for (const hint of [null, undefined]) expect(parseTpmEvidence(withHint(hint))).not.toHaveProperty('kernelCmdline')
  })

  it.each([
    ['longer than 4096 characters', 'x'.repeat(4097), 'is longer than 4096 characters'],
    ['with a NUL', 'a\0b', 'is not the text of a command line'],
    ['of half a character', '\ud83d', 'is not the text of a command line'],
    ['that is no text', 7, 'is not a string'],
  ])('%s is refused', (_what, hint, problem) => {
    expect(() => parseTpmEvidence(withHint(hint))).toThrow(`evidence.hints.kernelCmdline: ${problem}`)
  })
})

describe('hostile input', () => {
  const acceptedOrMalformed = (input: string | Uint8Array | JsonObject) => {
    try {
      parseTpmEvidence(input)
    } catch (error) {
      if (!(error instanceof AttestdError) || error.code !== 'MALFORMED') throw error
    }
  }

  it('no bytes make the parser throw anything but MalformedError', () => {
    fc.assert(fc.property(bytes(0, 300), acceptedOrMalformed))
    fc.assert(fc.property(fc.jsonValue(), (value) => acceptedOrMalformed(JSON.stringify(value) ?? '')))
  })

  it('nor does any edit of a good document', () => {
    const good = new TextEncoder().encode(JSON.stringify(container()))
    fc.assert(
      fc.property(fc.nat(good.length - 1), fc.nat(255), fc.nat(2), (at, value, insert) => {
        const edited = Buffer.concat([good.slice(0, at), Buffer.alloc(insert, value), good.slice(at + 1)])
        acceptedOrMalformed(new Uint8Array(edited))
      }),
      { numRuns: 3000 },
    )
  })

  it('nor does any value in place of any member', () => {
    const paths: (readonly Step[])[] = [
      ['ak'],
      ['ek'],
      ['quotes'],
      quote('pcrs'),
      quote('pcrs', 'sha1'),
      ['ima'],
      ['hints'],
    ]
    fc.assert(
      fc.property(fc.constantFrom(...paths), fc.jsonValue(), (path, value) => {
        const parsed = parseJsonObject(JSON.stringify({ value }), 'test')['value']
        acceptedOrMalformed(container(editAt(path, parsed ?? null)))
      }),
      { numRuns: 1000 },
    )
  })
})
