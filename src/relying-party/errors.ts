import { AttestdError, declareErrors, type ErrorDeclaration } from '../base/errors.ts'
import type { Finding } from '../results/appraisal.ts'
import { type TokenCheckId, tokenChecks } from './checks.ts'
import type { ProofCheckId } from './proof-checks.ts'

const distrustedDeclaration: ErrorDeclaration = {
  kind: 'distrusted',
  title: 'a token failed a check of its relying party',
  remedy: 'see the findings: each failed check names its rule and its remedy',
}

export const relyingPartyErrors = declareErrors({
  DISTRUSTED: distrustedDeclaration,
  keys_unavailable: {
    kind: 'unavailable',
    title: 'the keys of the token issuer could not be obtained',
    remedy:
      'check that this host reaches the discovery document of the issuer over TLS, and that `issuer` is spelled as there',
  },
  TOKEN_TRUST_INVALID: {
    kind: 'configuration',
    title: 'the trust of a token verifier is not configured as required',
    remedy: 'correct the named option; the type TokenTrust documents all of them',
  },
})

/**
 * A well-formed token that is not to be relied on. `findings` lists every check; the message and `facts` (`check`,
 * `rule`, `failed`) name the first that failed, whose remedy is the error's. Holds nothing secret of the token.
 */
export class DistrustedError extends AttestdError {
  readonly findings: readonly Finding<TokenCheckId>[]
  /** The checks of the proof of possession, if one was judged: what `proofChallenge` takes. */
  readonly proof: readonly Finding<ProofCheckId>[] | undefined

  constructor(findings: readonly Finding<TokenCheckId>[], proof?: readonly Finding<ProofCheckId>[]) {
    const failed = findings.filter(({ outcome }) => outcome === 'failed')
    const first = failed[0] ?? findings.find(({ outcome }) => outcome === 'unreached')
    if (first === undefined) throw new TypeError('no check failed: there is no reason for distrust')
    const { rule, remedy } = tokenChecks[first.id]
    super('DISTRUSTED', distrustedDeclaration, `${first.id}: ${first.detail ?? 'was not reached'}`, {
      facts: { check: first.id, rule, failed: failed.map(({ id }) => id).join(',') },
      remedy,
    })
    this.name = 'DistrustedError'
    this.findings = findings
    this.proof = proof
  }
}
