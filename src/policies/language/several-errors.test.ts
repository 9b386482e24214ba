import { describe, expect, it } from 'vitest'
import { policyOf, verdictOn } from '../../../test/support/policy-rules.ts'
import { parsePolicy } from './parse-policy.ts'

describe('several errors in one text (POL-804)', () => {
  const placesOf = (text: string) =>
    (parsePolicy(text).diagnostics ?? []).map(({ id, line, column }) => `${id} ${line}:${column}`)

  it('are found one a rule and more, in text order', () => {
    const text = [
      'Version=1.0;',
      'authorizationrules {',
      '  [type="a"] => permit();',
      '  ![kind=="b", value==0x10] => deny();',
      '  [type=="c" value==007] => permit();',
      '  d:[] => add(type="a", value=e.value)',
      '}',
      'IssuanceRules {',
      '  => permit(5);',
      '};',
      ';',
    ].join('\n')
    expect(placesOf(text)).toEqual([
      'POL-110 1:1',
      'POL-206 3:8',
      'POL-307 4:3',
      'POL-207 4:5',
      'POL-108 4:23',
      'POL-212 5:14',
      'POL-108 5:21',
      'POL-302 6:31',
      'POL-204 7:1',
      'POL-203 8:1',
      'POL-110 8:1',
      'POL-301 9:6',
      'POL-209 9:13',
      'POL-211 11:1',
    ])
  })

  it('do not follow from a wrong character: what was meant is read on', () => {
    expect(placesOf(policyOf('[type==\u201ca\u201d, value==1] \u21d2 permit()\uff1b\n=> deny(5);'))).toEqual([
      'POL-104 3:8',
      'POL-104 3:23',
      'POL-104 3:33',
      'POL-209 4:9',
    ])
  })

  it('are kept back where they are mere consequences of a wrong character, and only there', () => {
    expect(placesOf(policyOf('[type # "a"] => permit();'))).toEqual(['POL-104 3:7'])
    expect(placesOf(policyOf('[type=="a"] # permit();\n=> deny(5);\n[] [] => deny();'))).toEqual([
      'POL-104 3:13',
      'POL-209 4:9',
      'POL-205 5:4',
    ])
    expect(placesOf('version=1.0;#\nauthorizationrules{}\nissuancerules{};')).toEqual(['POL-104 1:13', 'POL-203 3:1'])
  })

  it('are at most 64, and the first of them is the first of the text', () => {
    const places = placesOf(policyOf('[type="a"] => permit();\n'.repeat(400)))
    expect(places).toHaveLength(64)
    expect(places[0]).toBe('POL-206 3:6')
    expect(placesOf(policyOf('#$'.repeat(10_000)))[0]).toBe('POL-104 3:1')
  })

  it('leave the first error of a rule where it is, whichever was found first', () => {
    expect(verdictOn(policyOf('=> add(type="a", value=NegateBool(x.value, 5));'))).toBe('POL-306 3:24')
    expect(verdictOn(policyOf('=> add(type="a", value=NegateBool(x.value, 5;'))).toBe('POL-302 3:35')
    expect(verdictOn(policyOf('=> add(type="", value="a\\n");'))).toBe('POL-310 3:13')
  })
})
