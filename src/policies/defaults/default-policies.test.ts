import { describe, expect, it } from 'vitest'
import { haveVectors, vector, vectorJson } from '../../../test/support/vectors.ts'
import { examplePolicies } from '../examples/example-policies.ts'
import { parsePolicy } from '../language/parse-policy.ts'
import { policyHash } from '../signed/policy-hashes.ts'
import { defaultPolicies, defaultPolicyFor } from './default-policies.ts'

const utf8 = new TextEncoder()
const hashOf = (text: string) => policyHash(utf8.encode(text))

describe('the shipped policies (POL-440)', () => {
  const recorded: readonly string[] = haveVectors ? Object.keys(vectorJson('policy/defaults/expected.json')) : []

  it.each(recorded)('%s is the recorded text, byte for byte', (name) => {
    const { file, policyHash: hash } = vectorJson('policy/defaults/expected.json')[name]
    const own = defaultPolicies.find((policy) => policy.name === name)
    expect(own && utf8.encode(own.text)).toEqual(vector(`policy/${file}`))
    expect(hashOf(own?.text ?? '')).toBe(hash)
  })

  it('never change once released', () => {
    expect(defaultPolicies.map(({ name, text }) => [name, hashOf(text)])).toEqual([
      ['attestd-default-tdx-v1', 'z_60Sj8CncUJVvm9PP9wopjAxvYoUHUJaDGkThiBF_E'],
      ['attestd-default-tdx-gpu-v1', 'dWu3vEUxjSNJHU6Fg6-PhMgAz1gIG63Ux4jNN5x6zE8'],
      ['attestd-default-tpm-v1', 'B-MlH_Gcr0LFuTrk0YcuDWby0e-NMUTgwvNHSyGgd7E'],
      ['attestd-default-tpm-ima-v1', 'GwexLsTWBBQJNKGkbyE2mVtf67KsVJcIeaq754mpOdg'],
      ['attestd-default-tdx-tpm-v1', 'ZwQr4tIHfHFIFxzVeZfL1Fy6mr9wURM_USFORc0Rh4A'],
      ['attestd-default-tdx-tpm-ima-v1', 'o_RHcQUW_H3bckIgHXnvAIg6sIx6qc1XXnrEdgkm6RQ'],
      ['attestd-default-sgx-v1', 'pVth-KqDEENWiJkqycYq-fPOmaAzldFA6zOcaMieyfs'],
      ['attestd-deny-all-v1', 'llN-mUFIxa82kh5R1R6iSKyZ3UwUCXuKneCpr1gQs6c'],
    ])
  })

  it.each([...defaultPolicies, ...examplePolicies])('$name loads, and names itself in the token', ({ name, text }) => {
    const parsed = parsePolicy(text)
    expect(parsed.diagnostics).toBeUndefined()
    expect(parsed.policy).toBeDefined()
    if (name !== 'attestd-deny-all-v1') expect(text).toContain(`issue(type="policy-name", value="${name}")`)
  })
})

describe('the default of kinds (POL-441)', () => {
  it.each([
    [['tdx'], 'attestd-default-tdx-v1'],
    [['gpu', 'tdx'], 'attestd-default-tdx-gpu-v1'],
    [['tpm'], 'attestd-default-tpm-v1'],
    [['ima', 'tpm', 'ima'], 'attestd-default-tpm-ima-v1'],
    [['tpm', 'tdx'], 'attestd-default-tdx-tpm-v1'],
    [['tpm', 'ima', 'tdx'], 'attestd-default-tdx-tpm-ima-v1'],
    [['sgx'], 'attestd-default-sgx-v1'],
    [[], 'attestd-deny-all-v1'],
    [['gpu'], 'attestd-deny-all-v1'],
    [['ima'], 'attestd-deny-all-v1'],
    [['tdx', 'ima'], 'attestd-deny-all-v1'],
    [['tdx', 'tpm', 'gpu'], 'attestd-deny-all-v1'],
    [['tdx', 'sgx'], 'attestd-deny-all-v1'],
  ] as const)('of %j is %s', (kinds, name) => expect(defaultPolicyFor(kinds).name).toBe(name))
})
