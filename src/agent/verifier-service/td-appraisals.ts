import type { Clock } from '../../base/clock.ts'
import { AttestdError } from '../../base/errors.ts'
import { LoopTurns } from '../../base/loop-turns.ts'
import type { Collateral } from '../../endorsements/tdx/collateral.ts'
import type { TdxEvidence } from '../../evidence/tdx/evidence.ts'
import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import type { EventLogPolicy } from '../../verifier/index.ts'
import { appraiserErrors } from '../embedded/appraiser.ts'
import type { JudgedTd } from '../embedded/evidence-tasks.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import type { PolicyQuestion } from '../embedded/policy-judge.ts'
import type { CollateralWiring } from '../wiring/collateral.ts'
import type { AppraiserPool } from './appraiser-pool.ts'

export interface TdAppraisalsOptions {
  readonly pool: Pick<AppraiserPool, 'appraiseTd'>
  readonly collateral: Pick<CollateralWiring, 'collateralOf' | 'heldFor'>
  readonly requirements: TdRequirements
  readonly clock: Pick<Clock, 'now'>
  /** Resolves when others had their turn on the event loop. By default at once. */
  readonly nextRound?: () => Promise<void>
}

/** One TD to appraise. */
export interface TdCase {
  readonly evidence: TdxEvidence
  /** 64 bytes that the quote must carry, or `any`. */
  readonly reportData: Uint8Array | 'any'
  /** Whether the sender named policies: what is looked for then is nothing that a forged quote may cause. Default false. */
  readonly isNamed?: boolean
  /** What policies are asked; called once at most. Its errors are told of genuine evidence alone. */
  readonly ask?: () => Promise<PolicyQuestion | undefined>
}

export interface TimedAppraisal {
  readonly appraisal: JudgedTd
  /** Milliseconds since the epoch. */
  readonly at: number
}

/** What waited for the same answer of the store goes on at once: more of it in one turn would hold up the event loop. */
const judgedAtOnce = 8

const lack = 'tdx.collateral.present'
const undecided: EventLogPolicy = { requirement: 'optional' }

/** Every route appraises here (FAC-03): with the same anchors, requirements and collateral, whoever asks. */
export class TdAppraisals {
  readonly #options: TdAppraisalsOptions
  readonly #turns: LoopTurns

  constructor(options: TdAppraisalsOptions) {
    this.#options = options
    this.#turns = new LoopTurns(judgedAtOnce, options.nextRound)
  }

  /**
   * Appraises, and asks of what is affirmed. Collateral that is not at hand is obtained for evidence alone against which
   * nothing speaks so far, its signature above all: who sends forged quotes makes this verifier ask no other, and learns
   * nothing of its policies (SVC-44). Rejects with `AS.SERVICE.OVERLOADED`, `AS.DEPENDENCY.UNAVAILABLE`,
   * `AS.DEPENDENCY.BAD_RESPONSE`, with what `ask` rejects with, and with the reason of `signal`.
   */
  async appraise(given: TdCase, signal: AbortSignal): Promise<TimedAppraisal> {
    const held = this.#options.collateral.heldFor(given.evidence.quote)
    return held === null ? this.#appraiseUnknown(given, signal) : this.#appraiseKnown(held, given, signal)
  }

  /**
   * One appraisal says all: nothing has to be fetched for it, and what policies there are is kept back until it is done. Where
   * they are named the quote comes first, for the time of the answer would tell of a name whether it is known (SVC-44).
   */
  async #appraiseKnown(held: Collateral, given: TdCase, signal: AbortSignal): Promise<TimedAppraisal> {
    const at = this.#options.clock.now()
    // At the same moment: what is refused now, and good a moment later, would be affirmed without its policies.
    if (given.isNamed === true && (await this.#isRefused(given, held, at)))
      return this.#appraiseWith(held, given, { at })
    signal.throwIfAborted()
    const asked = await keptBack(given.ask)
    await this.#turns.begin()
    signal.throwIfAborted()
    const judged = await this.#appraiseWith(held, given, { question: asked.question })
    if (judged.appraisal.affirmed && asked.refusal !== undefined) throw asked.refusal
    return judged
  }

  async #appraiseUnknown({ evidence, reportData, ask }: TdCase, signal: AbortSignal): Promise<TimedAppraisal> {
    const at = this.#options.clock.now()
    if (await this.#isRefused({ evidence, reportData }, null, at)) {
      const refused = await this.#appraiseWith(null, { evidence, reportData }, { at })
      return { ...refused, appraisal: withoutLack(refused.appraisal) }
    }
    signal.throwIfAborted()
    const question = await ask?.()
    signal.throwIfAborted()
    const collateral = await this.#collateralOf(evidence.quote, signal)
    return this.#appraiseWith(collateral, { evidence, reportData }, { question })
  }

  /** Without the log, which costs more than the quote, and is worth nothing beside one that is refused (SVC-44). */
  async #isRefused({ evidence, reportData }: TdCase, collateral: Collateral | null, now: number): Promise<boolean> {
    const { pool, requirements } = this.#options
    const inputs = { ...requirements, eventLog: undecided, now, reportData, collateral }
    const { findings } = await pool.appraiseTd({ ...evidence, ccEventLog: null }, inputs).catch(refuseOverload)
    return findings.some(({ id, outcome }) => outcome === 'failed' && id !== lack)
  }

  /** By default at a moment of its own: what a source issues when it is asked is not valid before. */
  async #appraiseWith(
    collateral: Collateral | null,
    { evidence, reportData }: TdCase,
    {
      question,
      at = this.#options.clock.now(),
    }: { readonly question?: PolicyQuestion | undefined; readonly at?: number },
  ): Promise<TimedAppraisal> {
    const { pool, requirements } = this.#options
    const inputs = { ...requirements, now: at, reportData, collateral }
    return { appraisal: await pool.appraiseTd(evidence, inputs, question).catch(refuseOverload), at }
  }

  async #collateralOf(quote: Uint8Array, signal: AbortSignal) {
    try {
      return await this.#options.collateral.collateralOf(quote, signal)
    } catch (error) {
      if (!(error instanceof AttestdError)) throw error
      const code = error.kind === 'unavailable' ? 'AS.DEPENDENCY.UNAVAILABLE' : 'AS.DEPENDENCY.BAD_RESPONSE'
      // Which servers are asked is not for whoever sends evidence (ERR-02).
      throw attestationErrors.error(code, `no collateral for the platform: ${error.code}`, { cause: error })
    }
  }
}

interface Asked {
  readonly question?: PolicyQuestion | undefined
  readonly refusal?: AttestdError
}

async function keptBack(ask: TdCase['ask']): Promise<Asked> {
  try {
    return { question: await ask?.() }
  } catch (refusal) {
    if (refusal instanceof AttestdError) return { refusal }
    throw refusal
  }
}

/** Collateral that nobody asked for speaks against nothing. */
function withoutLack(appraisal: JudgedTd): JudgedTd {
  const findings = appraisal.findings.map((finding) =>
    finding.id === lack ? { ...finding, outcome: 'unreached' as const, detail: 'other checks failed before' } : finding,
  )
  return { ...appraisal, findings }
}

/** The threads say it in the words of an agent. */
function refuseOverload(error: unknown): never {
  const isOurs = error instanceof AttestdError && Object.hasOwn(appraiserErrors.declared, error.code)
  if (!isOurs) throw error
  throw attestationErrors.error('AS.SERVICE.OVERLOADED', error.message, { cause: error })
}
