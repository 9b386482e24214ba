import { runInNewContext } from 'node:vm'
import { isAuthorized, preparsePolicySet, statefulIsAuthorized } from '@cedar-policy/cedar-wasm/nodejs'
import { defaultPolicyFor, evaluatePolicy, type Policy, PreparedPolicy, parsePolicy } from '../../src/policies/index.ts'
import { type Contender, compare, comparison } from '../support/comparison.ts'
import { policyFrom, policyText, service } from '../support/policy-evaluations.ts'
import { twentyRefusals, twentyRules } from '../support/twenty-rules.ts'

/** Appraisal policies (section 8 of the specification has their budgets): prepared once, and from the parsed policy. */

const profile = 'attestd'
const claimOf = (at: number) => service(`claim.${at}`, 'ab'.repeat(48))

/** What a program cannot do without: to look at each claim once. */
function floor(claims: readonly { readonly type?: unknown }[]): Contender {
  return { name: 'a Map of the claims', role: 'floor', run: () => new Map(claims.map((claim) => [claim.type, claim])) }
}

function ours(policy: Policy, claims: Parameters<typeof evaluatePolicy>[1], limits = {}): readonly Contender[] {
  const prepared = new PreparedPolicy(policy, { profile, limits })
  return [
    { name: 'prepared', role: 'ours', run: () => prepared.evaluate(claims) },
    { name: 'evaluatePolicy', role: 'ours', run: () => evaluatePolicy(policy, claims, { profile, limits }) },
  ]
}

comparison('20 rules on 100 claims', async () => {
  const claims = Array.from({ length: 100 }, (_, at) => claimOf(at))
  await compare('20 rules on 100 claims (budget: well under 1 ms)', [
    floor(claims),
    ...ours(twentyRules().ours, claims),
  ])
})

function cedarCall(claims: readonly { readonly type: string; readonly value: string; readonly issuer: string }[]) {
  const context = Object.fromEntries(claims.map(({ type, value, issuer }) => [type, { value, issuer }]))
  const one = (type: string) => ({ type, id: 'one' })
  return { principal: one('Guest'), action: one('Action'), resource: one('Token'), context, entities: [] }
}

comparison('twenty refusals, beside Cedar', async () => {
  const refusals = twentyRefusals()
  const claims = Array.from({ length: 100 }, (_, at) => ({
    ...{ type: `claim.${at}`, value: 'ab'.repeat(48), issuer: 'AttestationService' },
  }))
  const refused = claims.map((claim) => (claim.type === 'claim.28' ? { ...claim, value: 'no' } : claim))
  preparsePolicySet('refusals', { staticPolicies: refusals.cedar })
  const cached = (given: typeof claims) =>
    statefulIsAuthorized({ ...cedarCall(given), preparsedPolicySetId: 'refusals', validateRequest: false })
  const whole = (given: typeof claims) =>
    isAuthorized({ ...cedarCall(given), policies: { staticPolicies: refusals.cedar }, validateRequest: false })
  const prepared = new PreparedPolicy(refusals.ours, { profile })
  for (const [given, permits] of [
    [claims, true],
    [refused, false],
  ] as const) {
    const [answer, decision] = [cached(given), prepared.evaluate(given.map(({ type, value }) => service(type, value)))]
    const says = answer.type === 'success' && answer.response.decision === 'allow'
    if (says !== permits || (decision.verdict === 'permit') !== permits) throw new TypeError('the two disagree')
  }
  const ourClaims = claims.map(({ type, value }) => service(type, value))
  await compare('20 refusals on 100 claims (peer: Cedar, compiled to WebAssembly)', [
    floor(ourClaims),
    { name: 'Cedar, policies parsed before', role: 'peer', run: () => cached(claims) },
    { name: 'Cedar, policies parsed each time', role: 'peer', run: () => whole(claims) },
    ...ours(refusals.ours, ourClaims),
  ])
})

comparison('the default policy for TDX', async () => {
  const claims = [
    ...[service('attestation.type', 'tdx'), service('attestation.simulated', false)],
    ...[service('tdx.td_attributes.debug', false), service('tdx.tcb_status', 'UpToDate')],
    ...[service('tdx.report_data_bound', true), service('tdx.collateral_expiration_status', '0')],
    ...Array.from({ length: 50 }, (_, at) => claimOf(at)),
  ]
  const { policy } = parsePolicy(defaultPolicyFor(['tdx']).text)
  if (!policy) throw new TypeError('the default policy does not load')
  await compare('the default policy for TDX (budget 0.2 ms)', [floor(claims), ...ours(policy, claims)])
})

function bootLog(events: number): string {
  const kinds = ['EV_SEPARATOR', 'EV_EFI_VARIABLE_DRIVER_CONFIG', 'EV_IPL', 'EV_ACTION']
  const variable = (at: number) => ({ UnicodeName: `Var${at}`, VariableData: 'AQ'.repeat(200) })
  const processed = (at: number) => (at % 4 === 1 ? variable(at) : { String: `kernel_cmdline: ${at}` })
  const list = Array.from({ length: events }, (_, at) => ({
    EventSeq: at,
    PcrIndex: at % 10,
    EventTypeString: kinds[at % 4],
    DigestBound: at % 3 > 0,
    Digests: { SHA1: 'ab'.repeat(20), SHA256: 'cd'.repeat(32), SHA384: 'ef'.repeat(48) },
    ...(at % 3 > 0 && { ProcessedData: processed(at) }),
  }))
  return JSON.stringify({ Events: list })
}

comparison('60 queries of a boot log of 150 events', async () => {
  const rules = Array.from({ length: 60 }, (_, at) => {
    const ofVariable = `EventTypeString=='EV_EFI_VARIABLE_DRIVER_CONFIG' && ProcessedData.UnicodeName=='Var${at}'`
    const ofText = `PcrIndex==\`${at}\` && starts_with(not_null(ProcessedData.String, ''), 'kernel_cmdline: ')`
    const query = `JsonToClaimValue(JmesPath(c.value, "length(Events[?${ofVariable} || ${ofText}])"))`
    return `c:[type=="tpm.events", issuer=="AttestationService"] => issue(type="r${at}", value=${query});`
  })
  const text = bootLog(150)
  const parse: Contender = { name: 'JSON.parse of the log', role: 'floor', run: () => JSON.parse(text) }
  const policy = policyFrom(policyText({ issuance: rules }))
  await compare('60 queries of a boot log of 150 events (budget 40 ms)', [
    parse,
    ...ours(policy, [service('tpm.events', text)]),
  ])
})

comparison('8 000 rules on 10 000 claims', async () => {
  const limits = { rules: 8192, textBytes: 2 ** 20 }
  const rules = Array.from(
    { length: 8000 },
    (_, at) => `c:[type=="claim.${at}", value!="no"] => add(type="x${at}", value=c.value);`,
  )
  const policy = policyFrom(policyText({ authorization: ['=> permit();', ...rules] }), limits)
  const claims = Array.from({ length: 10_000 }, (_, at) => claimOf(at))
  await compare('8 000 rules on 10 000 claims', [floor(claims), ...ours(policy, claims, limits)], {
    warmUp: 3,
    ms: 4000,
  })
})

comparison('a query that never ends', async () => {
  const rows = Array.from({ length: 2500 }, () => ({ m: Array.from({ length: 100 }, () => 0) }))
  const text = JSON.stringify({ n: rows })
  const again = Array.from({ length: 200 }, () => 'length(m[?@ > `1`]) > `0`').join(' || ')
  const rule = `d:[type=="d"] => issue(type="r", value=JmesPath(d.value, "n[?${again}]"));`
  const policy = policyFrom(policyText({ issuance: [rule] }))
  const [prepared] = ours(policy, [service('d', text)])
  if (!prepared) throw new TypeError('nothing to measure')
  const loop = 'let n = 0; for (let i = 0; i < 2e7; i++) n = (n * 31 + i) | 0; n'
  const floorOfSteps: Contender = {
    name: 'as many turns of a loop',
    role: 'floor',
    run: () => void runInNewContext(loop),
  }
  const effort = { warmUp: 1, ms: 8000 }
  await compare('20 million steps (budget 2 s)', [floorOfSteps, { ...prepared, name: 'up to POL-608' }], effort)
})
