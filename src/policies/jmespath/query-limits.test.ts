import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { measured, search } from '../../../test/support/json-queries.ts'
import { processorMs } from '../../../test/support/processor-time.ts'

const nested = (levels: number) => `${'('.repeat(levels)}a${')'.repeat(levels)}`
const names = (count: number) => Array.from({ length: count }, (_, at) => `a${at}`)

describe('limits of a query (POL-605)', () => {
  it.each([
    ['parentheses', 64, nested],
    ['negations', 64, (levels: number) => `${'!'.repeat(levels)}a`],
    ['lists', 64, (levels: number) => `${'['.repeat(levels)}a${']'.repeat(levels)}`],
    ['hashes', 64, (levels: number) => `${'{a:'.repeat(levels)}a${'}'.repeat(levels)}`],
    ['filters', 64, (levels: number) => `${'[?'.repeat(levels)}a${']'.repeat(levels)}`],
    ['calls', 64, (levels: number) => `${'to_array('.repeat(levels)}a${')'.repeat(levels)}`],
  ])('%s nest %i deep', (_, most, query) => {
    expect(search(query(most), 'null')).not.toMatch(/^POL-6/)
    expect(search(query(most + 1), 'null')).toBe('POL-605')
    expect(search(query(10_000), 'null')).toBe('POL-605')
  })

  it('has at most 4 000 nodes', () => {
    // The list itself is a node.
    expect(search(`[${names(3999).join()}]`, 'null')).toBe('null')
    expect(search(`[${names(4000).join()}]`, 'null')).toBe('POL-605')
  })

  it('has at most 32 768 bytes, not characters', () => {
    const query = (length: number) => `'${'x'.repeat(length - 2)}'`
    expect(search(query(32_768), 'null')).toHaveLength(32_768)
    expect(search(query(32_769), 'null')).toBe('POL-605')
    expect(search(`'${'ä'.repeat(16_383)}'`, 'null')).toHaveLength(16_385)
    expect(search(`'${'ä'.repeat(16_384)}'`, 'null')).toBe('POL-605')
  })

  it.each([
    ['pipes', '@|'],
    ['alternatives', 'a||'],
    ['conjunctions', '@&&'],
    ['comparisons', 'a=='],
    ['dots', 'a.'],
  ])('takes long chains of %s, for they do not nest', (_, part) => {
    expect(search(`${part.repeat(1300)}a`, '{}')).not.toMatch(/^POL/)
  })

  it.each(['[*]', '.*', '[]', '[?a]', '[:]', '[0]'])('takes a thousand of %s in a row', (step) => {
    expect(search(`a${step.repeat(1000)}`, '{"a":[[[1]]]}')).not.toMatch(/^POL/)
  })

  it('projects over what queries have nested themselves, without running out of stack', () => {
    const deep = Array.from({ length: 900 }, () => '[@]').join('|')
    expect(search(`${deep}|@${'[*]'.repeat(900)} | length(@)`, '1')).toBe('1')
    expect(search(`${deep}|[@,@]|[0]==[1]`, '1')).toBe('POL-503')
    expect(search(deep, '1')).toBe('POL-503')
  })
})

describe('limits of a result (POL-607)', () => {
  it('counts bytes of the text, at n and n + 1', () => {
    const document = JSON.stringify({ a: 'é"\n', b: [1, 22, null] })
    const bytes = new TextEncoder().encode('{"a":"é\\"\\n","b":[1,22,null]}').length
    expect(search('@', document, { resultBytes: bytes })).toBe('{"a":"é\\"\\n","b":[1,22,null]}')
    expect(search('@', document, { resultBytes: bytes - 1 })).toBe('POL-607')
    expect(search('to_string(@) | length(@)', document, { resultBytes: bytes })).toBe('29')
    expect(search('to_string(@) | length(@)', document, { resultBytes: bytes - 1 })).toBe('POL-607')
    expect(search("to_string('xxxx') | length(@)", document, { resultBytes: 4 })).toBe('4')
    expect(search("to_string('xxxxx') | length(@)", document, { resultBytes: 4 })).toBe('POL-607')
  })

  it('counts shared sub-trees as often as they are written', () => {
    const doubled = Array.from({ length: 24 }, () => '[@,@]').join('|')
    expect(search(doubled, '1')).toBe('POL-607')
    expect(search(`${doubled} | to_string(@) | length(@)`, '1')).toBe('POL-607')
    expect(measured(doubled, '1', { resultBytes: 1e9, steps: 500_000 }).result).toBe('POL-608')
  })

  it('counts what join makes before it is made (POL-606)', () => {
    const document = JSON.stringify({ glue: 'ab', parts: ['é', 'x', 'y'] })
    expect(search('join(glue, parts) | length(@)', document, { stringBytes: 8 })).toBe('7')
    expect(search('join(glue, parts) | length(@)', document, { stringBytes: 7 })).toBe('POL-606')
    const many = JSON.stringify({ glue: 'x'.repeat(100_000), parts: Array.from({ length: 10_000 }, () => '') })
    expect(search('join(glue, parts) | length(@)', many)).toBe('POL-606')
  })
})

describe('steps (POL-608)', () => {
  const numbers = JSON.stringify(Array.from({ length: 1000 }, (_, at) => at % 7))

  it('are the same in every run, and end at n and n + 1', () => {
    const { steps, result } = measured('[?@ > `3`] | sort(@) | length(@)', numbers)
    expect(measured('[?@ > `3`] | sort(@) | length(@)', numbers)).toEqual({ steps, result })
    expect(search('[?@ > `3`] | sort(@) | length(@)', numbers, { steps })).toBe(result)
    expect(search('[?@ > `3`] | sort(@) | length(@)', numbers, { steps: steps - 1 })).toBe('POL-608')
  })

  it.each([
    ['a map in a map', 'map(&length(map(&@, $all)), @)'],
    ['a filter in a filter', '[?length($all[?@ > `3`]) > `0`]'],
    ['a search in a filter', '[?contains($all, `9`)]'],
    ['sorting again and again', 'map(&length(sort($all)), @)'],
    ['comparing whole documents', '[?$all == $all]'],
    ['lists of lists', 'map(&$all[*].[@,@,@,@], @)'],
    ['hashes', 'map(&$all[*].{a:@,b:@}, @)'],
    ['slices', 'map(&$all[::-1], @)'],
    ['text of everything', 'map(&length(to_string($all)), @)'],
  ])('bound %s', (_, template) => {
    const query = template.replaceAll('$all', `\`${numbers}\``)
    const { result, steps } = measured(query, numbers, { steps: 200_000, queryBytes: 1e6 })
    expect(result).toBe('POL-608')
    expect(steps).toBeLessThan(420_000)
  })

  it('pays for long strings by their length', () => {
    const long = JSON.stringify({ a: 'x'.repeat(1e6), b: 'x'.repeat(1e6), n: Array.from({ length: 1000 }, () => 1) })
    for (const call of [
      'contains($.a, $.b)',
      '$.a == $.b',
      'length($.a) == `1`',
      'starts_with($.a, $.b)',
      'equals_ignore_case($.a, $.b)',
    ]) {
      const inner = call.replaceAll('$.', '')
      expect(measured(inner, long).steps).toBeGreaterThan(30_000)
    }
  })

  it.each([
    ['to be true', '[?$]'],
    ['to be false', '[?!$]'],
    ['for their size', '[?length($) > `9`]'],
    ['for their members', '[?keys($)]'],
    ['for the first of their values', 'map(&$.* | [0], @)'],
    ['to be equal', '[?$ == `{}`]'],
    ['to be equal, from the other side', '[?`{}` == $]'],
    ['whether they are merged', 'map(&merge($, $) | type(@), @)'],
  ])('are asked %s: large objects cost what they are', (_, template) => {
    const members = Array.from({ length: 60 }, (__, at) => [`member${at}`, at])
    const query = template.replaceAll('$', '@')
    const small = measured(query, JSON.stringify(Array.from({ length: 100 }, () => ({ a: 1 }))))
    const large = measured(query, JSON.stringify(Array.from({ length: 100 }, () => Object.fromEntries(members))))
    expect(small.result).not.toMatch(/^POL/)
    expect(large.steps - small.steps).toBeGreaterThan(100 * 55)
  })

  it('searches in time of the lengths, whatever the text', () => {
    const text = JSON.stringify({ t: 'a'.repeat(1_000_000), p: `${'a'.repeat(100_000)}b${'a'.repeat(100_000)}` })
    const begun = processorMs()
    expect(search('contains(t, p)', text)).toBe('false')
    expect(processorMs() - begun).toBeLessThan(1000)
  })

  it('finds a text exactly where the engine finds it', () => {
    const letters = fc.string({ unit: fc.constantFrom('a', 'b'), maxLength: 60 })
    fc.assert(
      fc.property(letters, letters, letters, (before, part, behind) => {
        const within = part.repeat(3)
        expect(search('contains(t, p)', JSON.stringify({ t: before + within + behind, p: within }))).toBe('true')
        const expected = (before + behind).includes(within)
        expect(search('contains(t, p)', JSON.stringify({ t: before + behind, p: within }))).toBe(String(expected))
      }),
    )
  })
})

describe('results', () => {
  it('nest 64 deep, as deep as what can be read again (POL-501)', () => {
    expect(search(`${'[@]|'.repeat(64)}@`, '1')).toBe(`${'['.repeat(64)}1${']'.repeat(64)}`)
    expect(search(`${'[@]|'.repeat(65)}@`, '1')).toBe('POL-503')
    expect(search(`${'{a:@}|'.repeat(65)}@`, '1')).toBe('POL-503')
  })

  it('of a search do not depend on how a long part repeats itself', () => {
    // Each part begins anew in the midst of itself: what was matched falls back over several of its borders.
    for (let bits = 0; bits < 2 ** 17; bits += 97) {
      const part = bits.toString(2).padStart(17, '0')
      const text = Array.from(part, (_, at) => part.slice(0, at)).join('') + part
      expect(search(`contains(@, '${part}')`, JSON.stringify(text))).toBe('true')
    }
  })
})
