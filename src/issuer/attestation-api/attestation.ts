import { LoopTurns } from '../../base/loop-turns.ts'
import type { Freshness } from '../../results/token-claims.ts'
import type { AlibabaIssuer } from '../alibaba-issuer.ts'
import { type AttestationRequest, parseAttestationRequest } from './attestation-request.ts'
import { requireBinding } from './binding.ts'
import type { ChallengeTokens, OpenChallenge } from './challenge-tokens.ts'
import { refusalOf } from './evidence-refusal.ts'
import { invalidArgument } from './invalid-argument.ts'
import type { BoundStatements, TdOutcome, TdVerifier } from './ports.ts'

export interface AttestationOptions {
  readonly verifier: TdVerifier
  readonly issuer: AlibabaIssuer
  readonly challenges: ChallengeTokens
  /** Takes requests without `runtime_data`: their tokens say nothing of who asked and when (SVC-27). Default false. */
  readonly allowUnbound?: boolean
  /** Resolves when others had their turn on the event loop: between requests that come at once. By default at once. */
  readonly nextRound?: (() => Promise<void>) | undefined
}

/** What a request asked for, for logs and metrics; nothing of its evidence. */
export interface RequestFacts {
  policyIds: number
  ignoredMembers: number
}

function requireRuntimeData({ runtimeData, place }: AttestationRequest, allowUnbound: boolean): void {
  if (runtimeData !== null || allowUnbound) return
  const remedy = 'fetch /challenge, and send what binds the quote to it'
  throw invalidArgument(
    `${place}runtime_data`,
    'is missing: nothing would show that the quote was made for this request',
    remedy,
  )
}

function freshnessOf({ runtimeData }: AttestationRequest, challenge: OpenChallenge | null): Freshness {
  if (challenge !== null) return 'challenge'
  return runtimeData === null ? 'unbound' : 'nonce'
}

function statementsOf({ runtimeData, initData }: AttestationRequest): BoundStatements {
  return {
    runtimeData: runtimeData?.bytes ?? null,
    runtimeDataClaims: runtimeData?.document ?? null,
    initDataClaims: initData?.document ?? null,
  }
}

/** Bodies that are read in one turn of the event loop: each takes its part of a millisecond. */
const readAtOnce = 8

/** Attests TDs: reads a request, checks its binding, has it verified, issues a token (attestation-service.md section 1). */
export class Attestation {
  readonly #options: AttestationOptions
  readonly #turns: LoopTurns

  constructor(options: AttestationOptions) {
    this.#options = options
    this.#turns = new LoopTurns(readAtOnce, options.nextRound)
  }

  /**
   * The token for the body of a request. Rejects with errors of `attestationErrors`, with those of the verifier and of the
   * issuer. The order of work is that of SVC-44: what costs least comes first, collateral after the binding, policies last.
   */
  async attest(body: Uint8Array, facts: RequestFacts, signal: AbortSignal): Promise<string> {
    const { verifier, allowUnbound = false } = this.#options
    await this.#turns.begin()
    signal.throwIfAborted()
    const request = parseAttestationRequest(body)
    facts.policyIds = request.policyIds.length
    facts.ignoredMembers = request.ignoredMembers
    requireRuntimeData(request, allowUnbound)
    const challenge = await this.#challengeOf(request)
    requireBinding(request)
    const { evidence, runtimeData, policyIds, place } = request
    const { quote, ccEventLog } = evidence
    const reportData = runtimeData?.reportData ?? 'any'
    const freshness = freshnessOf(request, challenge)
    const statements = statementsOf(request)
    const outcome = await verifier.verify({ quote, ccEventLog, reportData, freshness, policyIds, statements }, signal)
    // Nobody waits any more: a challenge that is used up now would be lost.
    signal.throwIfAborted()
    if (!outcome.appraisal.affirmed) throw refusalOf(outcome.appraisal, `${place}evidence.quote`)
    return this.#issue(request, outcome, challenge)
  }

  /** SVC-30: a document with `challenge_token` is bound to that challenge, and good only with it. */
  async #challengeOf({ runtimeData }: AttestationRequest): Promise<OpenChallenge | null> {
    const document = runtimeData?.document ?? null
    if (document === null || !Object.hasOwn(document, 'challenge_token')) return null
    const nonce = Object.hasOwn(document, 'nonce') ? (document['nonce'] ?? null) : undefined
    return this.#options.challenges.open(document['challenge_token'] ?? null, nonce)
  }

  async #issue(request: AttestationRequest, outcome: TdOutcome, challenge: OpenChallenge | null): Promise<string> {
    const { challenges, issuer } = this.#options
    const { appraisal, appraisedAtS, policies, bounds } = outcome
    // Before the signature: of two requests with one challenge the second must find it used (SVC-30).
    if (challenge !== null) challenges.spend(challenge)
    try {
      const { token } = await issuer.issueToken({
        ...{ tee: 'tdx', appraisal, appraisedAtS, policies, bounds },
        // A hint of the sender is not signed: it can only lower the trust.
        simulated: outcome.simulated || request.evidence.simulated,
        runtimeData: request.runtimeData?.document ?? null,
        initData: request.initData?.document ?? null,
      })
      return token
    } catch (error) {
      if (challenge !== null) challenges.giveBack(challenge)
      throw error
    }
  }
}
