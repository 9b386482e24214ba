import { describe, expect, it } from 'vitest'
import { describeRules, issuing, policyOf } from '../../../test/support/policy-rules.ts'
import { parsePolicy } from './parse-policy.ts'

const all = 'version=1.2;configurationrules{};authorizationrules{};issuancerules{};'

describeRules('section 2', {
  'POL-201': {
    bad: [
      ['1:13', 'version=1.0;'],
      ['1:13', 'version=1.0;issuancerules{};authorizationrules{};'],
      ['1:34', 'version=1.1;configurationrules{};issuancerules{};'],
      ['1:13', 'version=1.0;version=1.0;authorizationrules{};'],
      ['1:13', 'version=1.0;=>permit();'],
      ['1:13', 'version=1.0;authorization{};'],
    ],
    good: ['version=1.0;authorizationrules{};', all, all.replace('configurationrules{};', '')],
  },
  'POL-202': {
    bad: [
      ['1:1', 'authorizationrules{};'],
      ['1:9', 'version 1.0;authorizationrules{};'],
      ['1:8', 'version==1.0;authorizationrules{};'],
      ['1:9', 'version="1.0";authorizationrules{};'],
      ['1:9', 'version=1;authorizationrules{};'],
      ['1:9', 'version=1.;authorizationrules{};'],
      ['1:9', 'version=-1.0;authorizationrules{};'],
      ['1:9', 'version=01.0;authorizationrules{};'],
      ['1:9', 'version=1.0.0;authorizationrules{};'],
      ['1:9', 'version=2.0;authorizationrules{};'],
      ['1:10', 'version= ;authorizationrules{};'],
      ['1:12', 'version=1.0,1.0;authorizationrules{};'],
      ['1:12', 'version=1.0'],
      ['1:13', 'version=1.0 authorizationrules{};'],
    ],
    good: ['version=1.0;authorizationrules{};', 'version=1.1;authorizationrules{};', all],
  },
  'POL-203': {
    bad: [
      ['1:31', 'version=1.0;authorizationrules;'],
      ['1:32', 'version=1.0;authorizationrules ['],
      ['1:32', 'version=1.0;authorizationrules{'],
      ['1:33', 'version=1.0;authorizationrules{}'],
      ['1:33', 'version=1.0;authorizationrules{}}'],
      ['1:43', 'version=1.0;authorizationrules{=>permit();issuancerules{};'],
      ['1:33', 'version=1.0;authorizationrules{}issuancerules{};'],
    ],
    good: ['version=1.0;authorizationrules{ } ;'],
  },
  'POL-204': {
    bad: [
      ['4:1', policyOf('=> permit()')],
      ['3:13', policyOf('=> permit() => deny();')],
      ['3:12', policyOf('=> permit()) ;')],
      ['1:42', 'version=1.0;authorizationrules{=>permit()'],
    ],
    good: [policyOf('=> permit() ;')],
  },
  'POL-205': {
    bad: [
      ['3:4', policyOf('[] [] => permit();')],
      ['3:4', policyOf('[] & [] => permit();')],
      ['3:4', policyOf('[] | [] => permit();')],
      ['3:4', policyOf('[] and [] => permit();')],
      ['3:4', policyOf('[] = > permit();')],
      ['3:4', policyOf('[] == permit();')],
      ['3:3', policyOf('[];')],
      ['3:1', policyOf('permit();')],
      ['3:1', policyOf('Permit();')],
    ],
    good: [policyOf('[] && [] => permit();')],
  },
  'POL-206': {
    bad: [
      ['3:6', policyOf('[type] => permit();')],
      ['3:6', policyOf('[type, value==1] => permit();')],
      ['3:7', policyOf('[type "a"] => permit();')],
      ['3:6', policyOf('[type!"a"] => permit();')],
      ['3:7', policyOf('[value=>1] => permit();')],
      ['3:6', policyOf('[type:"a"] => permit();')],
      ['3:6', policyOf('[type:constructor] => permit();')],
    ],
    good: [policyOf('[value==1, value!=1, value<1, value<=1, value>1, value>=1] => permit();')],
  },
  'POL-207': {
    bad: [
      ['3:1', policyOf(';')],
      ['3:13', policyOf('=> permit();;')],
      ['3:1', policyOf('"a" => permit();')],
      ['3:1', policyOf('(type=="a") => permit();')],
      ['3:7', policyOf('[] && => permit();')],
      ['3:4', policyOf('c: => permit();')],
      ['3:3', policyOf('c:![] => permit();')],
      ['3:3', policyOf('! => permit();')],
      ['3:2', policyOf('["type"=="a"] => permit();')],
      ['3:2', policyOf('[,type=="a"] => permit();')],
      ['3:2', policyOf('[valuetypes=="a"] => permit();')],
      ['3:9', policyOf('![] && c[] => permit();')],
      ['3:19', policyOf('c:[] && [value==c.values] => permit();')],
    ],
    good: [policyOf('[] && ![] && c:[] && ! [value==c . value] => permit();')],
  },
  'POL-208': {
    bad: [
      ['3:4', policyOf('=> ;')],
      ['3:4', policyOf('=> ();')],
      ['3:4', policyOf('=> "permit"();')],
      ['3:4', policyOf('=> permits();')],
      ['3:4', policyOf('=> issueclaim(type="a", value=1);')],
    ],
    good: [policyOf('=> permit(); => deny(); => add(type="a", value=1);')],
  },
  'POL-209': {
    bad: [
      ['3:10', policyOf('=> permit;')],
      ['3:11', policyOf('=> permit("a");')],
      ['4:1', policyOf('=> permit(')],
      ['3:7', policyOf('=> add="a";')],
      ['3:8', policyOf('=> add();')],
      ['3:12', policyOf('=> add(type);')],
      ['3:12', policyOf('=> add(type:"a", value=1);')],
      ['3:15', policyOf('=> add(value=1);')],
      ['3:17', policyOf('=> add(type="a" value=1);')],
      ['3:18', policyOf('=> add(type="a", );')],
      ['3:18', policyOf('=> add(type="a", claim=c);')],
      ['3:26', policyOf('=> add(type="a", value=1,);')],
      ['3:27', policyOf('=> add(type="a", value=1, value=2);')],
      ['3:27', policyOf('=> add(type="a", value=1, colour=2);')],
      ['3:8', policyOf('=> add(issuer="AttestationService", type="a", value=1);')],
      ['3:8', policyOf('=> add(valueType="String", type="a", value=1);')],
      ['3:19', policyOf('c:[] => add(claim=5);')],
      ['3:20', policyOf('c:[] => add(claim=c.value);')],
      ['3:20', policyOf('c:[] => add(claim=c, type="a");')],
    ],
    good: [
      policyOf('=> add(type="a", value=1); => add ( value = 1 , type = "a" );'),
      policyOf('c:[] => add(claim=c);'),
    ],
  },
  'POL-210': {
    bad: [
      ['3:9', policyOf('[value==] => permit();')],
      ['3:9', policyOf('[value===1] => permit();')],
      ['3:8', policyOf('[value<>1] => permit();')],
      ['3:9', policyOf('[value==<your value>] => permit();')],
      ['3:9', policyOf('[value==[1, 2]] => permit();')],
      ['3:12', policyOf('[value==yes] => permit();')],
      ['3:12', policyOf('[value==abc] => permit();')],
      ['3:9', policyOf('[value==deny] => permit();')],
      ['3:19', policyOf('[value==NegateBool] => permit();')],
      ['3:20', policyOf('[value==NegateBool()] => permit();')],
      ['3:24', policyOf('[value==NegateBool(true] => permit();')],
      ['3:24', policyOf('[value==IsSubsetOf("a" "b")] => permit();')],
    ],
    good: [policyOf('c:[] && [value==NegateBool(NegateBool(c.value)), value!=true, value!="", value!=0] => permit();')],
  },
  'POL-211': {
    bad: [
      ['1:34', 'version=1.0;authorizationrules{};;'],
      ['1:34', 'version=1.0;authorizationrules{};=>permit();'],
      ['1:34', 'version=1.0;authorizationrules{};issuance{};'],
      ['1:34', 'version=1.0;authorizationrules{};version=1.0;'],
      [`1:${all.length + 1}`, `${all}}`],
    ],
    good: [`${all} // the end`],
  },
  'POL-212': {
    bad: [
      ['3:12', policyOf('[type=="a" value==1] => permit();')],
      ['3:11', policyOf('[type=="a"; value==1] => permit();')],
      ['3:12', policyOf('[type=="a" && value==1] => permit();')],
      ['3:12', policyOf('[type=="a" => permit();')],
      ['3:11', policyOf('[type=="a"} => permit();')],
      ['3:11', policyOf('[value==1 .value] => permit();')],
    ],
    good: [policyOf('[type=="a",value==1 , issuer=="CustomClaim"] => permit();')],
  },
  'POL-213': {
    bad: [
      ['1:34', 'version=1.0;authorizationrules{};authorizationrules{};'],
      ['1:50', 'version=1.0;authorizationrules{};issuancerules{};issuancerules{};'],
      ['1:50', 'version=1.0;authorizationrules{};issuancerules{};authorizationrules{};'],
      ['1:34', 'version=1.1;authorizationrules{};configurationrules{};'],
      ['1:34', 'version=1.1;configurationrules{};configurationrules{};authorizationrules{};'],
    ],
    good: [all],
  },
})

describe('what the text says', () => {
  it('is what the policy holds', () => {
    const { policy } = parsePolicy(
      issuing(
        'c:[type=="a", value!=-5] && ![issuer=="CustomClaim"] => issue(value=NegateBool(c.value), type="\\"x\\\\");',
      ),
    )
    expect(policy).toMatchObject({ version: '1.2', configuration: [], authorization: [] })
    expect(policy?.issuance).toMatchObject([
      {
        conditions: [
          {
            negated: false,
            identifier: 'c',
            tests: [
              { property: 'type', operator: '==', expression: { kind: 'string', value: 'a' } },
              { property: 'value', operator: '!=', expression: { kind: 'integer', value: -5n } },
            ],
          },
          { negated: true, identifier: null, tests: [{ property: 'issuer' }] },
        ],
        action: {
          kind: 'issue',
          argument: {
            kind: 'claim',
            type: { kind: 'string', value: '"x\\' },
            value: {
              kind: 'call',
              function: 'NegateBool',
              arguments: [{ kind: 'property', identifier: 'c', property: 'value' }],
            },
          },
        },
      },
    ])
    expect(parsePolicy(policyOf('c:[] => add(claim=c); => deny();')).policy?.authorization).toMatchObject([
      {
        conditions: [{ identifier: 'c', tests: [] }],
        action: { kind: 'add', argument: { kind: 'copy', identifier: 'c' } },
      },
      { conditions: [], action: { kind: 'deny' } },
    ])
  })
})
