import { appraiseProof, type ProofAppraisal } from './appraise-proof.ts'
import type { Judging } from './judging.ts'

/** Everything else about the token is good: only then its proof is used up. */
function isElseGood({ list }: Judging): boolean {
  const others = list.findings().filter(({ id }) => id !== 'token.possession' && id !== 'token.replay')
  return others.every(({ outcome }) => outcome === 'passed' || outcome === 'waived')
}

/** A token that is bound to no key, came as a bearer token and brought no proof claims no possession. */
function claimsPossession({ payload, expected: { possession } }: Judging): boolean {
  if (possession === undefined) return false
  return payload['cnf'] !== undefined || possession.proofs.length > 0 || !/^bearer$/i.test(possession.scheme)
}

/**
 * TOK-111. Possession is judged where it is required, and wherever the request is known and claims it: a bound token is
 * then no bearer token, and a proof never makes up for a token that is bound to no key (TOK-143).
 */
export async function judgePossession(judging: Judging, token: string): Promise<ProofAppraisal | undefined> {
  const { trust, payload, expected, now, list } = judging
  const { possession: presented } = expected
  if (!trust.requirePossession && !claimsPossession(judging)) {
    list.waive('token.possession', 'requirePossession is not set')
    return undefined
  }
  if (presented === undefined) {
    const bound = payload['cnf'] === undefined ? 'the token is bound to no key' : 'no proof of possession was presented'
    list.fail('token.possession', bound)
    return undefined
  }
  const good = isElseGood(judging)
  const proof = await appraiseProof({
    presented,
    token,
    confirmation: payload['cnf'],
    algorithms: trust.proofAlgorithms,
    now,
    replayCache: good ? trust.proofReplayCache : null,
  })
  const failed = proof.findings.find(({ outcome }) => outcome === 'failed')
  if (failed !== undefined) list.fail('token.possession', `${failed.id}: ${failed.detail ?? 'failed'}`)
  else if (proof.affirmed) list.pass('token.possession')
  return proof
}
