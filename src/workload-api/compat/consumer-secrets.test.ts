import { createHash, randomBytes } from 'node:crypto'
import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { bearerSecret, ConsumerSecrets, parseConsumerSecret } from './consumer-secrets.ts'

const bytes = (text: string) => new TextEncoder().encode(text)
const parse = (text: string) => Buffer.from(parseConsumerSecret(bytes(text), 'secret')).toString('hex')
const sha256 = (text: string) => createHash('sha256').update(text).digest('hex')
const fresh = () => randomBytes(32).toString('base64url')

describe('the file of a secret (API-150)', () => {
  const hex = '0123456789abcdef'.repeat(4)
  const wide = 'ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnop_'

  it.each([
    ['43 characters of base64url', wide],
    ['64 hexadecimal digits', hex],
    ['64 upper-case hexadecimal digits', hex.toUpperCase()],
    ['52 of base32', 'ABCDEFGHIJKLMNOPQRSTUVWXYZ234567ABCDEFGHIJKLMNOPQRST'],
    ['base64 with its padding', `${wide}=`],
    ['base64 with its signs', `+/${wide}`],
    ['512 characters', wide.repeat(12).slice(0, 512)],
  ])('with %s is its SHA-256, with or without a newline', (_what, text) => {
    expect(parse(text)).toBe(sha256(text))
    expect(parse(`${text}\n`)).toBe(sha256(text))
  })

  it('may hold the digest in its place, so that no file of the agent holds the secret', () => {
    expect(parse(`sha256:${sha256(wide)}\n`)).toBe(sha256(wide))
  })

  it.each([
    ['nothing', ''],
    ['a newline', '\n'],
    ['42 characters', wide.slice(1)],
    ['63 hexadecimal digits', hex.slice(1)],
    ['43 hexadecimal digits', hex.slice(0, 43)],
    ['43 lower-case letters and digits', 'abcdefghijklmnopqrstuvwxyz0123456789abcdefg'],
    ['one character again and again', 'A'.repeat(64)],
    ['a placeholder', 'Change-Me_'.repeat(6).replaceAll('-', 'e')],
    ['513 characters', wide.repeat(12).slice(0, 513)],
    ['two lines', `${wide}\n${wide}`],
    ['two newlines', `${wide}\n\n`],
    ['a carriage return', `${wide}\r\n`],
    ['a space before it', ` ${wide}`],
    ['a name before it', `Bearer ${wide}`],
    ['padding in the middle', `${wide}=${wide}`],
    ['a byte order mark', `\ufeff${wide}`],
    ['a short digest', `sha256:${sha256(wide).slice(1)}`],
    ['a digest in capitals', `sha256:${sha256(wide).toUpperCase()}`],
  ])('with %s is refused, and not quoted', (_what, text) => {
    expect(() => parse(text)).toThrow(/^secret: /)
    try {
      parse(text)
    } catch (error) {
      if (text.trim().length > 20) expect(String(error)).not.toContain(text.trim().slice(0, 20))
    }
  })

  it('takes every random secret of 256 bits, however it is written', () => {
    const drawn = fc.uint8Array({ minLength: 32, maxLength: 32 }).filter((one) => new Set(one).size > 24)
    const forms = fc.constantFrom<BufferEncoding>('base64url', 'base64', 'hex')
    fc.assert(
      fc.property(drawn, forms, (value, form) => {
        const text = Buffer.from(value).toString(form)
        expect(parse(text)).toBe(sha256(text))
      }),
    )
  })
})

describe('secrets of consumers (API-124)', () => {
  const [ci, web] = [fresh(), fresh()]
  const secrets = new ConsumerSecrets([
    { consumer: 'ci', digest: parseConsumerSecret(bytes(ci), 'ci') },
    { consumer: 'web', digest: parseConsumerSecret(bytes(web), 'web') },
  ])

  it('say whose they are', () => {
    expect([secrets.consumerOf(ci), secrets.consumerOf(web)]).toEqual(['ci', 'web'])
    expect(secrets.requireConsumer(web)).toBe('web')
    expect(secrets.requireConsumer(web, 'web')).toBe('web')
  })

  it.each([
    ['none', null, null],
    ['an empty one', '', null],
    ['one character too few', ci.slice(0, -1), null],
    ['one character too many', `${ci}A`, null],
    ['another case', ci.toLowerCase(), null],
    ['its digest', `sha256:${sha256(ci)}`, null],
    ['two in one', `${ci}, ${ci}`, null],
    ['that of another consumer', web, 'ci'],
    ['that of a name that nobody has', ci, 'nobody'],
  ])('refuse %s', (_what, presented, consumer) => {
    expect(() => secrets.requireConsumer(presented, consumer)).toThrow(
      expect.objectContaining({ code: 'consumer_unknown', status: 401 }),
    )
  })

  it('are nobody else’s, whatever is sent', () => {
    fc.assert(fc.property(fc.string(), (text) => secrets.consumerOf(text) === null))
  })

  it('without consumers are nobody’s', () => {
    expect(new ConsumerSecrets([]).consumerOf(ci)).toBe(null)
  })

  it('of two consumers are not one', () => {
    const digest = parseConsumerSecret(bytes(ci), 'ci')
    expect(
      () =>
        new ConsumerSecrets([
          { consumer: 'a', digest },
          { consumer: 'b', digest },
        ]),
    ).toThrow(TypeError)
  })
})

describe('the header Authorization', () => {
  it.each([
    ['Bearer abc', 'abc'],
    ['bearer abc', 'abc'],
    ['Bearer  abc', null],
    ['Bearer abc def', null],
    ['Bearer abc, Bearer abc', null],
    ['Basic abc', null],
    ['abc', null],
    ['Bearer', null],
    ['Bearer ', null],
    [null, null],
  ])('%j brings %j', (header, secret) => {
    expect(bearerSecret(header)).toBe(secret)
  })
})
