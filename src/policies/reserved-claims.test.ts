import { describe, expect, it } from 'vitest'
import { coreReservedClaims, reservedClaims } from '../results/reserved-claims.ts'
import { evaluatePolicy } from './evaluation/evaluate-policy.ts'
import { parsePolicy } from './language/parse-policy.ts'
import { type PolicyProfile, reservedNames } from './reserved-claims.ts'

it('reserves for policies what tokens use (POL-427)', () => {
  expect([...reservedNames.maa].sort()).toEqual([...coreReservedClaims].sort())
  expect([...reservedNames.attestd].sort()).toEqual([...reservedClaims].sort())
})

/** RFC 7519, OpenID Connect, RFC 7800, RFC 8693, RFC 9068 and the EAT of RFC 9711, as far as they are registered for JWT. */
const registered = [
  ...['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'cnf', 'nonce', 'auth_time', 'at_hash', 'c_hash', 's_hash'],
  ...['acr', 'amr', 'azp', 'sub_jwk', 'sid', 'events', 'act', 'may_act', 'scope', 'client_id', 'groups', 'roles'],
  ...['entitlements', 'authorization_details', 'name', 'preferred_username', 'email', 'email_verified', 'vc', 'vp'],
  ...['eat_nonce', 'eat_profile', 'ueid', 'sueids', 'oemid', 'hwmodel', 'hwversion', 'oemboot', 'dbgstat', 'location'],
  ...['submods', 'uptime', 'bootcount', 'bootseed', 'dloas', 'swname', 'swversion', 'manifests', 'measurements'],
  ...['measres', 'intuse'],
]

/** Names of Azure tokens for all kinds of evidence. */
const ofAzure = [
  ...['x-ms-ver', 'x-ms-attestation-type', 'x-ms-policy', 'x-ms-policy-hash', 'x-ms-policy-signer', 'x-ms-runtime'],
  ...['x-ms-inittime', 'x-ms-compliance-status', 'x-ms-isolation-tee', 'x-ms-azurevm-attestation-protocol-ver'],
  ...['x-ms-azurevm-vmid', 'x-ms-azurevm-debuggersdisabled', 'x-ms-azurevm-dbvalidated', 'x-ms-sgx-mrenclave'],
  ...['x-ms-sgx-mrsigner', 'x-ms-sgx-is-debuggable', 'x-ms-sgx-product-id', 'x-ms-sgx-svn', 'x-ms-sgx-ehd'],
  ...['x-ms-sevsnpvm-is-debuggable', 'x-ms-sevsnpvm-launchmeasurement', 'x-ms-sevsnpvm-vmpl', 'tee', 'secureboot'],
]

function isIssued(name: string, profile: PolicyProfile): boolean {
  const { policy } = parsePolicy(
    `version=1.0;authorizationrules{=> permit();};issuancerules{=> issue(type="${name}", value="x");};`,
  )
  if (policy === undefined) return expect.unreachable()
  const evaluation = evaluatePolicy(policy, [], { profile })
  if (evaluation.verdict === 'error') expect(evaluation.error.id).toBe('POL-427')
  return evaluation.verdict === 'permit' && evaluation.token[name] === 'x'
}

const issuedOf = (names: readonly string[], profile: PolicyProfile) => names.filter((name) => isIssued(name, profile))

/** The specification leaves them open: what a policy says there is its own word, in documents too. */
describe('names that a policy can issue (POL-427)', () => {
  it('are, of those registered for JWT, what no token of ours has', () => {
    expect(issuedOf(registered, 'attestd').join(' ')).toBe(
      's_hash sub_jwk sid events act may_act scope client_id groups roles entitlements authorization_details name ' +
        'preferred_username email email_verified vc vp ueid sueids oemid hwmodel hwversion oemboot location submods uptime ' +
        'bootcount bootseed dloas swname swversion manifests measurements measres',
    )
  })

  it('are the same in tokens in the style of Azure, and those of the table of our own tokens', () => {
    const closed = ['iss', 'sub', 'aud', 'exp', 'nbf', 'iat', 'jti', 'cnf', 'nonce', 'eat_nonce', 'eat_profile']
    expect(issuedOf(registered, 'maa')).toEqual(registered.filter((name) => !closed.includes(name)))
    const ours = [...reservedClaims].filter((name) => !coreReservedClaims.has(name))
    expect(issuedOf(ours, 'maa')).toEqual(ours)
  })

  it('are, of those of Azure, no word about the policy, the request or the judgement of Azure', () => {
    const closed = ['ver', 'attestation-type', 'policy', 'policy-hash', 'policy-signer', 'runtime', 'inittime']
    const core = closed.map((name) => `x-ms-${name}`)
    expect(issuedOf(ofAzure, 'maa')).toEqual(ofAzure.filter((name) => !core.includes(name)))
    const ours = [...core, 'x-ms-compliance-status', 'tee']
    expect(issuedOf(ofAzure, 'attestd')).toEqual(ofAzure.filter((name) => !ours.includes(name)))
  })

  it('differ from reserved ones in a letter, a case or a dot, and replace none', () => {
    const near = ['ISS', 'Sub', 'iss.', 'x_ms_policy', 'X-MS-Policy', 'tdx.tcb_status', 'prototype', 'constructor']
    expect(issuedOf(near, 'attestd')).toEqual(near)
  })
})
