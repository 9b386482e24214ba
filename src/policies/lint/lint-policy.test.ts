import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { defaultPolicies } from '../defaults/default-policies.ts'
import { examplePolicies } from '../examples/example-policies.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import { type LintOptions, lintPolicy } from './lint-policy.ts'

const service = 'issuer=="AttestationService"'
const own = 'issuer=="AttestationPolicy"'
const head = 'version=1.2;\nauthorizationrules {\n'

function lintText(text: string, options: LintOptions = {}) {
  const parsed = parsePolicy(text)
  if (parsed.policy === undefined) return expect.unreachable(parsed.diagnostics?.[0]?.message)
  return lintPolicy(parsed, options)
}

/** Authorization rules, from line 3 on, that end with one that permits nothing by itself. */
const authorization = (rules: string) => `${head}${rules}\n};\n`
/** Issuance rules, from line 6 on. */
const issuance = (rules: string) =>
  `${head}[type=="attestation.simulated", value==false, ${service}] => permit();\n};\nissuancerules {\n${rules}\n};\n`

const places = (text: string, id: string, options: LintOptions = {}) =>
  lintText(text, options)
    .filter((one) => one.id === id)
    .map(({ line, column, length }) => `${line}:${column}+${length}`)

const found = (text: string, id: string, options: LintOptions = {}) => places(text, id, options).length > 0

type Case = readonly [rules: string, isFound: boolean, options?: LintOptions]

const debug = 'type=="tdx.td_attributes.debug"'
const events = `c:[type=="tpm.events", ${service}]`
const asks = (query: string) => `${events} => issue(type="n", value=JmesPath(c.value, "${query}"));`

const authorizationCases: Readonly<Record<string, readonly Case[]>> = {
  L01: [
    [`[] => deny();`, true],
    [`![value==1] => deny();`, true],
    [`[type!="x", ${service}] => deny();`, true],
    [`[${debug}, ${service}] => deny();`, false],
    [`a:[${debug}, ${service}] && [type==a.type, ${service}] => deny();`, false],
  ],
  L02: [
    [`[${debug}, value==true] => deny();`, true],
    [`[${debug}, value==false] => permit();`, true],
    [`![${debug}, value==false] => deny();`, true],
    [`[${debug}, value==false] => add(type="a", value=1);`, false],
    [`[${debug}, value==false, issuer!="CustomClaim"] => permit();`, false],
    [`a:[type=="a"] => add(type="b", value=a.value);`, false],
    [`[type=="a"] => add(type="b", value=1);\n[type=="b", ${own}] => permit();`, true],
    [
      `[type=="a"] => add(type="b", value=1);\n[type=="b", ${own}] => add(type="c", value=1);\n[type=="c", ${own}] => deny();`,
      true,
    ],
    [`[type=="b", ${own}] => permit();\n[type=="a"] => add(type="b", value=1);`, false],
    [`[type=="a", ${service}] => add(type="b", value=1);\n[type=="b", ${own}] => permit();`, false],
  ],
  L03: [
    [`[${debug}, ${service}] => deny();`, true],
    [`[${debug}] => add(type="a", value=1);`, true],
    [`[type=="aikValidated", ${service}] => permit();`, true],
    [`[type=="gpu.debug", ${service}] => deny();`, true],
    [`[type=="tdx.tcb_status", ${service}] => permit();`, false],
    [`![${debug}, ${service}] => deny();`, false],
    [`[${debug}, value!=false, ${service}] => deny();`, false],
    [`c:[${debug}, ${service}] => add(type="a", value=c.value);`, false],
    [`[${debug}, issuer=="CustomClaim"] => deny();`, false],
    [`=> add(type="ok", value=true);\n[type=="ok", ${own}] => permit();`, true],
    [`c:[${debug}, ${service}] => add(type="ok", value=c.value);\n[type=="ok", ${own}] => permit();`, true],
    [`=> add(type="ok", value=true);\n=> add(type="ok", value="yes");\n[type=="ok", ${own}] => permit();`, false],
    [`=> add(type="ok", value=JsonToClaimValue("true"));\n[type=="ok", ${own}] => permit();`, false],
  ],
  L04: [
    [`[type=="nobody", ${service}] => permit();`, true],
    [`![type=="nobody", ${service}] => deny();`, true],
    [`[type=="nobody"] => permit();`, true],
    [`=> add(type="mine", value=1);\n[type=="mine", ${service}] => permit();`, true],
    [`=> add(type="mine", value=1);\n[type=="mine", ${own}] => permit();`, false],
    [`=> add(type="mine", value=1);\n[type=="mine"] => permit();`, false],
    [`=> issue(type="mine", value=1);\n[type=="mine", ${own}] => permit();`, false],
    [`[type=="mine", ${own}] => permit();\n=> add(type="mine", value=1);`, true],
    [`[${debug}, value==true, ${own}] => deny();`, true],
    [`[type=="runtime.data", ${service}] => permit();`, true],
    [`[type=="runtime.data", issuer=="CustomClaim"] => permit();`, false],
    [`[type=="custom:x", value==1] => permit();`, false],
    [`[type=="whatever", issuer=="CustomClaim"] => permit();`, false],
    [`[type=="tpm.pcr.7", value=="a", ${service}] => permit();`, false],
    [`[type=="tpm.pcr", value=="a", ${service}] => permit();`, true],
    [`a:[${debug}, ${service}] => add(type=a.type, value=1);\n[type=="nobody", ${own}] => permit();`, false],
  ],
  L11: [
    [`=> issue(type="a", value=1);`, true],
    [`c:[${debug}] => issue(claim=c);`, true],
    [`=> add(type="a", value=1);`, false],
  ],
  L12: [
    [`// [] => permit ();`, true],
    [`// =>deny()`, true],
    [`// => see add`, false],
    [`// permit() is below`, false],
    [`// => readd(x)`, false],
    [`// => "issue(type=1)"`, true],
  ],
  L13: [
    [`=> permit();`, true],
    [`[] => permit();`, true],
    [`![] => permit();`, false],
    [`[${debug}, value==false, ${service}] => permit();`, false],
    [`=> permit();\n[${debug}, value==true, ${service}] => deny();`, false],
  ],
  L14: [
    [`[${debug}, value==true, ${service}] => permit();`, true],
    [`[${debug}, value!=false, ${service}] => permit();`, true],
    [`[type=="tdx_td_attributes_debug", value==true, ${service}] => permit();`, true],
    [`[type=="dbgstat", value=="enabled", ${service}] => permit();`, true],
    [`[type=="dbgstat", value!="disabled", ${service}] => permit();`, true],
    [`[type=="gpu.debug", value==true, ${service}] => permit();`, true],
    [`[type=="x-ms-sgx-is-debuggable", value==true, ${service}] => permit();`, true],
    [`[type=="$is-debuggable", value==true, ${service}] => permit();`, true],
    [`[${debug}, value==true, ${service}] => deny();`, false],
    [`[${debug}, value==false, ${service}] => permit();`, false],
    [`![${debug}, value==true, ${service}] => permit();`, false],
    [`[type=="dbgstat", value=="disabled", ${service}] => permit();`, false],
    [`[type=="tpm.secure_boot", value==true, ${service}] => permit();`, false],
    [`[${debug}, value==true, issuer=="CustomClaim"] => permit();`, false],
  ],
  L17: [
    [`![type=="ok", ${own}] => add(type="ok", value=true);`, true],
    [`![type=="ok", ${own}] => issue(type="ok", value=true);`, true],
    [`![type=="ok", ${own}] => add(type="ok", value=false);`, false],
    [`![type=="ok", ${own}] => add(type="other", value=true);`, false],
    [`[type=="ok", ${own}] => add(type="ok", value=true);`, false],
    [`![type=="ok", ${own}] => permit();`, false],
  ],
  L19: [
    [`[type=="a", type=="b"] => deny();`, true],
    [`[type=="a", value==1, value=="1"] => deny();`, true],
    [`[type=="a", ${service}, ${own}] => deny();`, true],
    [`[type=="a", value==1, value==1] => deny();`, false],
    [`[type=="a", value==1, value!=2] => deny();`, false],
    [`[type=="a"] => deny();\n[ type == "a" ]=>deny( );`, true],
    [`=> add(type="a", value=1);\n=> add(value=1, type="a");`, true],
    [`=> add(type="a", value=1);\n=> add(type="a", value="1");`, false],
    [`=> add(type="a", value=true);\n=> add(type="a", value="true");`, false],
    [`[type=="a"] => deny();\n![type=="a"] => deny();`, false],
  ],
  L20: [
    [`[type=="tpm.secure_boot", value==true, ${service}] => permit();`, true, { kinds: ['tdx'] }],
    [`[type=="tpm.secure_boot", value==true, ${service}] => permit();`, false, { kinds: ['tdx', 'tpm'] }],
    [`[type=="tpm.secure_boot", value==true, ${service}] => permit();`, false],
    [`[type=="ima.verified", value==true, ${service}] => permit();`, true, { kinds: ['tpm'] }],
    [`[type=="secureBootEnabled", value==true, ${service}] => permit();`, true, { kinds: ['tdx'] }],
    [`[type=="attestation.simulated", value==true, ${service}] => deny();`, false, { kinds: ['gpu'] }],
    [`[type=="report_data", value=="0", ${service}] => deny();`, false, { kinds: ['sgx'] }],
    [`=> add(type="tpm.x", value=1);\n[type=="tpm.x", ${own}] => permit();`, false, { kinds: ['tdx'] }],
  ],
}

const issuanceCases: Readonly<Record<string, readonly Case[]>> = {
  L05: [
    [asks('Events['), true],
    [asks('length()'), true],
    [asks('size(Events)'), true],
    [asks('Events[?PcrIndex == `foo`]'), true],
    [asks('Events'), false],
    [`${events} => issue(type="n", value=JmesPath(c.value, ""));`, true],
    [`${events} && q:[type=="custom:q"] => issue(type="n", value=JmesPath(c.value, q.value));`, false],
  ],
  L06: [
    [asks('Events[?DigestBound == true]'), true],
    [asks('Events[?ProcessedData != null]'), true],
    [asks('Events[?false]'), true],
    [asks('{a: true}'), true],
    [asks('Events[?DigestBound == `true`]'), false],
    [asks("Events[?EventTypeString == 'true']"), false],
    [asks('Events[].true'), false],
    [asks('{true: Events}'), false],
    [asks('Events[?DigestBound == \\"true\\"]'), false],
  ],
  L07: [
    [asks("Events[?PcrIndex == '7']"), true],
    [asks("Events[?'7' == PcrIndex]"), true],
    [asks("Events[?a.b != '-7']"), true],
    [asks("Events[?PcrIndex > '0']"), true],
    [asks('Events[?PcrIndex == `7`]'), false],
    [asks("Events[?Name == 'a7']"), false],
    [asks("Events[?Digest == '11111111111111111111']"), false],
    [asks("Events[?length(a) == '7']"), false],
  ],
  L08: [
    [asks('Events[?PcrIndex == `7`] | @ != `null`'), true],
    [asks('Events[?PcrIndex == `7`] | `null` != @'), true],
    [asks('Events[?PcrIndex == `7`] != `null`'), true],
    [asks('Events[*].PcrIndex | @ | @ != `null`'), true],
    [asks('keys(@) | @ != `null`'), true],
    [asks('[Events] | @ != `null`'), true],
    [asks('Events[] | (@ != `null`) && `true`'), false],
    [asks('Events[0] | @ != `null`'), false],
    [asks('Events[?PcrIndex == `7`] | [0] | @ != `null`'), false],
    [asks('Events[?PcrIndex == `7`] | length(@) | @ != `null`'), false],
    [asks('Events[?PcrIndex == `7`] | @ == `null`'), false],
    [asks('Events[?ProcessedData != `null`]'), false],
  ],
  L09: [
    [asks('events[0]'), true],
    [asks('length(events)'), true],
    [asks('events[?a] | [0]'), true],
    [asks('@ | PCRs'), true],
    [asks('Events && events'), true],
    [asks('Events[0].Events'), false],
    [asks('Events[?events]'), false],
    [asks('@ | Events'), false],
    [asks('map(&events, Events)'), false],
    [`c:[type=="pcrs", ${service}] => add(type="n", value=JmesPath(c.value, "Events"));`, true],
    [`c:[type=="ima.log", ${service}] => add(type="n", value=JmesPath(c.value, "Entries"));`, false],
    [`c:[type=="tpm.events", issuer=="CustomClaim"] => add(type="n", value=JmesPath(c.value, "events"));`, false],
    [`c:[type=="runtime.claims"] => add(type="n", value=JmesPath(c.value, "events"));`, false],
  ],
  L10: [
    [`c:[type=="tpm.pcrs", ${service}] => issue(claim=c);`, true],
    [`c:[type=="pcrs"] => issue(type="p", value=c.value);`, true],
    [`c:[type=="ima.log", ${service}] => issue(type="p", value=AppendString("x", c.value));`, true],
    [
      `c:[type=="pcrs"] => issueproperty(type="omit_x5c", value=NegateBool(JsonToClaimValue(JmesPath(c.value, "a"))));`,
      true,
    ],
    [`c:[type=="pcrs"] => add(type="p", value=c.value);\nd:[type=="p"] => issue(type="q", value=d.value);`, true],
    [
      `c:[type=="pcrs"] => add(type="p", value=c.value);\nd:[type=="p", ${service}] => issue(type="q", value=d.value);`,
      false,
    ],
    [`c:[type=="pcrs"] => add(type="p", value=c.value);`, false],
    [`c:[type=="pcrs"] => issue(type="p", value=IsSubsetOf(c.value, "a"));`, false],
    [`c:[type=="pcrs"] => issue(type="p", value=ContainsOnlyValue(c.value, "a"));`, false],
    [`c:[type=="pcrs", issuer=="CustomClaim"] => issue(type="p", value=c.value);`, false],
    [`c:[type=="pcrs"] => issue(type="p", value=c.type);`, false],
    [`c:[type=="tpm.events", ${service}] => issue(claim=c);`, false],
  ],
  L15: [
    [`c:[type=="gpu.debug", ${service}] => issue(type="d", value=NegateBool(c.value));`, true],
    [`c:[type=="gpu.mode", ${service}] => issue(type=c.value, value=1);`, true],
    [`c:[type=="gpu.mode", ${service}] && [type=="gpu.arch", value==c.value] => add(type="x", value=1);`, true],
    [`c:[type=="gpu.mode", ${service}] => issue(type="x", value=ContainsOnlyValue("a", c.value));`, true],
    [`c:[value==1, ${service}] => issue(type="x", value=AppendString("a", c.value));`, false],
    [`c:[${service}] => issue(type="x", value=AppendString("a", c.value));`, true],
    [`c:[type=="gpu.mode", ${service}] => issue(type="x", value=c.value);`, false],
    [`c:[type=="gpu.mode", ${service}] => issue(type="x", value=ContainsOnlyValue(c.value, "a"));`, false],
    [`c:[type=="gpu.mode", ${service}] => issue(type="x", value=IsSubsetOf("a", c.value));`, false],
    [`c:[type=="gpu.mode", value=="MPT", ${service}] => issue(type=c.value, value=1);`, false],
    [`c:[${debug}, ${service}] => issue(type="d", value=NegateBool(c.value));`, false],
    [`c:[type=="gpu.mode"] => add(type="m", value=c.value);\nd:[type=="m"] => issue(type=d.value, value=1);`, true],
    [`=> add(type="m", value=JsonToClaimValue("[1, 2]"));\nd:[type=="m"] => issue(type=d.value, value=1);`, true],
  ],
  L16: [
    [`=> issue(type="exp", value=1);`, true],
    [`=> issue(type="tee", value=1);`, true],
    [`=> issue(type="__proto__", value=1);`, true],
    [`c:[type=="dbgstat", ${service}] => issue(claim=c);`, true],
    [`=> issue(type="tee", value=1);`, false, { profile: 'maa' }],
    [`=> issue(type="cnf", value=1);`, true, { profile: 'maa' }],
    [`=> add(type="exp", value=1);`, false],
    [`=> issue(type="Exp", value=1);`, false],
  ],
  L20: [
    [`=> issueproperty(type="token_colour", value=1);`, true],
    [`=> issueproperty(type="required_pcr_mask", value=1);`, true, { kinds: ['tdx'] }],
    [`=> issueproperty(type="required_pcr_mask", value=1);`, false, { kinds: ['tpm'] }],
    [`=> issueproperty(type="required_pcr_mask", value=1);`, false],
    [`=> issueproperty(type="x-ms-sgx-tcbidentifier", value="a");`, true, { kinds: ['tdx'] }],
    [`=> issueproperty(type="omit_x5c", value=true);`, false, { kinds: ['tdx'] }],
  ],
  L22: [
    [`=> issueproperty(type="required_pcr_mask", value=255);`, true],
    [`=> issueproperty(type="required_pcr_mask", value=255);`, true, { kinds: ['tpm'] }],
    [`=> issueproperty(value=false, type="require_valid_aik_cert");`, true],
    [`c:[type=="required_pcr_mask", ${service}] => issueproperty(claim=c);`, true],
    [`=> issueproperty(type="omit_x5c", value=true);`, false],
    [`=> issueproperty(type="report_validity_in_minutes", value=5);`, false],
    [`=> issue(type="required_pcr_mask", value=255);`, false],
  ],
  L21: [
    [
      `${events} && n:[type=="runtime.data"] => add(type="x", value=JmesPath(c.value, AppendString("a", n.value)));`,
      true,
    ],
    [
      `n:[type=="custom:n"] => add(type="q", value=AppendString("a", n.value));\n${events} && q:[type=="q"] => add(type="x", value=JmesPath(c.value, q.value));`,
      true,
    ],
    [
      `n:[type=="custom:n"] => add(type="q", value=AppendString("a", n.value));\nq:[type=="q"] => add(type="r", value=AppendString(q.value, "b"));\n${events} && q:[type=="r"] => add(type="x", value=JmesPath(c.value, q.value));`,
      true,
    ],
    [`${events} && q:[type=="custom:q"] => add(type="x", value=JmesPath(c.value, q.value));`, true],
    [`n:[type=="custom:n"] => add(type="q", value=AppendString("a", n.value));`, false],
    [
      `=> add(type="q", value=AppendString("Ev", "ents"));\n${events} && q:[type=="q", ${own}] => add(type="x", value=JmesPath(c.value, q.value));`,
      false,
    ],
    [
      `${events} && n:[type=="custom:n", value=="a"] => add(type="x", value=JmesPath(c.value, AppendString("a", n.value)));`,
      false,
    ],
    [
      `${events} => add(type="n", value=JmesPath(c.value, "Events[0].EventSeq"));\n${events} && n:[type=="n", ${own}] => add(type="x", value=JmesPath(c.value, AppendString("a", n.value)));`,
      false,
    ],
    [
      `${events} => add(type="n", value=JmesPath(c.value, "Events[0].Name"));\n${events} && n:[type=="n", ${own}] => add(type="x", value=JmesPath(c.value, AppendString("a", n.value)));`,
      true,
    ],
    [
      `${events} => add(type="n", value=JmesPath(c.value, "Events[].EventSeq"));\n${events} && n:[type=="n", ${own}] => add(type="x", value=JmesPath(c.value, AppendString("a", n.value)));`,
      true,
    ],
    [
      `d:[type=="runtime.claims"] => add(type="n", value=JmesPath(d.value, "EventSeq"));\n${events} && n:[type=="n", ${own}] => add(type="x", value=JmesPath(c.value, AppendString("a", n.value)));`,
      true,
    ],
  ],
}

const listed = (cases: Readonly<Record<string, readonly Case[]>>, wrap: (rules: string) => string) =>
  Object.entries(cases).flatMap(([id, own]) =>
    own.map(
      ([rules, isFound, options]) => [id, isFound ? 'is told' : 'is not told', rules, wrap(rules), options] as const,
    ),
  )

describe('each rule of section 11', () => {
  it.each([...listed(authorizationCases, authorization), ...listed(issuanceCases, issuance)])(
    '%s %s: %s',
    (id, said, _rules, text, options) => expect(found(text, id, options)).toBe(said === 'is told'),
  )
})

describe('a text that reads other than it evaluates', () => {
  const safe = `[${debug}, value==true, ${service}] => deny();`
  const lexical = (rules: string) =>
    lintText(authorization(rules))
      .filter(({ id }) => id === 'L23' || id === 'L24')
      .map(({ id, line, column, length }) => `${id} ${line}:${column}+${length}`)

  it('ends lines with a lone CR: what is shown as one comment is a rule (L23)', () => {
    const hidden = lintText(authorization(`// checked by two\r${safe} // of us`))
    expect(
      hidden.filter(({ id }) => id === 'L23').map(({ line, column, length }) => `${line}:${column}+${length}`),
    ).toEqual(['3:18+0'])
    expect(lexical(`${safe}\r\n${safe.replace('debug', 'perfmon')}\n`)).toEqual([])
    expect(lexical(`//\r//\r//\r\n`)).toEqual(['L23 3:3+0'])
    const classic = authorization(safe).replaceAll('\n', '\r')
    expect(places(classic, 'L23')).toEqual(['1:13+0'])
  })

  it.each(['\u2028', '\u2029', '\u0085', '\u000b', '\u000c'])('seems to end a comment with %j (L23)', (end) => {
    expect(lexical(`// old${end}${safe}`)).toEqual(['L23 3:7+1'])
  })

  it.each(Array.from('\u061c\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069'))(
    'is shown in another order by %j, in comments and strings (L24)',
    (mark) => {
      expect(lexical(`// 漢😀 ${mark} ${mark}`)).toEqual(['L24 3:7+1'])
      expect(lexical(`${safe}\n[type=="a${mark}b", ${service}] => deny();`)).toEqual(['L24 4:10+1'])
    },
  )

  it('is told by name, once a line, whatever its length (L24)', () => {
    const [finding] = lintText(authorization(`// \u202e`)).filter(({ id }) => id === 'L24')
    expect(finding).toMatchObject({
      severity: 'warning',
      path: 'lexer',
      found: 'U+202E RIGHT-TO-LEFT OVERRIDE',
      hint: 'delete it',
    })
    expect(lexical(`// ${'\u2066'.repeat(9000)}`)).toHaveLength(1)
    expect(places(`\ufeffversion=1.2; // \u202e\nauthorizationrules {};`, 'L24')).toEqual(['1:17+1'])
  })

  it('is none for letters of any script', () => {
    expect(lexical('// שלום مرحبا 漢字 naïve \u{1f600} \u00a0\t')).toEqual([])
  })
})

describe('where it is told', () => {
  it.each<[string, string, string]>([
    ['L02', authorization(`[${debug}, value==true] => deny();`), '3:1+46'],
    ['L04', authorization(`a:[${debug}] && ![type=="nobody"] => add(type="b", value=1);`), '3:40+17'],
    ['L05', issuance(asks('Events[')), '6:97+9'],
    ['L12', authorization('  // [] => permit();'), '3:3+18'],
    ['L13', authorization('[] => permit();'), '3:1+15'],
    ['L16', issuance('=> issue(type="exp", value=1);'), '6:4+5'],
    ['L19', authorization('=> deny();\n  => deny();'), '4:3+10'],
  ])('%s', (id, text, place) => expect(places(text, id)).toEqual([place]))

  it('once, however often a query that was built is used', () => {
    const use = `${events} && q:[type=="q"] => add(type="x", value=JmesPath(c.value, q.value));`
    const built = 'n:[type=="custom:n"] => add(type="q", value=AppendString("a", n.value));'
    expect(places(issuance(`${built}\n${use}\n${use}`), 'L21')).toEqual(['6:45+26'])
  })

  it('in text order, with the production', () => {
    const lints = lintText(authorization('// => add(1)\n[] => permit();'))
    expect(lints.map(({ id, line, path }) => [id, line, path])).toEqual([
      ['L12', 3, 'lexer'],
      ['L01', 4, 'policy > authorizationrules > claimRule'],
      ['L02', 4, 'policy > authorizationrules > claimRule'],
      ['L13', 4, 'policy > authorizationrules > claimRule'],
    ])
  })
})

describe('the shipped policies', () => {
  const kindsOf: Readonly<Record<string, LintOptions['kinds']>> = {
    'attestd-default-tdx-v1': ['tdx'],
    'attestd-default-tdx-gpu-v1': ['tdx', 'gpu'],
    'attestd-default-tpm-v1': ['tpm'],
    'attestd-default-tpm-ima-v1': ['tpm', 'ima'],
    'attestd-default-tdx-tpm-v1': ['tdx', 'tpm'],
    'attestd-default-tdx-tpm-ima-v1': ['tdx', 'tpm', 'ima'],
    'attestd-default-sgx-v1': ['sgx'],
  }

  it.each(defaultPolicies.map(({ name, text }) => [name, text, kindsOf[name]] as const))('%s', (_name, text, kinds) => {
    expect(lintText(text, kinds ? { kinds } : {})).toEqual([])
  })

  it.each(examplePolicies.map(({ name, text, kinds }) => [name, text, kinds] as const))('%s', (_name, text, kinds) => {
    expect(lintText(text, { kinds })).toEqual([])
  })
})

describe('hostile policies', () => {
  it('of many rules that feed each other are linted in little time', () => {
    const rule = (at: number) =>
      `c:[type=="t${at}"] && d:[type=="t${at}"] => add(type="t${at + 1}", value=AppendString(c.value, d.value));`
    const rules = Array.from({ length: 500 }, (_, at) => rule(at)).join('\n')
    const seed = 'c:[type=="custom:x"] => add(type="t0", value=AppendString("a", c.value));'
    const begun = process.cpuUsage()
    lintText(issuance(`${seed}\n${rules}`))
    expect(process.cpuUsage(begun).user).toBeLessThan(2_000_000)
  })

  it('are linted without an exception, whatever stands where something fits', () => {
    const names = fc.constantFrom(
      'tdx.td_attributes.debug',
      '__proto__',
      'constructor',
      'tpm.pcrs',
      'toString',
      'a',
      '<n>',
      'tpm.pcr.<n>',
    )
    const query = fc.constantFrom(
      'Events',
      '@',
      'a[',
      '[@,@] | [@,@]',
      '`null` != @',
      "'\\\\'",
      'a.*[?b][].c',
      '&a',
      'length(true)',
    )
    const rule = fc
      .tuple(names, names, query, fc.boolean(), fc.constantFrom('add', 'issue'))
      .map(([one, two, text, negated, action]) =>
        negated
          ? `![type=="${one}"] => ${action}(type="${two}", value=JmesPath("${two}", "${text}"));`
          : `c:[type=="${one}"] => ${action}(type=c.value, value=JmesPath(c.value, AppendString(c.type, "${text}")));`,
      )
    fc.assert(
      fc.property(fc.array(rule, { maxLength: 6 }), (rules) => {
        for (const { line, column } of lintText(issuance(rules.join('\n')))) {
          expect(line).toBeGreaterThan(0)
          expect(column).toBeGreaterThan(0)
        }
      }),
      { numRuns: 300 },
    )
  })
})
