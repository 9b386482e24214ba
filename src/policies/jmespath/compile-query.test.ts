import { describe, expect, it } from 'vitest'
import { measured, search } from '../../../test/support/json-queries.ts'

const boot = JSON.stringify({
  Events: [
    { Seq: 0, Pcr: 7, Kind: 'VARIABLE', Data: { Name: 'SecureBoot', Value: 'AQ' }, Tags: ['fw', 'key'] },
    { Seq: 1, Pcr: 7, Kind: 'SEPARATOR', Data: null, Tags: [] },
    { Seq: 2, Pcr: 4, Kind: 'APPLICATION', Data: { Path: '\\EFI\\shim' }, Tags: ['fw'] },
    { Seq: 3, Pcr: 8, Kind: 'IPL' },
  ],
  Banks: { sha256: { '0': 'aa', '10': 'cc', '7': 'bb' }, sha1: { '0': '11' } },
  Matrix: [[1, [2, 3]], [4], 5],
})

describe('expressions (POL-520)', () => {
  it.each([
    // Names, the current value, literals, raw strings.
    ['Events[3].Kind', '"IPL"'],
    ['"Events"[3]."Kind"', '"IPL"'],
    ['Banks.sha256."10"', '"cc"'],
    ['"\\u0045vents"[0].Pcr', '7'],
    ['Missing', 'null'],
    ['Missing.Deeper[0].x', 'null'],
    ['@.Events[3].Pcr', '8'],
    ['`{"a": [1, 2.50, true, null]}`', '{"a":[1,2.5,true,null]}'],
    ['` "spaced" `', '"spaced"'],
    ['`"a\\`b"`', '"a`b"'],
    ["'it\\'s'", '"it\'s"'],
    ["'c:\\windows\\n'", '"c:\\\\windows\\\\n"'],
    ["'two\\\\'", '"two\\\\\\\\"'],
    ["''", '""'],
    [' \t\r\n Events [0] . Seq ', '0'],
    // Indices and slices.
    ['Events[-1].Seq', '3'],
    ['Events[4]', 'null'],
    ['Events[-5]', 'null'],
    ['Events[999999999999999999999]', 'null'],
    ['Banks[0]', 'null'],
    ['Events[1:3].Seq', '[1,2]'],
    ['Events[:2].Seq', '[0,1]'],
    ['Events[-2:].Seq', '[2,3]'],
    ['Events[::2].Seq', '[0,2]'],
    ['Events[::-1].Seq', '[3,2,1,0]'],
    ['Events[3:0:-2].Seq', '[3,1]'],
    ['Events[-100:100].Seq', '[0,1,2,3]'],
    ['Events[100:-100:-1].Seq', '[3,2,1,0]'],
    ['Events[5:].Seq', '[]'],
    ['Banks[:1]', 'null'],
    // Projections: null results are left out; each ends at a pipe.
    ['Events[*].Data.Name', '["SecureBoot"]'],
    ['Events[*].Tags[0]', '["fw","fw"]'],
    ['Events[*].Tags | [0]', '["fw","key"]'],
    ['Events[*].Tags[*]', '[["fw","key"],[],["fw"]]'],
    ['Events[].Tags[]', '["fw","key","fw"]'],
    ['Matrix[]', '[1,[2,3],4,5]'],
    ['Matrix[][]', '[1,2,3,4,5]'],
    ['Banks.*."0"', '["11","aa"]'],
    ['Banks.sha256.*', '["aa","cc","bb"]'],
    ['*.sha1', '[{"0":"11"}]'],
    ['Kind[*]', 'null'],
    ['Events.*', 'null'],
    ['Banks[]', 'null'],
    ['Events[?Pcr == `7`].Seq', '[0,1]'],
    ['Events[?Data].Seq', '[0,2]'],
    ['Events[?!Data].Seq', '[1,3]'],
    ['Events[?Data][?Tags[1]].Seq', '[]'],
    ['Events[?Pcr == `7`] | [?Data] | [0].Seq', '0'],
    ['Banks[?@]', 'null'],
    ['[Events[*].Seq, Banks.sha1 | keys(@)]', '[[0,1,2,3],["0"]]'],
    // Lists and hashes.
    ['Events[0].[Seq, Missing, Data.Name]', '[0,null,"SecureBoot"]'],
    ['Events[0].{s: Seq, "a b": Pcr, s: Kind}', '{"a b":7,"s":"VARIABLE"}'],
    ['Missing.[a]', 'null'],
    ['Missing.{a: a}', 'null'],
    ['Missing | [@]', 'null'],
    ['Banks.[*, sha1]', '[[{"0":"11"},{"0":"aa","10":"cc","7":"bb"}],{"0":"11"}]'],
    // Operators.
    ['Events[0].Pcr == Events[1].Pcr', 'true'],
    ['Events[0].Pcr != Events[1].Pcr', 'false'],
    ['Events[2].Pcr < Events[0].Pcr', 'true'],
    ['`2` <= `2` && `2` >= `2` && !(`2` > `2`)', 'true'],
    ["'a' < 'b'", 'null'],
    ['`1` == `1.0`', 'true'],
    ['`1` == `true`', 'false'],
    ["`1` == '1'", 'false'],
    ['`{"a":1,"b":[2]}` == `{"b":[2],"a":1}`', 'true'],
    ['`{"a":null}` == `{"b":null}`', 'false'],
    ['`[1,2]` == `[2,1]`', 'false'],
    ['`null` == Missing', 'true'],
    ['`1` == `1` == `true`', 'true'],
    ["Missing || 'default'", '"default"'],
    ['`0` || `1`', '0'],
    ['`[]` || `{}` || `""` || `false` || `null` || `7`', '7'],
    ['`0` && `[]` && `1`', '[]'],
    ['`1` || Missing && Missing', '1'],
    ['(`1` || Missing) && Missing', 'null'],
    ['!`0`', 'false'],
    ['!!`[]`', 'false'],
    // `!` binds tighter than a dot, not than brackets.
    ['!Events[0].Seq', 'null'],
    ['!(Events[0].Missing)', 'true'],
    ['!Events[*].Seq', 'false'],
    // Order of binding behind projections.
    ['Events[*].Data.Name == `["SecureBoot"]`', 'true'],
    ['Banks.*.x.y', 'null'],
    ['Events[*].{s: Seq}[0]', '{"s":0}'],
  ])('%s is %s', (query, result) => {
    expect(search(query, boot)).toBe(result)
  })
})

describe('queries that do not compile (POL-503, L05)', () => {
  it.each([
    ...["{'a': b}", '{1: b}', '{@: b}', "{a: b, 'c': d}"],
    ...['a.', '.a', 'a..b', 'a b', 'a.1', 'a.`1`', "a.'x'", 'a.&b', '&a', 'a &', '(a', 'a)', '()', '!', 'a !', '@@'],
    ...[
      '[',
      ']',
      'a[',
      'a[]]',
      'a[b]',
      'a["b"]',
      '[0,1]',
      'a[0',
      'a[1:2:3:4]',
      'a[::0]',
      'a[1 2]',
      'a[-]',
      'a[?',
      'a[?]',
      'a[?b',
    ],
    ...[
      'a[ ?b]',
      'a[ ]',
      '*a',
      'a*',
      'a.*b',
      '[*a',
      'a[*',
      '[a,]',
      '[,a]',
      '[a',
      '{a}',
      '{a:}',
      '{a:b,}',
      '{}',
      '{1:a}',
      '{a:b',
      'a{b:c}',
    ],
    ...[
      'a ==',
      '== a',
      'a = b',
      'a === b',
      'a <> b',
      'a | ',
      '| a',
      'a || | b',
      'a & b',
      'a == 20',
      '20',
      '-1',
      'a + b',
      '$',
      'a ? b : c',
    ],
    ...[
      '`foo`',
      '`{"a":1,"a":2}`',
      '`1',
      '`01`',
      "'a",
      '"a',
      '"\\x"',
      '"\\ud800"',
      '#',
      'ä',
      '\u00a0a',
      'let $x = a in $x',
    ],
    ...['nosuch(a)', 'LENGTH(a)', '"length"(a)', 'length(', 'length(a', 'length(a,)', 'length(a b)', '@(a)', 'a.@'],
    ...[
      'length()',
      'length(a, b)',
      'merge()',
      'not_null()',
      'map(a, b)',
      'sort_by(a, b)',
      'length(&a)',
      'contains(a)',
      "join('x')",
      'max_by(a)',
    ],
  ])('%s', (query) => {
    expect(search(query, '{}')).toBe('POL-503')
  })

  it('says where', () => {
    expect(measured('Events[?Kind=="x"', '{}').message).toContain("expected ']' (character 18)")
  })

  it('has no empty query, which is an error of its own (POL-502)', () => {
    expect(search('', '{}')).toBe('POL-502')
    expect(search(' ', '{}')).toBe('POL-503')
  })

  it('judges functions before anything is evaluated, also where no element would reach them', () => {
    expect(search('a[*].nosuch(@)', '{"a":[]}')).toBe('POL-503')
    expect(search('`false` && length(a, b)', '{}')).toBe('POL-503')
  })
})

describe('functions (POL-520)', () => {
  const data = JSON.stringify({
    n: [3, -1, 2.5],
    i: [3, 1, 2],
    s: ['b', 'a', 'c'],
    o: { x: 1, b: 2 },
    p: [
      { k: 'b', v: 2 },
      { k: 'a', v: 2 },
      { k: 'c', v: 1 },
    ],
    mixed: [1, 'a'],
    e: [],
    big: '9007199254740993',
  })

  it.each([
    ['abs(`-3`)', '3'],
    ['abs(`-2.5`)', '2.5'],
    ['abs(`-9007199254740993`)', '9007199254740993'],
    ['abs(`-9223372036854775808`)', 'POL-503'],
    ["abs('1')", 'POL-503'],
    ['abs(`true`)', 'POL-503'],
    ['avg(n)', '1.5'],
    ['avg(i)', '2'],
    ['avg(e)', 'null'],
    ['avg(`[9007199254740993, 9007199254740995]`)', '9007199254740994'],
    ['avg(s)', 'POL-503'],
    ['ceil(`1.2`)', '2'],
    ['ceil(`-0.5`)', '0'],
    ['floor(`-1.2`)', '-2'],
    ['floor(`9007199254740993`)', '9007199254740993'],
    ['contains(s, `"a"`)', 'true'],
    ['contains(mixed, `"1"`)', 'false'],
    ["contains('firmware', 'rmw')", 'true'],
    ["contains('firmware', '')", 'true'],
    ["contains('a1', `1`)", 'false'],
    ["contains(o, 'x')", 'POL-503'],
    ["starts_with('abc', 'ab')", 'true'],
    ["ends_with('abc', 'bc')", 'true'],
    ["ends_with('c', 'bc')", 'false'],
    ['starts_with(`1`, `1`)', 'POL-503'],
    ["join('-', s)", '"b-a-c"'],
    ["join('-', e)", '""'],
    ["join('-', mixed)", 'POL-503'],
    ['keys(o)', '["b","x"]'],
    ['values(o)', '[2,1]'],
    ['keys(e)', 'POL-503'],
    ['values(s)', 'POL-503'],
    ['length(o)', '2'],
    ['length(p)', '3'],
    ["length('a😀b')", '3'],
    ['length(`null`)', 'POL-503'],
    ['map(&k, p)', '["b","a","c"]'],
    ['map(&missing, p)', '[null,null,null]'],
    ['map(&k, o)', 'POL-503'],
    ['max(n)', '3'],
    ['min(n)', '-1'],
    ['max(s)', '"c"'],
    ['max(e)', 'null'],
    ['min(mixed)', 'POL-503'],
    ['max(`[9007199254740993, 9007199254740992.0]`)', '9007199254740993'],
    ['max_by(p, &v)', '{"k":"b","v":2}'],
    ['min_by(p, &k)', '{"k":"a","v":2}'],
    ['max_by(e, &v)', 'null'],
    ['min_by(p, &missing)', 'POL-503'],
    ['merge(o, `{"b":3,"a":0}`)', '{"a":0,"b":3,"x":1}'],
    ['merge(o)', '{"b":2,"x":1}'],
    ['merge(o, s)', 'POL-503'],
    ['not_null(missing, e, o)', '[]'],
    ['not_null(missing)', 'null'],
    ['reverse(s)', '["c","a","b"]'],
    ["reverse('a😀b')", '"b😀a"'],
    ['reverse(o)', 'POL-503'],
    ['sort(n)', '[-1,2.5,3]'],
    ['sort(s)', '["a","b","c"]'],
    ['sort(e)', '[]'],
    ['sort(mixed)', 'POL-503'],
    ['sort(`["😀","\\uffe0","a"]`)', '["a","\uffe0","😀"]'],
    ['sort_by(p, &k)[*].k', '["a","b","c"]'],
    ['sort_by(p, &v)[*].k', '["c","b","a"]'],
    ['sort_by(p, &@)', 'POL-503'],
    ['sum(n)', '4.5'],
    ['sum(e)', '0'],
    ['`{"a":1}` == `{"a":1,"b":2}`', 'false'],
    ['`{"a":1,"b":2}` == `{"a":1}`', 'false'],
    ['`[{"a":null}]` == `[{"b":null}]`', 'false'],
    ['sum(`[9007199254740991, 2]`)', '9007199254740993'],
    ['sum(`[-9007199254740991, -2]`)', '-9007199254740993'],
    ['sum(`[9007199254740992, 1]`)', '9007199254740993'],
    ['sum(`[9007199254740993, -9007199254740992]`)', '1'],
    ['sum(`[9223372036854775807, 1]`)', 'POL-503'],
    ['sum(`[1e308, 1e308]`)', 'POL-503'],
    ['to_array(o)', '[{"b":2,"x":1}]'],
    ['to_array(s)', '["b","a","c"]'],
    ['to_number(big)', '9007199254740993'],
    ["to_number('-1.50')", '-1.5'],
    ["to_number('1e3')", '1000'],
    ["to_number('9223372036854775808')", 'null'],
    ["to_number('1e999')", 'null'],
    ["to_number(' 1')", 'null'],
    ["to_number('0x10')", 'null'],
    ["to_number('')", 'null'],
    ['to_number(`true`)', 'null'],
    ['to_number(`7`)', '7'],
    ['to_string(o)', '"{\\"b\\":2,\\"x\\":1}"'],
    ["to_string('x')", '"x"'],
    ['to_string(`1.0`)', '"1"'],
    ['type(o)', '"object"'],
    [
      'map(&type(@), `[null, true, 1, 9007199254740993, "", []]`)',
      '["null","boolean","number","number","string","array"]',
    ],
    ['s[].length(@)', '[1,1,1]'],
    ['o.length(@)', '2'],
    ['missing.length(@)', 'POL-503'],
  ])('%s is %s', (query, result) => {
    expect(search(query, data)).toBe(result)
  })

  it.each([
    ["equals_ignore_case('\\EFI\\Boot', '\\efi\\BOOT')", 'true'],
    ["equals_ignore_case('a', 'b')", 'false'],
    ["equals_ignore_case('a', 'aa')", 'false'],
    ["equals_ignore_case('ä', 'Ä')", 'false'],
    ["equals_ignore_case('\u212a', 'k')", 'false'],
    ["equals_ignore_case('@', '`')", 'false'],
    ["equals_ignore_case('[', '{')", 'false'],
    ["equals_ignore_case(missing, 'a')", 'false'],
    ["equals_ignore_case('a', missing)", 'false'],
    ['equals_ignore_case(missing, missing)', 'false'],
    ["equals_ignore_case(`1`, 'a')", 'POL-503'],
    ['equals_ignore_case(missing, `1`)', 'POL-503'],
  ])('%s is %s (POL-521)', (query, result) => {
    expect(search(query, '{}')).toBe(result)
  })
})

describe('names of the prototype', () => {
  it('are names like others, and absent where they are not written', () => {
    expect(search('[__proto__, constructor, toString, hasOwnProperty]', '{}')).toBe('[null,null,null,null]')
    expect(search('__proto__.a', '{"__proto__":{"a":1}}')).toBe('1')
    expect(search('{__proto__: a}', '{"a":1}')).toBe('{"__proto__":1}')
    expect(search('merge(@, `{"__proto__":{"x":1}}`).x', '{}')).toBe('null')
    expect(search('constructor(@)', '{}')).toBe('POL-503')
    expect(search('__proto__(@)', '{}')).toBe('POL-503')
  })
})
