import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue } from '../base/json.ts'
import { judgeCommitment } from './commitment-check.ts'
import { clipText, describeValue } from './describe-value.ts'
import { evidenceChecks } from './evidence-checks.ts'
import { type EvidenceView, isTee, kindsInAcr, kindsOf, kindsOfTee, readEdges, viewEvidence } from './evidence-view.ts'
import type { Judge, Judging } from './judging.ts'
import { parseTcbStatus } from './tcb-status.ts'
import type { TokenProfile } from './token-trust.ts'

const profileUris: Readonly<Record<TokenProfile, string>> = {
  attestd: 'urn:attestd:eat:1',
  alibaba: 'https://www.alibabacloud.com/help/en/ecs/user-guide/eat-profile',
}

const judgeProfile: Judge = ({ trust, payload, list }) => {
  const profile = payload['eat_profile']
  const problem = () => `eat_profile is ${describeValue(profile)}, not that of profile ${trust.profile}`
  list.judge('token.profile', profile === profileUris[trust.profile], problem)
}

const judgeTee: Judge = ({ trust, payload, list }) => {
  const { tee } = payload
  list.judge('token.tee', tee !== undefined && trust.tee.has(tee), () => `tee is ${describeValue(tee)}`)
}

/** The claims about evidence, in one shape; undefined if they cannot be read. */
function readEvidence({ trust, payload, list }: Judging): JsonObject | undefined {
  if (trust.profile === 'attestd') {
    list.waive('token.tcbStatus', 'the configured profile attestd has nested claims instead')
    return payload
  }
  try {
    const claims = parseTcbStatus(payload['tcb-status'])
    list.pass('token.tcbStatus')
    return claims
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    list.fail('token.tcbStatus', clipText(error.message))
    return undefined
  }
}

/** Every report of the policy must have the hash that is pinned: two reports of one id are two answers. */
function policyProblem(reports: readonly JsonValue[], id: string, hash: string | undefined): string | undefined {
  const named = reports.filter((report) => isJsonObject(report) && report['policy-id'] === id)
  if (named.length === 0) return `policy ${describeValue(id)} was not evaluated`
  const pinned = hash === undefined || named.every((report) => isJsonObject(report) && report['policy-hash'] === hash)
  return pinned ? undefined : `policy ${describeValue(id)} has another hash`
}

const judgePolicies: Judge = ({ trust, payload, list }) => {
  if (trust.policies.length === 0) return list.waive('token.policies', 'no policies are required')
  const reports = payload['evaluation-reports']
  if (!Array.isArray(reports)) return list.fail('token.policies', `evaluation-reports is ${describeValue(reports)}`)
  const problems = trust.policies.flatMap(({ id, hash }) => policyProblem(reports, id, hash) ?? [])
  list.judge('token.policies', problems.length === 0, () => problems.slice(0, 10).join('; '))
}

const judgeSimulated: Judge = ({ trust, payload, list }) => {
  const { attestd } = payload
  // Profile alibaba has the member only where something was simulated (TOK-04).
  if (attestd === undefined && trust.profile === 'alibaba') return list.pass('token.simulated')
  const simulated = isJsonObject(attestd) ? attestd['simulated'] : undefined
  if (simulated === true && trust.allowSimulated) return list.waive('token.simulated', 'allowSimulated is set')
  const problem = () =>
    simulated === true ? 'a part of the evidence was simulated' : `attestd.simulated is ${describeValue(simulated)}`
  list.judge('token.simulated', simulated === false, problem)
}

function bindingProblem({ trust, payload }: Judging): string | undefined {
  const { tee, acr } = payload
  const edges = readEdges(payload)
  if (edges === 'malformed') return 'attestd.binding is not a list of edges with their outcomes'
  if (!edges.allPassed) return 'an edge between two parts was not verified'
  const inAcr = kindsInAcr(acr)
  const required = isTee(tee) ? kindsOfTee[tee] : []
  if (required.length < 2 && inAcr.length < 2) return undefined
  if (edges.count === 0) return 'no edge ties the parts of the composite to each other'
  const simulated = trust.allowSimulated && acr === 'urn:attestd:acr:simulated'
  return simulated || required.every((kind) => inAcr.includes(kind)) ? undefined : `acr is ${describeValue(acr)}`
}

const judgeBinding: Judge = (judging) => {
  const problem = bindingProblem(judging)
  judging.list.judge('token.binding', problem === undefined, () => problem ?? '')
}

/**
 * TOK-100 to TOK-112, but for possession, and BRK-86. Gives the evidence in the token; undefined if it cannot be read, and then the checks of it are
 * unreached.
 */
export function judgeAttestation(judging: Judging): EvidenceView | undefined {
  const { trust, payload, list } = judging
  judgeProfile(judging)
  judgeTee(judging)
  const claims = readEvidence(judging)
  for (const judge of [judgePolicies, judgeSimulated, judgeBinding, judgeCommitment]) judge(judging)
  if (claims === undefined) return undefined
  // A token that is refused for its kind is judged by every rule, so that the findings say all that is wrong.
  const kinds = list.passed('token.tee') && isTee(payload['tee']) ? kindsOf(payload['tee'], payload) : undefined
  const view = viewEvidence(claims, kinds ?? ['tdx', 'tpm', 'nvgpu'], trust.profile === 'alibaba')
  const withoutTd = kinds !== undefined && !kinds.includes('tdx')
  for (const judge of evidenceChecks) judge({ ...judging, view, withoutTd })
  return view
}
