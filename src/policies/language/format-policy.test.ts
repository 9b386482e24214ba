import fc from 'fast-check'
import { describe, expect, it } from 'vitest'
import { policyTexts } from '../../../test/support/policy-arbitraries.ts'
import { policyBytes, policyCases } from '../../../test/support/policy-cases.ts'
import { haveVectors, vector } from '../../../test/support/vectors.ts'
import { defaultPolicyLimits } from '../policy-limits.ts'
import { formatPolicy } from './format-policy.ts'
import { type ParsePolicyOptions, parsePolicy } from './parse-policy.ts'

/** Everything that a policy says, without where it says it. */
function meaningOf(text: string | Uint8Array, options: ParsePolicyOptions = {}): string {
  const { policy } = parsePolicy(text, options)
  if (policy === undefined) throw new TypeError('the policy does not load')
  return JSON.stringify(policy, (key, value) => {
    if (key === 'span') return undefined
    return typeof value === 'bigint' ? { integer: String(value) } : value
  })
}

function commentsOf(text: string | Uint8Array, options: ParsePolicyOptions = {}): string[] {
  return parsePolicy(text, options).comments?.map((comment) => comment.text) ?? []
}

function formatted(text: string | Uint8Array, options: ParsePolicyOptions = {}): string {
  const result = formatPolicy(text, options)
  if (result.text === undefined) throw new TypeError(JSON.stringify(result.diagnostics))
  return result.text
}

describe('the canonical layout', () => {
  it('of a whole policy', () => {
    const text = [
      'version = 1.1 ; // the version',
      '',
      '',
      '// what the platform must be',
      'configurationrules{=>issueproperty(type="omit_x5c",value=true);};authorizationrules',
      '{ // all of them',
      '',
      '  c :[ type  == "a" , value>1 ]&& [] =>permit ( ) ; // trailing',
      '',
      '',
      '  // another',
      '  [type=="a",value<=-1]&&[type=="a-claim-with-a-long-name",issuer=="AttestationService"]&&c1:[type=="b"]',
      '=>add(claim',
      '=c1);',
      '',
      '} ; issuancerules{',
      '}',
      ';// the end',
    ].join('\r\n')
    expect(formatted(text).split('\n')).toEqual([
      'version=1.1; // the version',
      '',
      '// what the platform must be',
      'configurationrules',
      '{',
      '    => issueproperty(type="omit_x5c", value=true);',
      '};',
      'authorizationrules',
      '{ // all of them',
      '    c:[type=="a", value > 1] && [] => permit(); // trailing',
      '',
      '    // another',
      '    [type=="a", value <= -1] &&',
      '    [type=="a-claim-with-a-long-name", issuer=="AttestationService"] &&',
      '    c1:[type=="b"] => add(claim=c1);',
      '};',
      'issuancerules',
      '{',
      '}; // the end',
      '',
    ])
  })

  it('keeps comments in the middle of a rule where they are', () => {
    const text =
      'version=1.2;authorizationrules{[ // a\ntype=="x", // b\n// c\nvalue==1]&& // d\n// e\n![]\n// f\n=> // g\npermit()// h\n; };'
    expect(formatted(text).split('\n')).toEqual([
      'version=1.2;',
      'authorizationrules',
      '{',
      '    [ // a',
      '        type=="x", // b',
      '        // c',
      '        value==1] && // d',
      '    // e',
      '    ![]',
      '        // f',
      '        => // g',
      '        permit() // h',
      '        ;',
      '};',
      '',
    ])
  })

  it('breaks a rule at 101 characters, not at 100', () => {
    const rule = (length: number) => `    [type=="${'x'.repeat(length)}"] && [] => deny();`
    const policy = (line: string) => `version=1.0;\nauthorizationrules\n{\n${line}\n};\n`
    const width = 100 - rule(0).length
    expect(formatted(policy(rule(width)))).toBe(policy(rule(width)))
    expect(formatted(policy(rule(width + 1)))).toBe(policy(rule(width + 1).replace('&& ', '&&\n    ')))
  })

  it('writes words that lenient mode let pass as they are spelt', () => {
    const text = 'Version=1.2;AuthorizationRules{True:[Type=="A"]=>Add(Type="x",Value=negatebool(TRUE));};'
    expect(formatPolicy(text).diagnostics?.[0]).toMatchObject({ id: 'POL-110', line: 1, column: 1 })
    expect(formatted(text, { lenient: true })).toBe(
      'version=1.2;\nauthorizationrules\n{\n    True:[type=="A"] => add(type="x", value=NegateBool(true));\n};\n',
    )
  })

  it('refuses what does not load, and what would not load any more (POL-601)', () => {
    expect(formatPolicy('version=1.2;').diagnostics?.[0]).toMatchObject({ id: 'POL-201' })
    const dense = `version=1.2;authorizationrules{${'=>permit();'.repeat(9)}};`
    const { length } = formatted(dense)
    expect(formatPolicy(dense, { limits: { textBytes: length } }).text).toHaveLength(length)
    expect(formatPolicy(dense, { limits: { textBytes: length - 1 } }).diagnostics?.[0]).toMatchObject({ id: 'POL-601' })
  })
})

describe('formatting any policy', () => {
  function check(text: string | Uint8Array, options: ParsePolicyOptions = {}): void {
    const once = formatted(text, options)
    expect(meaningOf(once)).toBe(meaningOf(text, options))
    expect(commentsOf(once)).toEqual(commentsOf(text, options))
    expect(formatted(once)).toBe(once)
    expect(once).not.toContain('\n\n\n')
  }

  it('keeps its meaning and its comments, and changes nothing the second time', () => {
    fc.assert(
      fc.property(policyTexts, (text) => {
        check(text)
        expect(formatted(text).startsWith('\ufeff')).toBe(text.startsWith('\ufeff'))
      }),
      { numRuns: 1500 },
    )
  })

  it.skipIf(!haveVectors)('does so for every recorded policy', () => {
    const good = policyCases().filter(({ expect: { load } }) => load.status === 'ok')
    const limits = { textBytes: defaultPolicyLimits.textBytes }
    for (const each of good) check(policyBytes(each), { lenient: each.mode === 'lenient', limits })
  })

  it.skipIf(!haveVectors)('leaves the shipped policies as they are: they are in this layout', () => {
    const names = ['sgx', 'tdx-gpu', 'tdx', 'tpm-ima', 'tpm'].map((kind) => `attestd-default-${kind}-v1`)
    for (const name of [...names, 'attestd-deny-all-v1']) {
      const bytes = vector(`policy/defaults/${name}.policy`)
      expect(formatted(bytes)).toBe(new TextDecoder().decode(bytes))
    }
  })
})
