import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { encode, u32be } from '../../base/layout.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { ekPolicies, ekPolicyOf, ekTemplates } from './ek-templates.ts'

const commandCodes = { policyOr: 0x171, policySecret: 0x151 } as const
const endorsement = 0x4000000b

/** TPM 2.0 Part 3, section 23.6: every branch is hashed into a digest that starts again at zero. */
function policyOr(hash: HashName, branches: readonly Uint8Array[]): Uint8Array {
  return digestOf(hash, new Uint8Array(hashAlgorithms[hash].size), encode(u32be, commandCodes.policyOr), ...branches)
}

/** Part 3, section 23.4 with an empty policyRef: two hashes. */
function policySecret(hash: HashName): Uint8Array {
  const entity = concatBytes(encode(u32be, commandCodes.policySecret), encode(u32be, endorsement))
  return digestOf(hash, digestOf(hash, new Uint8Array(hashAlgorithms[hash].size), entity))
}

describe('policies of endorsement keys', () => {
  it('are what their commands compute', () => {
    expect(ekPolicies.secretSha256.digest).toEqual(policySecret('sha256'))
    expect(ekPolicies.eitherSha256.branches[0]).toEqual(policySecret('sha256'))
    expect(ekPolicies.eitherSha384.branches[0]).toEqual(policySecret('sha384'))
    expect(ekPolicies.eitherSha256.digest).toEqual(policyOr('sha256', ekPolicies.eitherSha256.branches))
    expect(ekPolicies.eitherSha384.digest).toEqual(policyOr('sha384', ekPolicies.eitherSha384.branches))
  })

  it.each(Object.entries(ekTemplates))('%s has a policy of its own hash that can be satisfied', (_, { area }) => {
    expect(ekPolicyOf(area)?.digest).toEqual(area.authPolicy)
    expect(area.authPolicy).toHaveLength(hashAlgorithms[area.nameAlg].size)
  })

  it('another policy is not known', () => {
    const { area } = ekTemplates['rsa-2048']
    expect(ekPolicyOf({ ...area, authPolicy: new Uint8Array(32) })).toBeNull()
    expect(ekPolicyOf({ ...area, authPolicy: new Uint8Array() })).toBeNull()
  })
})

it('templates have the attributes of the TCG profile', () => {
  expect(ekTemplates['rsa-2048'].area.attributes).toBe(0x000300b2)
  expect(ekTemplates['p-256'].area.attributes).toBe(0x000300b2)
  expect(ekTemplates['p-256-high'].area.attributes).toBe(0x000300f2)
  expect(ekTemplates['p-384-high'].area.attributes).toBe(0x000300f2)
})
