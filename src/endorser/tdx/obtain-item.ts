import { AttestdError, MalformedError } from '../../base/errors.ts'
import { endorserErrors } from '../errors.ts'
import { type CollateralItem, factsOfItem, type ItemFacts } from './collateral-item.ts'
import { type ItemKey, nameOfItem } from './item-key.ts'
import { isFromFuture, isPast, isRollback } from './item-window.ts'
import type { AuthenticateItem, CollateralEvent, ItemSource } from './ports.ts'

/** An item that passed everything that can be judged without a quote. */
export interface ObtainedItem {
  readonly key: ItemKey
  readonly item: CollateralItem
  readonly facts: ItemFacts
  readonly source: string
}

/** What an item is obtained with. */
export interface ObtainingContext {
  readonly sources: readonly ItemSource[]
  readonly authenticate: AuthenticateItem
  readonly report: (event: CollateralEvent) => void
  readonly now: () => number
  readonly graceMs: number
}

type Attempt = ObtainedItem | AttestdError
type ErrorCode = Parameters<typeof endorserErrors.error>[0]

const refusals: readonly string[] = ['collateral_request_refused', 'collateral_number_expired']

/** One item as a source gave it, judged: authentic (TDX-211), not older than what was seen (TDX-212), of the present. */
class Judge {
  #key: ItemKey
  #held: ItemFacts | null
  #context: ObtainingContext

  constructor(key: ItemKey, held: ItemFacts | null, context: ObtainingContext) {
    this.#key = key
    this.#held = held
    this.#context = context
  }

  /** The first of the candidates that is good, or the error of the first. */
  first(candidates: readonly CollateralItem[], source: string): Attempt {
    let problem: AttestdError | null = null
    for (const candidate of candidates) {
      const attempt = this.judge(candidate, source)
      if ('item' in attempt) return attempt
      problem ??= attempt
    }
    return problem ?? this.#error('collateral_unknown_platform', source, 'has no such item')
  }

  judge(item: CollateralItem, source: string): Attempt {
    const now = this.#context.now()
    let facts: ItemFacts
    try {
      facts = factsOfItem(item, this.#key)
    } catch (cause) {
      if (cause instanceof MalformedError) return this.#error('collateral_answer_invalid', source, cause.message, cause)
      throw cause
    }
    // Of an item from the future the certificates may be too: that is said first, the clock is what has to be mended.
    if (isFromFuture(facts, now))
      return this.#untimely('collateral_not_yet_valid', source, 'is issued at', facts.issueDate)
    const problem = this.#context.authenticate(item, { now })
    if (problem !== null) return this.#error('collateral_unauthentic', source, problem)
    if (this.#held && isRollback(facts, this.#held)) return this.#rollback(facts, this.#held, source)
    if (isPast(facts, now, this.#context.graceMs)) {
      return this.#untimely('collateral_expired', source, 'had to be renewed by', facts.nextUpdate)
    }
    return { key: this.#key, item, facts, source }
  }

  #rollback(offered: ItemFacts, held: ItemFacts, source: string): AttestdError {
    this.#context.report({ event: 'collateral_rollback', item: nameOfItem(this.#key), source, held, offered })
    const [had, has] = [held, offered].map(
      ({ number, issueDate }) => `number ${number} of ${new Date(issueDate).toISOString()}`,
    )
    return this.#error('collateral_rollback', source, `has ${has}; seen before was ${had}`)
  }

  #untimely(code: ErrorCode, source: string, says: string, time: number): AttestdError {
    return this.#error(code, source, `${nameOfItem(this.#key)} ${says} ${new Date(time).toISOString()}`)
  }

  #error(code: ErrorCode, source: string, says: string, cause?: unknown): AttestdError {
    const facts = { source, item: nameOfItem(this.#key) }
    return endorserErrors.error(code, `${source}: ${says}`, { facts, ...(cause === undefined ? {} : { cause }) })
  }
}

/** One error for all: the one that all agree on, or that no source could serve. */
function summaryOf(key: ItemKey, errors: readonly AttestdError[]): AttestdError {
  const [first] = errors
  if (first && errors.length === 1) return first
  const agreed = first && errors.every(({ code }) => code === first.code) ? (first.code as ErrorCode) : null
  const says = errors.map(({ message }) => message).join('; ')
  return endorserErrors.error(agreed ?? 'collateral_unavailable', `${nameOfItem(key)}: ${says}`, {
    facts: { item: nameOfItem(key), sources: errors.length },
    ...(errors.length === 0 ? {} : { cause: errors }),
  })
}

async function attemptAt(source: ItemSource, key: ItemKey, judge: Judge, signal: AbortSignal): Promise<Attempt> {
  try {
    return judge.first(await source.obtain(key, signal), source.name)
  } catch (error) {
    signal.throwIfAborted()
    if (error instanceof AttestdError) return error
    throw error
  }
}

/**
 * Obtains the item `key` from the first source that has a good one. The next source is asked where one cannot be
 * reached, does not know the item, or serves something that is not it, is not authentic, is past its time, or is older
 * than `held`; a source that refuses the request itself ends the search (TDX-200, PCS-01). Rejects with an error of
 * `endorserErrors` that says what each source answered.
 */
export async function obtainItem(
  key: ItemKey,
  held: ItemFacts | null,
  context: ObtainingContext,
  signal: AbortSignal,
): Promise<ObtainedItem> {
  const judge = new Judge(key, held, context)
  const errors: AttestdError[] = []
  let late: ObtainedItem | null = null
  for (const source of context.sources) {
    const attempt = await attemptAt(source, key, judge, signal)
    if ('item' in attempt) {
      if (!isPast(attempt.facts, context.now())) return attempt
      // Within its grace it serves, unless another source has a current one.
      late ??= attempt
      continue
    }
    errors.push(attempt)
    context.report({ event: 'collateral_source_failed', item: nameOfItem(key), source: source.name, error: attempt })
    if (refusals.includes(attempt.code)) break
  }
  if (late) return late
  throw summaryOf(key, errors)
}
