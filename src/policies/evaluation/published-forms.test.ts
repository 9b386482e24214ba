import { describe, expect, it } from 'vitest'
import { issued, outcome, policyFrom, service } from '../../../test/support/policy-evaluations.ts'
import { evaluatePolicy, parsePolicy } from '../index.ts'

/**
 * Forms that policies written for Azure are made of, each in a policy of our own: whoever brings such a policy finds
 * that it loads and says the same here (scope of the specification), or is told what is wrong in it.
 */
const log = service(
  'log',
  JSON.stringify({
    Steps: [
      { Seq: 0, Row: 7, Kind: 'VAR', Data: { Name: 'Lock', Raw: 'AQ' } },
      {
        Seq: 1,
        Row: 12,
        Kind: 'TAG',
        Data: { Box: { Signed: true, Mode: { Value: 0 }, Mods: [{ Path: '\\Boot\\A.sys' }] } },
      },
      { Seq: 2, Row: 12, Kind: 'TAG', Data: { Box: { Signed: true, Mode: { Value: 3 }, Svn: 5 } } },
      { Seq: 3, Row: 13, Kind: 'TAG', Data: { Mods: [{ Path: '\\BOOT\\b.SYS', Svn: 9 }] } },
      { Seq: 4, Row: 12, Kind: 'END' },
    ],
  }),
)
const of = (type: string, issuer = 'AttestationService') => `[type=="${type}", issuer=="${issuer}"]`
const made = (type: string) => of(type, 'AttestationPolicy')
const asked = (type: string, query: string, verb = 'add') =>
  `c:${of('log')} => ${verb}(type="${type}", value=JmesPath(c.value, "${query}"));`

describe('queries that published policies ask', () => {
  it.each<readonly [string, string, unknown]>([
    [
      'count, then look at the only one',
      "Steps[?Data.Name == 'Lock'] | length(@) == `1` && @[0].Data.Raw == 'AQ'",
      true,
    ],
    ['count, then take a field of it', 'Steps[? Row == `7` ] | length(@) == `1` && @[0] | @.Data.Raw', 'AQ'],
    ['the same where there are two', "Steps[?Kind == 'TAG'] | length(@) == `1` && @[0] | @.Seq", undefined],
    ['the first that is not zero', 'Steps[*].Data.Box.Mode | @[? Value != `0`].Value | @[0]', 3],
    ['the last one', 'Steps[*].Seq | @[-1]', 4],
    ['alternatives in brackets', "length(Steps[?Kind == 'TAG' && (Row == `12` || Row == `13`)])", 3],
    ['paths in any case', "Steps[*].Data.Mods[] | [?equals_ignore_case(Path, '\\\\boot\\\\b.sys')].Svn | @[0]", 9],
    [
      'a member in either of two places',
      'Steps[?((Data.Box.Mods[].Svn | @[0]) || (Data.Mods[].Svn | @[0]))].Seq | [0]',
      3,
    ],
    ['a text between backticks', 'Steps[0].Data.Raw == `\\"AQ\\"`', true],
    ['what is not null', 'length(Steps[?Data.Box.Signed != `null`])', 2],
  ])('%s (POL-520, POL-521)', (_, query, result) => {
    const rule = `c:${of('log')} => issue(type="r", value=JsonToClaimValue(JmesPath(c.value, "${query}")));`
    const value = typeof result === 'number' ? BigInt(result) : result
    expect(issued([rule], [log])).toEqual(value === undefined ? {} : { r: value })
  })

  it('make an object, of which a later rule takes a member (POL-501)', () => {
    const rules = [
      asked('found', "Steps[?Kind == 'END'] | length(@) == `1` && @[0] | @.{At:Seq, Where:Row}"),
      `c:${made('found')} => issue(type="where", value=JsonToClaimValue(JmesPath(c.value, "Where")));`,
    ]
    expect(issued(rules, [log])).toEqual({ where: 12n })
  })
})

describe('rules that published policies are made of', () => {
  it('build a query piece by piece from sequence numbers, with a way out where there is none (POL-505)', () => {
    const rules = (kind: string) => [
      asked('endAt', `Steps[?Kind == '${kind}'] | @[0].Seq`),
      `c:[type=="endAt", value != "null", issuer=="AttestationPolicy"] => add(type="clause", value=AppendString(AppendString("Steps[? Seq < \`", c.value), "\`"));`,
      '[type=="endAt", value=="null", issuer=="AttestationPolicy"] => add(type="clause", value="Steps[? `true` ");',
      `c:${made('clause')} => add(type="query", value=AppendString(c.value, " && Data.Box.Svn].Data.Box.Svn | @[0]"));`,
      `q:${made('query')} && d:${of('log')} => issue(type="svn", value=JsonToClaimValue(JmesPath(d.value, q.value)));`,
    ]
    expect(issued(rules('END'), [log])).toEqual({ svn: 5n })
    expect(issued(rules('NONE'), [log])).toEqual({ svn: 5n })
    expect(issued(rules('VAR'), [log])).toEqual({})
  })

  it('gather one claim from two questions and ask whether all agree (POL-416, POL-507)', () => {
    const gather = (query: string) =>
      `c:${of('log')} => add(type="all", value=JsonToClaimValue(JmesPath(c.value, "${query}")));`
    const decide = [
      `c:${made('all')} => issue(type="ok", value=ContainsOnlyValue(c.value, true));`,
      `![type=="ok", issuer=="AttestationPolicy"] => issue(type="ok", value=false);`,
    ]
    expect(issued([gather('Steps[*].Data.Box.Signed'), gather('[`true`]'), ...decide], [log])).toEqual({ ok: true })
    expect(issued([gather('Steps[*].Data.Box.Signed'), gather('[`false`]'), ...decide], [log])).toEqual({ ok: false })
    expect(issued([gather('Steps[*].Data.None'), ...decide], [log])).toEqual({ ok: false })
  })

  it('compare a claim with a bound one, and with what a query gives (POL-407, POL-413)', () => {
    const names = [{ type: 'os', value: 'x', issuer: 'CustomClaim' }, service('os', 'x'), service('svn', 5)]
    const rules = [
      `F1:[type=="os" , issuer=="CustomClaim"] && C2:[type=="os" , issuer=="AttestationService", value== F1.value ] => issue(claim = C2);`,
      `c:${of('log')} && v:[type=="svn", value==JsonToClaimValue(JmesPath(c.value, "Steps[2].Data.Box.Svn"))] => issue(claim = v);`,
    ]
    expect(issued(rules, [log, ...names])).toEqual({ os: 'x', svn: 5n })
    expect(issued(rules, [log, service('os', 'y'), ...names.slice(0, 1), service('svn', 6)])).toEqual({})
  })

  it('stand several in a line, with blanks and comments anywhere (POL-103, POL-105)', () => {
    const text = `version= 1.2;configurationrules{ };authorizationrules { \n\t=> permit();\n};issuancerules\n{
      // first
      c :[ type=="log" , issuer=="AttestationService" ]=>add( type = "n",value = JmesPath(c.value,"length(Steps)")) ; c:[type=="n"]=> issue(claim=c);//last
      ![type == "m"]=>issue(value=0, type="m") ;
    };`
    expect(outcome(evaluatePolicy(policyFrom(text), [log], { profile: 'maa' }))).toEqual({ m: 0n, n: '5' })
  })

  it('verify read-only registers in authorizationrules, and say issue there (POL-425, L11)', () => {
    const text = `version=1.2; authorizationrules {
      c:[type=="pcrs", issuer=="AttestationService"] => add(type="row0", value=JsonToClaimValue(JmesPath(c.value, "PCRs[? Index == \`0\`].Digests.SHA256 | @[0] =='ab' ")));
      [type=="row0", value==true] => issue(type="rowsGood", value=true);
      c:[type=="rowsGood", issuer=="AttestationPolicy", value==true] => permit();
    }; issuancerules { };`
    const pcrs = (digest: string) =>
      service('pcrs', JSON.stringify({ PCRs: [{ Index: 0, Digests: { SHA256: digest } }] }))
    const run = (digest: string) => evaluatePolicy(policyFrom(text), [pcrs(digest)], { profile: 'maa' })
    expect(outcome(run('ab'))).toEqual({})
    expect(outcome(run('ac'))).toBe('no-permit')
  })
})

describe('mistakes that published policies have', () => {
  const within = (rule: string) => `version=1.0;\nauthorizationrules {\n${rule}\n};\n`
  it.each<readonly [string, string, string, number, number, RegExp]>([
    ['a single =', within('c:[type="a", issuer=="AttestationService"] => permit();'), 'POL-206', 3, 8, /==/],
    ['no ; behind a rule', within('[type=="a"] => permit()'), 'POL-204', 4, 1, /;/],
    [
      'a place that was never filled in',
      within('[type=="a", value==<product-id>] => permit();'),
      'POL-210',
      3,
      20,
      /in the place of/,
    ],
    ['a curly quote', within('[type=="a”] => permit();'), 'POL-106', 3, 8, /U\+201D/],
    [
      'a capital in the name of a section',
      'version=1.0;\nAuthorizationrules { => permit(); };',
      'POL-110',
      2,
      1,
      /authorizationrules/,
    ],
    [
      'an argument without its name',
      `${within('=> permit();')}issuancerules { => issue("a", value=true); };`,
      'POL-209',
      5,
      26,
      /type=/,
    ],
    [
      'a misspelt function',
      'version=1.2; authorizationrules { => add(type="a", value=NegateBol(true)); };',
      'POL-305',
      1,
      58,
      /NegateBool/,
    ],
    [
      'too few arguments',
      'version=1.2; authorizationrules { => add(type="a", value=ContainsOnlyValue(100)); };',
      'POL-306',
      1,
      58,
      /2 arguments/,
    ],
  ])('%s: the place and the remedy (POL-801)', (_, text, id, line, column, says) => {
    const [first] = parsePolicy(text).diagnostics ?? []
    expect(first).toMatchObject({ id, line, column })
    expect(`${first?.message} ${first?.hint} ${first?.expected.join()}`).toMatch(says)
  })
})
