import { describe, expect, it } from 'vitest'
import { defaultPolicies, parsePolicy } from '../index.ts'
import { asksForDocuments } from './asked-documents.ts'

function asks(text: string): boolean {
  const { policy, diagnostics } = parsePolicy(text)
  if (policy === undefined) throw new Error(diagnostics[0]?.message)
  return asksForDocuments(policy)
}

const rule = (conditions: string) => `version=1.2;authorizationrules{${conditions} => permit();};`

describe('whether a policy can see documents (POL-432)', () => {
  it.each<[boolean, string]>([
    [true, '[type=="tpm.events"]'],
    [true, '![type=="ima.log"]'],
    [true, '[type=="tpm.ak_trusted", value==true] && [type=="pcrs"]'],
    [true, '[type=="events", value!=""]'],
    [true, '[issuer=="AttestationService"]'],
    [true, '[type!="tpm.ak_name"]'],
    [true, '[type==AppendString("tpm.", "events")]'],
    [false, ''],
    [false, '[type=="tpm.ak_trusted", value==true]'],
    [false, '[type=="tpm.events.of.mine"]'],
    [false, '[type!="x", type=="tpm.pcr.4"]'],
  ])('%s: %s', (expected, conditions) => {
    expect(asks(rule(conditions))).toBe(expected)
  })

  it('looks at rules of every section', () => {
    const issuance = 'issuancerules{c:[type=="tpm.events"] => add(type="x", value=c.value);};'
    expect(asks(`${rule('')}${issuance}`)).toBe(true)
    const configuration = '[type=="tpm.pcrs"] => issueproperty(type="required_pcr_mask", value=1);'
    expect(asks(`version=1.2;configurationrules{${configuration}};authorizationrules{=> permit();};`)).toBe(true)
  })

  it('is not so of any default: they cost no documents', () => {
    expect(defaultPolicies.filter(({ text }) => asks(text)).map(({ name }) => name)).toEqual([])
  })
})
