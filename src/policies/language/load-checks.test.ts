import { describe, expect, it } from 'vitest'
import { configured, describeRules, issuing, policyOf, verdictOn } from '../../../test/support/policy-rules.ts'
import { defaultPolicyLimits, type PolicyLimits } from '../policy-limits.ts'
import { parsePolicy } from './parse-policy.ts'
import { functionArity } from './words.ts'

const property = (name: string, value: string) => `=> issueproperty(type="${name}", value=${value});`
const allIn = (words: readonly string[]) =>
  words.map((word) => (/permit|deny/.test(word) ? `=> ${word}();` : `=> ${word}(type="a", value=1);`)).join('\n')
const call = (name: string, count: number) => `=> add(type="a", value=${name}(${Array(count).fill('"a"').join(',')}));`

describeRules('section 3', {
  'POL-301': {
    bad: [
      ...['permit', 'deny', 'add', 'issue'].map((word) => ['3:4', configured(allIn([word]))] as const),
      ['3:4', policyOf(allIn(['issueproperty']))],
      ...['permit', 'deny'].map((word) => ['4:4', issuing(allIn([word]))] as const),
    ],
    good: [
      configured(property('omit_x5c', 'true')),
      policyOf(allIn(['permit', 'deny', 'add', 'issue'])),
      issuing(allIn(['add', 'issue', 'issueproperty'])),
    ],
  },
  'POL-302': {
    bad: [
      ['3:13', policyOf('=> add(type=c.value, value=1);')],
      ['3:14', policyOf('=> add(claim=c);')],
      ['3:9', policyOf('[value==c.value] && c:[] => permit();')],
      ['3:11', policyOf('c:[value==c.value] => permit();')],
      ['4:14', policyOf('c:[] => permit();\n=> add(claim=c);')],
      ['3:20', policyOf('[value==NegateBool(C.value)] => permit();')],
      ['3:19', policyOf('C:[] => add(claim=c);')],
    ],
    good: [policyOf('c:[] && [value==c.value] && d:[value!=c.type] => add(type=d.type, value=c.value);')],
  },
  'POL-303': {
    bad: [
      ['3:9', policyOf('c:[] && c:[] => permit();')],
      ['3:15', policyOf('c:[] && [] && c:[] => permit();')],
    ],
    good: [policyOf('c:[] && C:[] => permit();\nc:[] => permit();')],
  },
  'POL-304': {
    bad: [
      ['3:2', policyOf('!c:[] => permit();')],
      ['3:11', policyOf('c:[] && ! c:[] => permit();')],
    ],
    good: [policyOf('c:[] && ![value==c.value] => permit();')],
  },
  'POL-305': {
    bad: ['jmesPath', 'JMESPath', 'JsonToClaimvalue', 'IsSubSetOf', 'Contains', 'permit', 'constructor'].map(
      (name) => ['3:24', policyOf(call(name, 2))] as const,
    ),
    good: Object.entries(functionArity).map(([name, arity]) => policyOf(call(name, arity))),
  },
  'POL-306': {
    bad: Object.entries(functionArity).flatMap(([name, arity]) =>
      [1, 2, 3].filter((count) => count !== arity).map((count) => ['3:24', policyOf(call(name, count))] as const),
    ),
    good: [policyOf('=> add(type="a", value=IsSubsetOf(NegateBool(true), AppendString("a", "b")));')],
  },
  'POL-307': {
    bad: [
      ['2:1', configured('').replace('1.1', '1.0')],
      ['3:1', policyOf('![] => permit();', '1.0')],
      ['3:7', policyOf('[] && ![] => permit();', '1.1')],
      ['3:24', policyOf(call('NegateBool', 1), '1.0')],
      ['3:9', policyOf('[value==NegateBool(true)] => permit();', '1.1')],
    ],
    good: [configured(''), configured('').replace('1.1', '1.2'), policyOf('[] => permit();', '1.0')],
  },
  'POL-308': {
    bad: [
      ...['type', 'issuer', 'valueType'].flatMap((name) =>
        ['<', '<=', '>', '>='].map(
          (operator) => [`3:${name.length + 2}`, policyOf(`[${name}${operator}"a"] => permit();`)] as const,
        ),
      ),
      ['3:8', policyOf('[value<"5"] => permit();')],
      ['3:9', policyOf('[value>=false] => permit();')],
      ['3:8', policyOf('[type==5] => permit();')],
      ['3:8', policyOf('[type!=true] => permit();')],
      ['3:10', policyOf('[issuer!=1] => permit();')],
      ['3:10', policyOf('[issuer!="attestationService"] => permit();')],
      ['3:13', policyOf('[valueType=="string"] => permit();')],
      ['3:14', policyOf('![valueType!="Bool"] => permit();')],
      ['3:13', policyOf('[valueType==true] => permit();')],
    ],
    good: [
      policyOf(
        'c:[] && [value<5, value>=c.value, value<=NegateBool(true), type==c.value, issuer!=c.issuer] => permit();',
      ),
      policyOf('[issuer=="AttestationService", issuer!="AttestationPolicy", issuer=="CustomClaim"] => permit();'),
      policyOf('[valueType=="String", valueType!="Integer", valueType=="Boolean", type==""] => permit();'),
      policyOf('c:[] && [valueType==AppendString("a", "b"), issuer==c.value, value=="a", value!=true] => permit();'),
    ],
  },
  'POL-309': {
    bad: [
      ['3:23', configured(property('omit_X5C', 'true'))],
      ['3:23', configured(property('constructor', 'true'))],
      ['3:41', configured(property('omit_x5c', '1'))],
      ['3:41', configured(property('omit_x5c', '"true"'))],
      ['3:55', configured(property('require_valid_aik_cert', '0'))],
      ['3:50', configured(property('required_pcr_mask', '-1'))],
      ['3:50', configured(property('required_pcr_mask', '16777216'))],
      ['3:59', configured(property('report_validity_in_minutes', '0'))],
      ['4:59', issuing(property('report_validity_in_minutes', '525601'))],
      ['4:55', issuing(property('x-ms-sgx-tcbidentifier', '5'))],
    ],
    good: [
      configured(property('required_pcr_mask', '0') + property('required_pcr_mask', '16777215')),
      configured(property('report_validity_in_minutes', '1') + property('report_validity_in_minutes', '525600')),
      configured(property('require_valid_aik_cert', 'false') + property('x-ms-sgx-tcbidentifier', '"azuredefault"')),
      configured('c:[] => issueproperty(type=c.type, value=c.value); c:[] => issueproperty(claim=c);'),
      configured('c:[] => issueproperty(type="required_pcr_mask", value=c.value);'),
      issuing(`${property('token_colour', '"red"')}=> issue(type="omit_x5c", value=5);`),
    ],
  },
  'POL-310': {
    bad: [
      ['3:13', policyOf('=> add(type="", value=1);')],
      ['3:13', policyOf('=> add(type=1, value=1);')],
      ['3:22', policyOf('=> add(value=1, type=true);')],
      ['3:13', policyOf(`=> add(type="${'\u{1f600}'.repeat(257)}", value=1);`)],
      ['3:23', configured(property('', 'true'))],
    ],
    good: [
      policyOf(`=> add(type="${'\u{1f600}'.repeat(256)}", value="");`),
      policyOf('c:[] => add(type=c.value, value=1); => add(type=NegateBool(true), value=1);'),
    ],
  },
})

describe('lenient mode (POL-110, POL-305)', () => {
  const text = 'VERSION=1.2;AUTHORIZATIONRULES{c:[VALUETYPE=="String"]=>ADD(Type="a",vAlue=NEGATEBOOL(c.Value));};'

  it('reads words in the wrong case and warns of each (L18)', () => {
    const { policy, warnings } = parsePolicy(text, { lenient: true })
    expect(policy?.authorization[0]).toMatchObject({
      conditions: [{ identifier: 'c', tests: [{ property: 'valueType' }] }],
      action: { kind: 'add', argument: { value: { function: 'NegateBool', arguments: [{ property: 'value' }] } } },
    })
    expect(warnings?.map(({ id, severity, column, hint }) => [id, severity, column, hint])).toEqual([
      ['L18', 'warning', 1, 'write version'],
      ['L18', 'warning', 13, 'write authorizationrules'],
      ['L18', 'warning', 35, 'write valueType'],
      ['L18', 'warning', 57, 'write add'],
      ['L18', 'warning', 61, 'write type'],
      ['L18', 'warning', 70, 'write value'],
      ['L18', 'warning', 76, 'write NegateBool'],
      ['L18', 'warning', 89, 'write value'],
    ])
  })

  it('refuses the same words in strict mode, each with the right spelling', () => {
    const { diagnostics } = parsePolicy(text)
    expect(diagnostics?.map(({ id, column }) => `${id} ${column}`)).toEqual(
      ['110 1', '110 13', '110 35', '110 57', '110 61', '110 70', '305 76', '110 89'].map((each) => `POL-${each}`),
    )
  })

  it.each([
    ['POL-302 1:57', 'version=1.2;authorizationrules{C:[]=>add(type="a",value=c.value);};'],
    ['POL-308 1:44', 'version=1.2;authorizationrules{[valueType=="string"]=>permit();};'],
    ['POL-305 1:53', 'version=1.2;authorizationrules{=>add(type="a",value=negatebol(true));};'],
    ['POL-307 1:53', 'version=1.1;authorizationrules{=>add(type="a",value=negatebool(true));};'],
    ['POL-209 1:38', 'version=1.2;authorizationrules{=>add(Issuer="a",type="a",value=1);};'],
    [
      'POL-309 1:53',
      'version=1.2;configurationrules{=>IssueProperty(type="OMIT_X5C",value=true);};authorizationrules{};',
    ],
  ])('accepts nothing else: %s', (expected, policy) => {
    expect(verdictOn(policy, { lenient: true })).toBe(expected)
  })
})

describe('limits', () => {
  const errorIn = (text: string, limits: Partial<PolicyLimits> = {}) => verdictOn(text, { limits })
  const conditions = (count: number) => policyOf(`${Array(count).fill('[]').join('&&')} => permit();`)
  const tests = (count: number) => policyOf(`[${Array(count).fill('value==1').join(',')}] => permit();`)
  const rules = (configuration: number, authorization: number, issuance: number) =>
    [
      `version=1.2;configurationrules{${property('omit_x5c', 'true').repeat(configuration)}};`,
      `authorizationrules{${'=>deny();'.repeat(authorization)}};`,
      `issuancerules{${'=>add(type="a",value=1);'.repeat(issuance)}};`,
    ].join('\n')
  const nested = (depth: number) => {
    const calls = depth - 1
    return policyOf(`=> add(type="a", value=${'NegateBool('.repeat(calls)}true${')'.repeat(calls)});`)
  }
  const literal = (text: string) => policyOf(`[value=="${text}"] => permit();`)
  const { textBytes, literalBytes } = defaultPolicyLimits

  it('of the text in bytes (POL-601)', () => {
    const filled = (bytes: number) => {
      const policy = policyOf('=> permit(); // \u{1f600}')
      return policy + ' '.repeat(bytes - new TextEncoder().encode(policy).length)
    }
    expect(errorIn(filled(textBytes))).toBe('loads')
    expect(errorIn(filled(textBytes + 1))).toBe('POL-601 1:1')
    expect(verdictOn(new TextEncoder().encode(filled(textBytes)))).toBe('loads')
    expect(verdictOn(new TextEncoder().encode(filled(textBytes + 1)))).toBe('POL-601 1:1')
    expect(errorIn(filled(textBytes + 1), { textBytes: textBytes + 1 })).toBe('loads')
  })

  it('of rules, in all sections together (POL-602)', () => {
    expect(errorIn(rules(12, 250, 250))).toBe('loads')
    expect(errorIn(rules(12, 250, 251))).toMatch(/^POL-602 3:/)
    expect(errorIn(rules(0, 513, 0))).toMatch(/^POL-602 2:4628$/)
    expect(errorIn(rules(1, 1, 1), { rules: 2 })).toBe('POL-602 3:15')
  })

  it('of conditions in a rule and tests in a condition (POL-602)', () => {
    expect(errorIn(conditions(32))).toBe('loads')
    expect(errorIn(conditions(33))).toBe('POL-602 3:129')
    expect(errorIn(tests(16))).toBe('loads')
    expect(errorIn(tests(17))).toBe('POL-602 3:146')
    expect(errorIn(tests(2), { testsPerCondition: 1 })).toBe('POL-602 3:11')
  })

  it('of the nesting of expressions (POL-603)', () => {
    expect(errorIn(nested(16))).toBe('loads')
    expect(errorIn(nested(17))).toBe('POL-603 3:200')
    expect(errorIn(nested(256), { expressionDepth: 256 })).toBe('loads')
    expect(errorIn(nested(257), { expressionDepth: 256 })).toMatch(/^POL-603 /)
    expect(errorIn(nested(5000))).toBe('POL-603 3:200')
  })

  it('of a string literal in bytes of what it says (POL-604)', () => {
    expect(errorIn(literal('x'.repeat(literalBytes)))).toBe('loads')
    expect(errorIn(literal('x'.repeat(literalBytes + 1)))).toBe('POL-604 3:9')
    expect(errorIn(literal('\u{1f600}'.repeat(literalBytes / 4)))).toBe('loads')
    expect(errorIn(literal(`${'\u{1f600}'.repeat(literalBytes / 4)}x`))).toBe('POL-604 3:9')
    expect(errorIn(literal('\\\\'.repeat(literalBytes)))).toBe('loads')
  })
})
