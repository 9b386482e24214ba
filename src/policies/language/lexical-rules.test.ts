import { describe, expect, it } from 'vitest'
import { describeRules, policyOf, verdictOn } from '../../../test/support/policy-rules.ts'
import { policyDigest, policyHash } from '../signed/policy-hashes.ts'
import { formatPolicy } from './format-policy.ts'
import { parsePolicy } from './parse-policy.ts'

describeRules('section 1', {
  'POL-104': {
    bad: [
      ['1:1', '\ufeff\ufeffversion=1.0;authorizationrules{};'],
      ['3:10', policyOf('[type=="a\ufeffb"] => permit();')],
      ['3:17', policyOf('=> permit(); // \ufeff')],
      ['3:12', policyOf('=> permit()\u037e')],
      ['3:12', policyOf('=> permit()\uff1b')],
      ['3:3', policyOf('=>\u200bpermit();')],
      ['3:3', policyOf('=>\u2028permit();')],
      ['3:3', policyOf('=>\u000bpermit();')],
      ['3:3', policyOf('=>\u0000permit();')],
      ['3:1', policyOf('\u{1f600} => permit();')],
      ['3:10', policyOf('[value== \u20135] => permit();')],
      ['3:9', policyOf('[value==--1] => permit();')],
      ['3:9', policyOf('[value==+] => permit();')],
      ['3:1', policyOf('/ comment')],
      ['3:1', policyOf('# comment')],
      ['3:8', policyOf('[type==`a`] => permit();')],
      ['3:4', policyOf('caf\u00e9:[] => permit();')],
    ],
    good: [
      '\ufeffversion=1.0;authorizationrules{};',
      policyOf('[type=="\u{1f600} \u20135\u037e\u200b"] => permit(); // \u{1f600}\u200b\u0000'),
    ],
  },
  'POL-105': {
    bad: [
      ['3:11', policyOf('=> permit(/* no arguments */);')],
      ['3:1', policyOf('/* => deny();')],
    ],
    good: [policyOf('// /* => deny();\n=> permit(); //'), policyOf('=> permit(); // */')],
  },
  'POL-106': {
    bad: [
      ['3:8', policyOf('[type=="a] => permit();')],
      ['3:8', policyOf('[type=="a\r"] => permit();')],
      ['3:8', policyOf('[type=="c:\\\\dir\\"] => permit();')],
      ['3:8', policyOf('[type=="a\\')],
      ['3:9', policyOf('[type=="\\u0041"] => permit();')],
      ['3:10', policyOf('[type=="a\\\'"] => permit();')],
      ['3:11', policyOf('[type=="c:\\dir\\x"] => permit();')],
    ],
    good: [policyOf('[type=="\\\\", type!="\\"", type!="\\\\\\""] => permit();')],
  },
  'POL-107': {
    bad: [
      ['3:9', policyOf('[type=="\u0000"] => permit();')],
      ['3:9', policyOf('[type=="\u001f"] => permit();')],
      ['3:10', policyOf('[type=="\u{1f600}\u000b"] => permit();')],
    ],
    good: [policyOf('[type=="\t\u007f\u0085\u2028"] => permit();')],
  },
  'POL-108': {
    bad: [
      '00',
      '-01',
      '+1',
      '1_000',
      '1e3',
      '1.',
      '0X1F',
      '1L',
      '9223372036854775808',
      '-9223372036854775809',
      `1${'0'.repeat(60_000)}`,
    ].map((number) => ['3:9', policyOf(`[value==${number}] => permit();`)] as const),
    good: [policyOf('[value==-0, value < 9223372036854775807, value >-9223372036854775808] => permit();')],
  },
  'POL-109': {
    bad: [
      ['3:1', policyOf(`${'a'.repeat(65)}:[] => permit();`)],
      ['3:19', policyOf('c:[] => add(claim=claim);')],
      ['3:9', policyOf('[value==issue.value] => permit();')],
      ['3:1', policyOf('permit:[] => permit();')],
      ['3:1', policyOf('JmesPath:[] => permit();')],
      ['3:1', policyOf('true:[] => permit();')],
      ['3:1', policyOf('version:[] => permit();')],
    ],
    good: [
      policyOf(`${'a'.repeat(64)}:[] => permit();`),
      policyOf('_:[] && _9:[] && Type:[] && TRUE:[value==Type.value] => add(claim=TRUE);'),
      policyOf('constructor:[] && __proto__:[] => add(type=__proto__.type, value=constructor.value);'),
    ],
  },
  'POL-110': {
    bad: [
      ['1:1', 'VERSION=1.0;authorizationrules{};'],
      ['1:13', 'version=1.0;Authorizationrules{};'],
      ['1:34', 'version=1.0;authorizationrules{};IssuanceRules{};'],
      ['3:10', policyOf('[value== FALSE] => permit();')],
      ['3:2', policyOf('[Type=="a"] => permit();')],
      ['3:4', policyOf('=> Deny();')],
      ['3:8', policyOf('=> add(Type="a", value=1);')],
      ['3:18', policyOf('=> add(type="a", vALUE=1);')],
      ['3:13', policyOf('c:[] => add(Claim=c);')],
      ['3:21', policyOf('c:[] && [type=="a", valuetype==c.type] => permit();')],
    ],
    good: [policyOf('[type=="TYPE"] => permit();')],
  },
  'POL-111': {
    bad: ['', '\ufeff', '\ufeff\r\n\t '].map((text) => ['1:1', text] as const),
    good: ['version=1.0;authorizationrules{};'],
  },
  'POL-112': {
    bad: [
      '{"AttestationPolicy":"dmVyc2lvbj0xLjA7"}',
      '\ufeff\n "version=1.0;"',
      'eyJhbGciOiJub25lIn0.eyJBdHRlc3RhdGlvblBvbGljeSI6IiJ9.\r\n',
      'ewogImFsZyI6ICJSUzI1NiIKfQ.e30.c2ln',
    ].map((text) => ['1:1', text] as const),
    good: ['// {"AttestationPolicy"\nversion=1.0;authorizationrules{};'],
  },
})

describe('POL-101', () => {
  const bytes = (...parts: (string | number)[]) =>
    new Uint8Array(parts.flatMap((part) => (typeof part === 'number' ? [part] : [...new TextEncoder().encode(part)])))

  it.each<[string, Uint8Array]>([
    ['1:4', bytes('ver', 0xff)],
    ['2:2', bytes('v\n\u{1f600}', 0xc0, 0xaf, 'x')],
    ['2:1', bytes('\r\n', 0xed, 0xa0, 0x80)],
    ['2:1', bytes('\r', 0xf4, 0x90, 0x80, 0x80)],
    ['1:1', bytes(0xef, 0xbb)],
    ['1:3', bytes('\ufeff\ufffda', 0x80)],
    ['1:1', bytes(0xfe, 0xff, 0x00, 'v')],
  ])('at %s', (place, text) => {
    expect(verdictOn(text)).toBe(`POL-101 ${place}`)
  })

  it('refuses half a surrogate pair, which has no UTF-8', () => {
    expect(verdictOn(policyOf('[type=="\ud83d"] => permit();'))).toBe('POL-101 3:9')
    expect(verdictOn(policyOf('[type=="\u{1f600}\ude00"] => permit();'))).toBe('POL-101 3:10')
  })

  it('takes every character that has UTF-8', () => {
    expect(verdictOn(bytes(policyOf('[type=="\u0080\u07ff\u0800\uffff\u{10ffff}\ufffd"] => permit();')))).toBe('loads')
  })
})

describe('places (POL-103, POL-801)', () => {
  it('take any white space between tokens', () => {
    expect(verdictOn('version\t=\r1.0\r\n;authorizationrules\n{\r\r}\t ;')).toBe('loads')
  })

  it.each([
    ['POL-201 4:1', 'version=1.0;\r\n\r\n\n'],
    ['POL-201 4:2', 'version=1.0;\r\n\r\r x'],
    ['POL-201 2:3', 'version=1.0; // \u2028 \u0085\n\t\tx'],
    ['POL-202 1:1', '\ufeffvelsion=1.0;authorizationrules{};'],
    ['POL-205 3:14', policyOf('[type=="\u{1f600}\u{1f600}"] , [] => permit();')],
  ])('%s: %j', (expected, text) => {
    expect(verdictOn(text)).toBe(expected)
  })

  it('have the length of what stands there, in code points', () => {
    const [first] = parsePolicy(policyOf('[type=="a" "\u{1f600}"] => permit();')).diagnostics ?? []
    expect(first).toMatchObject({ id: 'POL-212', length: 3, found: '"\u{1f600}"' })
    const { policy } = parsePolicy(policyOf('c : [type=="\u{1f600}"] =>\n add(type="a", value=NegateBool( c.value ));'))
    const [rule] = policy?.authorization ?? []
    expect(rule?.span).toEqual({ line: 3, column: 1, length: 63 })
    expect(rule?.conditions[0]?.span).toEqual({ line: 3, column: 1, length: 15 })
    expect(rule?.conditions[0]?.tests[0]?.span).toEqual({ line: 3, column: 6, length: 9 })
    expect(rule?.action.span).toEqual({ line: 4, column: 2, length: 3 })
  })
})

describe('comments', () => {
  it('are kept with their places', () => {
    const { comments } = parsePolicy(
      '\ufeff// \u{1f600} one \r\nversion=1.0; //\rauthorizationrules { //two // still\n};//',
    )
    expect(comments).toEqual([
      { text: '// \u{1f600} one ', span: { line: 1, column: 1, length: 9 } },
      { text: '//', span: { line: 2, column: 14, length: 2 } },
      { text: '//two // still', span: { line: 3, column: 22, length: 14 } },
      { text: '//', span: { line: 4, column: 3, length: 2 } },
    ])
  })
})

describe('hints', () => {
  const hintOf = (text: string) => parsePolicy(text).diagnostics?.[0]?.hint

  it.each([
    ['=> permit()\uff1b', 'type ;'],
    ['\\![type=="a"] => permit();', 'a backslash stands in strings only'],
    [
      '[value==JmesPath("[1]", "[*] \\| [0]")] => permit();',
      'only \\" and \\\\ are escapes; write \\\\ for a backslash',
    ],
    ['=> add(type="a", value=c.value);', 'bind it in front: c:[…]'],
    ['[type==tdx.tcb_status] => permit();', 'a text stands in double quotes; the value of a claim is identifier.value'],
    ['[value==<your value>] => permit();', 'put the value in the place of <…>'],
    ['[value=>5] => permit();', 'write >= for greater or equal; => stands before the action'],
    ['[type="a"] => permit();', 'write == to compare'],
    ['[] || [] => permit();', 'there is no ||: write one rule for each alternative'],
    ['=> allow();', 'write permit'],
    ['=> dney();', 'did you mean deny?'],
    ['=> issueclaim();', undefined],
    ['c:[] => add(claim=c.value);', 'write claim=c'],
    ['event:[] => add(type="a", value=events.value);', 'bound are: event'],
    ['\u200b=> permit();', 'it cannot be seen: delete it'],
    ['[value==\u20135] => permit();', 'type the hyphen-minus -'],
    ['[value==0xff] => permit();', 'write 255'],
    ['[value==007] => permit();', 'write 7'],
    ['[value==0xffffffffffffffff] => permit();', undefined],
    ['=> \uff50ermit();', 'type p'],
    ['[type=="a\\"] => permit();', 'in a string \\" is a quote; \\\\ is a backslash'],
    ['[type==\uff02a\uff02] => permit();', 'type the straight double quote "'],
  ])('%j: %s', (rule, hint) => {
    expect(hintOf(policyOf(rule))).toBe(hint)
  })
})

describe('a byte order mark (POL-102)', () => {
  const text = 'version=1.0;authorizationrules{=>permit();};'
  const bytes = (of: string) => new TextEncoder().encode(of)

  it('is skipped once at the very start, and counts for every hash', () => {
    const marked = bytes(`\ufeff${text}`)
    const { policy } = parsePolicy(marked)
    expect(policy?.authorization[0]?.span).toMatchObject({ line: 1, column: 32 })
    expect(policy).toEqual(parsePolicy(text).policy)
    expect(policyHash(marked)).not.toBe(policyHash(bytes(text)))
    expect(policyDigest(marked)).not.toBe(policyDigest(bytes(text)))
    expect(formatPolicy(marked).text?.startsWith('\ufeffversion')).toBe(true)
  })

  it('is an error everywhere else, a second one too (POL-104)', () => {
    for (let at = 1; at <= text.length; at++) {
      const [first] = parsePolicy(`\ufeff${text.slice(0, at)}\ufeff${text.slice(at)}`).diagnostics ?? []
      expect([at, first?.severity, first?.column]).toEqual([at, 'error', expect.any(Number)])
    }
    expect(parsePolicy(`\ufeff\ufeff${text}`).diagnostics?.[0]).toMatchObject({ id: 'POL-104', line: 1, column: 1 })
  })
})
