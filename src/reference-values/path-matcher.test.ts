import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { MalformedError } from '../base/errors.ts'
import { createPathMatcher } from './path-matcher.ts'
import { type PathPattern, parsePathPattern } from './path-pattern.ts'

const glob = (text: string): PathPattern => ({ kind: 'glob', text })
const prefix = (text: string): PathPattern => ({ kind: 'prefix', text })
const latin1 = (text: string) => new Uint8Array(Buffer.from(text, 'latin1'))

function matches(pattern: PathPattern, path: string): boolean {
  const bytes = latin1(`<${path}>`)
  return createPathMatcher([pattern])(bytes, 1, bytes.length - 1).length === 1
}

describe('globs over the bytes of paths (IMA-16)', () => {
  it.each([
    ['/usr/bin/*', '/usr/bin/ls', true],
    ['/usr/bin/*', '/usr/bin/', true],
    ['/usr/bin/*', '/usr/bin/a/b', false],
    ['/usr/bin/*', 'x/usr/bin/a', false],
    ['/usr/**', '/usr/', true],
    ['/usr/**', '/usr/lib/x/y', true],
    ['/usr/**', '/usr', false],
    ['/lib/**/x.so', '/lib/x.so', true],
    ['/lib/**/x.so', '/lib/a/b/x.so', true],
    ['/lib/**/x.so', '/lib/ax.so', false],
    ['**/x', 'x', true],
    ['**/x', 'a/b/x', true],
    ['**/x', 'ax', false],
    ['/a**/x', '/a/x', true],
    ['/a**/x', '/ab/c/x', true],
    ['/a**/x', '/ax', false],
    ['/a/{**/b,c}', '/a/b', true],
    ['/a/{**/b,c}', '/a/x/b', true],
    ['/a/{**/b,c}', '/a/c', true],
    ['/a?c', '/abc', true],
    ['/a?c', '/a/c', false],
    ['/a?c', '/ac', false],
    ['/[a-c]x', '/bx', true],
    ['/[a-c]x', '/dx', false],
    ['/[!a-c]x', '/dx', true],
    ['/[^a-c]x', '/bx', false],
    ['/a[!b]c', '/a/c', false],
    ['/a[.-0]c', '/a/c', false],
    ['/[a-]', '/-', true],
    ['/[\\]]', '/]', true],
    ['/[\\!a]', '/!', true],
    ['/{a,b/c,}/x', '/b/c/x', true],
    ['/{a,b/c,}/x', '//x', true],
    ['/{a,{b,c}d}', '/cd', true],
    ['/{a,{b,c}d}', '/c', false],
    ['/a,b', '/a,b', true],
    ['/\\*', '/*', true],
    ['/\\*', '/a', false],
    ['/\\x0a\\n\\\\', '/\n\n\\', true],
    ['/\\xff*', '/\xff\xfe', true],
    ['/*', '/\n\xff ', true],
    ['?', '\n', true],
  ])('%s on %j: %s', (pattern, path, expected) => {
    expect(matches(glob(pattern), path)).toBe(expected)
  })

  it.each([
    ['/proc/', '/proc/1/x', true],
    ['/proc/', '/proc/', true],
    ['/proc/', '/proc', false],
    ['/*', '/*x', true],
    ['/*', '/ax', false],
    ['/a\\nb', '/a\nbc', true],
  ])('prefix %s on %j: %s', (text, path, expected) => {
    expect(matches(prefix(text), path)).toBe(expected)
  })

  it.each([
    '',
    '/[',
    '/[a',
    '/[]',
    '/[b-a]',
    '/[a[]',
    '/[/]',
    '/[+-/]',
    '/{a',
    '/{a,{b}',
    '/a}',
    '/a]',
    '/***',
    '/\\',
    '/\\q',
    '/\\xF0',
    '/\\x0',
    '/é',
    '/\u0007',
    `${'{'.repeat(9)}${'}'.repeat(9)}`,
    'a'.repeat(4097),
  ])('refuses %j', (text) => {
    expect(() => parsePathPattern(glob(text), 'line 3')).toThrow(MalformedError)
    expect(() => parsePathPattern(glob(text), 'line 3')).toThrow(/^line 3: /)
  })

  it('takes the longest text and the deepest braces', () => {
    expect(matches(glob('a'.repeat(4096)), 'a'.repeat(4096))).toBe(true)
    expect(matches(glob(`${'{'.repeat(8)}a${'}'.repeat(8)}`), 'a')).toBe(true)
  })

  it('refuses a prefix that says nothing, and one that is no escaped name', () => {
    expect(() => parsePathPattern(prefix(''))).toThrow(MalformedError)
    expect(() => parsePathPattern(prefix('\\x41'))).toThrow(MalformedError)
  })
})

/** What a pattern means, as an expression of another engine. */
interface Meaning {
  readonly text: string
  readonly expression: string
}

const joined = (parts: readonly Meaning[]): Meaning => ({
  text: parts.map(({ text }) => text).join(''),
  expression: parts.map(({ expression }) => expression).join(''),
})
const piece: fc.Arbitrary<Meaning> = fc.constantFrom(
  ...[
    ['a', 'a'],
    ['b', 'b'],
    ['/', '/'],
    ['*', '[^/]*'],
    ['?', '[^/]'],
    ['x**', 'x[^]*'],
    ['/**/', '/(?:[^]*/)?'],
    ['[ab]', '[ab]'],
    ['[!a]', '[^a/]'],
    ['\\n', '\\n'],
    ['\\xff', '\\xff'],
  ].map(([text = '', expression = '']) => ({ text, expression })),
)
/** Two stars side by side are read as one piece, which may be another one than the two. */
const isApart = ({ text }: Meaning, at: number, parts: readonly Meaning[]) =>
  !(text.startsWith('*') && parts[at - 1]?.text.endsWith('*'))
const row = (part: fc.Arbitrary<Meaning>) =>
  fc
    .array(part, { maxLength: 6 })
    .filter((parts) => parts.every(isApart) && !/\*\*\*|\*\*\/\*\*|\/\/\*\*/.test(joined(parts).text))
    .map(joined)
const braces = fc.array(row(piece), { minLength: 1, maxLength: 3 }).map((rows) => ({
  text: `{${rows.map(({ text }) => text).join()}}`,
  expression: `(?:${rows.map(({ expression }) => expression).join('|')})`,
}))
/** Stars that meet at a brace would read as one piece; the model has no such thing. */
const meaning = row(fc.oneof({ weight: 4, arbitrary: piece }, { weight: 1, arbitrary: braces })).filter(
  ({ text }) =>
    text !== '' && !/\*[{},]*\*|[{,]\*\*|\*\*[},]/.test(text.replaceAll('x**', 'x').replaceAll('/**/', '/')),
)
const somePath = fc
  .array(fc.constantFrom('a', 'b', 'x', '/', '\n', '\xff', '/a/', 'x/'), { maxLength: 12 })
  .map((parts) => parts.join(''))

describe('matching', () => {
  it('is what another engine says, for every pattern and path', () => {
    fc.assert(
      fc.property(meaning, somePath, ({ text, expression }, path) => {
        expect(matches(glob(text), path)).toBe(new RegExp(`^(?:${expression})$`).test(path))
      }),
      { numRuns: 2000 },
    )
  })

  it('of many patterns at once is that of each of them', () => {
    fc.assert(
      fc.property(fc.array(meaning, { maxLength: 8 }), fc.array(somePath, { maxLength: 8 }), (meanings, paths) => {
        const patterns = meanings.map(({ text }) => glob(text))
        const matcher = createPathMatcher(patterns)
        for (const path of paths) {
          const expected = patterns.flatMap((pattern, index) => (matches(pattern, path) ? [index] : []))
          expect(matcher(latin1(path), 0, path.length)).toEqual(expected)
        }
      }),
    )
  })

  it('takes linear time where going back would take years', () => {
    const hostile = [
      `${'*a'.repeat(200)}b`,
      `${'{a,aa}'.repeat(200)}b`,
      `${'**a'.repeat(200)}b`,
      `${'?*'.repeat(200)}b`,
    ]
    const path = latin1('a'.repeat(4096))
    for (const text of hostile) expect(createPathMatcher([glob(text)])(path, 0, path.length)).toEqual([])
    const matcher = createPathMatcher(hostile.map(glob))
    expect(matcher(latin1(`${'a'.repeat(4095)}b`), 0, 4096)).toEqual([0, 2, 3])
  })

  it('forgets states rather than to grow, and finds the same', () => {
    // The state after any prefix is which of the last twelve letters was an a: 4096 of them.
    const matcher = createPathMatcher([glob(`**a${'?'.repeat(12)}`)])
    const letters = Array.from({ length: 60_000 }, (_none, at) => ((at * 2654435761) & 0x8000 ? 'a' : 'b')).join('')
    for (let end = 13; end < 60_000; end += 997) {
      expect(matcher(latin1(letters), 0, end)).toEqual(letters[end - 13] === 'a' ? [0] : [])
    }
  })
})
