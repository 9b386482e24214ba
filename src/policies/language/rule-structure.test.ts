import { describe, expect, it } from 'vitest'
import { parsePolicy } from './parse-policy.ts'
import { ruleStructure } from './rule-structure.ts'

function structuresOf(...rules: string[]): string[] {
  const { policy, diagnostics } = parsePolicy(`version=1.2; authorizationrules { ${rules.join('\n')}\n };`)
  if (policy === undefined) throw new TypeError(JSON.stringify(diagnostics))
  return policy.authorization.map(ruleStructure)
}

describe('what two rules say', () => {
  it.each([
    ['=> permit();', '  =>\n permit ( ) ; // yes'],
    ['[type=="a"] => permit();', 'c:[type=="a"] => permit();'],
    ['c:[type=="a"] => add(claim=c);', 'other:[type=="a"] => add(claim=other);'],
    ['c:[] => add(type="a", value=c.value);', 'd:[] => add(value=d.value, type="a");'],
    ['a:[] && b:[] => add(type=a.type, value=b.value);', 'b:[] && a:[] => add(type=b.type, value=a.value);'],
    ['=> add(type="a", value=-0);', '=> add(type="a", value=0);'],
    ['=> add(type="a", value=NegateBool(true));', '=> add(type="a", value=NegateBool( true ));'],
  ])('is the same for %s and %s', (left, right) => {
    const [first, second] = structuresOf(left, right)
    expect(first).toBe(second)
  })

  it.each([
    ['=> permit();', '=> deny();'],
    ['[type=="a"] => permit();', '![type=="a"] => permit();'],
    ['[type=="a"] => permit();', '[type!="a"] => permit();'],
    ['[type=="a"] => permit();', '[issuer=="CustomClaim"] => permit();'],
    ['[value=="1"] => permit();', '[value==1] => permit();'],
    ['[value=="true"] => permit();', '[value==true] => permit();'],
    ['[value==1, type=="a"] => permit();', '[value==1] && [type=="a"] => permit();'],
    ['a:[] && b:[] => add(type=a.type, value=b.value);', 'a:[] && b:[] => add(type=b.type, value=a.value);'],
    ['a:[] && b:[] => add(claim=a);', 'a:[] && b:[] => add(claim=b);'],
    ['a:[] => add(claim=a);', 'a:[] => issue(claim=a);'],
    ['=> add(type="a", value="b");', '=> add(type="b", value="a");'],
    ['=> add(type="a", value=AppendString("a", "b"));', '=> add(type="a", value=IsSubsetOf("a", "b"));'],
    ['=> add(type="a", value=JsonToClaimValue("a"));', '=> add(type="a", value="a");'],
    ['=> add(type="integer", value=5);', '=> add(type="a", value="integer");'],
  ])('differs for %s and %s', (left, right) => {
    const [first, second] = structuresOf(left, right)
    expect(first).not.toBe(second)
  })
})
