import { type Clock, secondsOf } from '../../base/clock.ts'
import type { JsonObject } from '../../base/json.ts'
import { drawUuid, type RandomSource } from '../../base/random.ts'
import {
  describeSigner,
  type PolicySigner,
  policyHash,
  presentClaims,
  type VerifiedTrees,
} from '../../policies/index.ts'
import type { Appraisal } from '../../results/appraisal.ts'
import { type QuoteAppraisal, verifiedClaims } from '../../verifier/index.ts'
import { requireAffirmed } from '../affirmed.ts'
import { decideExpiry, type LifetimeBound } from '../token-lifetime.ts'
import { type AttestRequest, parseAttestRequest, reportDataFor } from './attest-request.ts'
import { shippedPolicyOf, slotOfType } from './azure-types.ts'
import { azureErrors } from './errors.ts'
import { composeMaaClaims } from './maa-claims.ts'
import type { MaaQuestion, MaaVerdict } from './maa-judge.ts'

/** What this façade needs to know of the appraisal of a quote. */
export type TdAppraisal = Appraisal & Pick<QuoteAppraisal, 'simulated' | 'collateral' | 'pck'>

export interface TdAppraiser {
  /**
   * Appraises a TD quote with the collateral, the anchors and the requirements of this verifier, as for any other route
   * (FAC-03), and within a bounded time. `reportData`: 64 bytes that the quote must carry, or `any`. Rejects with an
   * `AttestdError` where it cannot.
   */
  appraise(quote: Uint8Array, reportData: Uint8Array | 'any'): Promise<TdAppraisal>
}

/** The active policy of a type; null for the shipped default. */
export interface ActivePolicies {
  active(slot: string): Promise<{ readonly policy: Uint8Array; readonly signer: PolicySigner | null } | null>
}

export interface AttestOptions {
  readonly issuer: string
  readonly appraiser: TdAppraiser
  readonly policies: ActivePolicies
  readonly clock: Pick<Clock, 'now'>
  /** A cryptographic source, for `jti`. */
  readonly random: RandomSource
  /** Seconds; at most 8 hours. Default: 8 hours. */
  readonly lifetimeS?: number
  /**
   * Asks policies. What they are asked about is whatever anybody sends, and up to their limits they take a part of a second:
   * a service gives this to a thread.
   */
  readonly judge: (question: MaaQuestion) => Promise<MaaVerdict | null> | MaaVerdict | null
}

const longestLifetimeS = 28_800
/** TOK-45. */
const leastLifeS = 30

/** Attests TDs in the style of Azure Attestation (section 15.2): quote, policy of type `TdxVm`, claims of a token. */
export class TdAttestation {
  #options: AttestOptions

  /** Throws `AZURE_CONFIGURATION` for a lifetime that is out of range. */
  constructor(options: AttestOptions) {
    const { lifetimeS = longestLifetimeS } = options
    if (!Number.isSafeInteger(lifetimeS) || lifetimeS < 60 || lifetimeS > longestLifetimeS) {
      throw azureErrors.error('AZURE_CONFIGURATION', `a lifetime of ${lifetimeS} s is not within 60 to 28800 s`)
    }
    this.#options = options
  }

  /** Claims of the token for the body of a request. Rejects where there is no token. */
  async attest(body: Uint8Array): Promise<JsonObject> {
    const request = parseAttestRequest(body)
    const { quote, runtimeData } = request
    const reportData = runtimeData === null ? 'any' : reportDataFor(runtimeData)
    const appraisal = await this.#options.appraiser.appraise(quote, reportData)
    requireTd(appraisal)
    const appraisedAt = this.#options.clock.now()
    const trees = treesOf(appraisal, request, appraisedAt)
    const stored = await this.#options.policies.active(slotOfType('TdxVm'))
    const policy = stored?.policy ?? shippedPolicyOf('TdxVm')
    const verdict = await this.#options.judge({ policy, trees, runtimeData: runtimeData?.bytes ?? null })
    const issued = requirePermit(verdict)
    return composeMaaClaims({
      ...{ issuer: this.#options.issuer, claims: presentClaims(trees), issued, nonce: request.nonce },
      ...this.#times(appraisal, appraisedAt),
      simulated: appraisal.simulated !== false,
      policyHash: policyHash(policy),
      policySigner: stored?.signer ? describeSigner(stored.signer) : null,
      runtime: runtimeData?.json ?? null,
    })
  }

  #times(appraisal: TdAppraisal, appraisedAt: number) {
    const { clock, random, lifetimeS = longestLifetimeS } = this.#options
    const issuedAt = secondsOf(clock)
    const bounds = boundsOf(appraisal)
    const appraisedAtS = Math.floor(appraisedAt / 1000)
    const { expiresAt } = decideExpiry({
      issuedAt,
      appraisedAt: appraisedAtS,
      lifetimeS,
      ttlS: null,
      bounds,
      leastLifeS,
    })
    return { issuedAt, expiresAt, jti: drawUuid(random) }
  }
}

/** TOK-44. Collateral that is used in its grace has ended already, and bounds nothing any more. */
function boundsOf({ collateral, pck }: TdAppraisal): readonly LifetimeBound[] {
  if (collateral === null || pck === null) throw new TypeError('an affirmed quote was appraised with collateral')
  const ends = collateral.expired ? [] : [{ name: 'TDX collateral', at: collateral.earliestExpirationDate }]
  const all = [{ name: 'PCK certificate', at: pck.notAfter }, ...ends]
  return all.map(({ name, at }) => ({ name, at: Math.floor(at / 1000) }))
}

/** Bad evidence is a bad parameter (POL-914): the answer names the checks, not what they found. */
function requireTd(appraisal: TdAppraisal): void {
  const { affirmed, findings, claims } = appraisal
  if (!affirmed) {
    const against = findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')
    const failed = against.filter(({ outcome }) => outcome === 'failed')
    const names = (failed.length > 0 ? failed : against).map(({ id }) => id).slice(0, 8)
    throw azureErrors.error('AZURE_REQUEST_INVALID', `the quote is not accepted: ${names.join(', ')}`)
  }
  requireAffirmed(appraisal)
  if (!isTree(claims['tdx'])) throw azureErrors.error('AZURE_REQUEST_INVALID', 'the quote is not one of a TD')
}

function isTree(value: unknown): value is Readonly<Record<string, unknown>> {
  return typeof value === 'object' && value !== null && !Array.isArray(value)
}

/**
 * Runtime data are claims only when the quote was shown to carry their hash (POL-435, POL-911). Nobody knows here whether
 * they are fresh (POL-912).
 */
function treesOf(appraisal: TdAppraisal, { runtimeData }: AttestRequest, now: number): VerifiedTrees {
  const alone = { ...appraisal, tdx: null, tpm: null }
  const facts = { tee: 'tdx', freshness: 'unbound', now, simulator: false, documents: false } as const
  const trees = verifiedClaims(alone, { tdx: null, tpm: null }, facts)
  const isBound = trees.tdx?.['report_data_bound'] === true
  if (runtimeData !== null && !isBound) throw new TypeError('report data were asked for and are not bound')
  return trees
}

function denied(why: string): Error {
  const says = 'Policy Engine Exception: A Deny claim was issued, authorization failed.'
  return azureErrors.error('AZURE_POLICY_DENIED', `${says} (${why})`)
}

/** What the policy issued. Throws the error for `PolicyEvaluationError` with our reason and lines (POL-914). */
function requirePermit(evaluation: MaaVerdict | null) {
  if (evaluation === null) throw denied('the policy does not load')
  if (evaluation.verdict === 'permit') return evaluation.token
  if (evaluation.verdict === 'error') {
    const { id, line } = evaluation.error
    throw denied(`error ${id}${line === null ? '' : `, line ${line}`}`)
  }
  const lines = evaluation.decidedBy.slice(0, 16)
  throw denied(lines.length === 0 ? evaluation.reason : `${evaluation.reason}, line ${lines.join(', ')}`)
}
