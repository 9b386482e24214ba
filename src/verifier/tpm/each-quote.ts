import { MalformedError } from '../../base/errors.ts'
import type { Checklist } from '../../results/checklist.ts'
import type { TpmCheckId } from './checks.ts'

export type TpmChecklist = Checklist<TpmCheckId>

/** One item for each quote of the evidence, in its order; null where an earlier check failed. */
export type EachQuote<T> = readonly (T | null)[]

export type Attempt<T> =
  | { readonly value: T; readonly problem: null }
  | { readonly value: null; readonly problem: string }

/** Parses what may be malformed. Whatever else is thrown is a bug and goes on. */
export function attempt<T>(parse: () => T): Attempt<T> {
  try {
    return { value: parse(), problem: null }
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return { value: null, problem: error.message }
  }
}

/** Passes where there is no problem. */
export function judgeProblem(
  checklist: TpmChecklist,
  id: TpmCheckId,
  problem: string | null,
  detail?: string,
): boolean {
  return problem === null ? checklist.pass(id, detail) : checklist.fail(id, problem)
}

/**
 * Records one check over all quotes. A problem of any of them fails it; it passes only if every quote could be
 * judged, else it stays unreached. Gives the quotes for which it holds, null in place of the others.
 */
export function judgeEach<T>(
  checklist: TpmChecklist,
  id: TpmCheckId,
  quotes: EachQuote<T>,
  problemOf: (quote: T, index: number) => string | null,
): EachQuote<T> {
  const problems: string[] = []
  const sound = quotes.map((quote, index) => {
    const problem = quote === null ? null : problemOf(quote, index)
    if (problem !== null) problems.push(`quotes.${index}: ${problem}`)
    return problem === null ? quote : null
  })
  if (problems.length > 0) checklist.fail(id, problems.join('; '))
  else if (quotes.length > 0 && !quotes.includes(null)) checklist.pass(id)
  return sound
}

/** Parses something of every quote under one check; null in place of what is malformed. */
export function parseEach<S, T>(
  checklist: TpmChecklist,
  id: TpmCheckId,
  quotes: EachQuote<S>,
  parse: (quote: S) => T,
): EachQuote<T> {
  const attempts = quotes.map((quote) => (quote === null ? null : attempt(() => parse(quote))))
  return judgeEach(checklist, id, attempts, ({ problem }) => problem).map((sound) => sound?.value ?? null)
}

/** Those that are there, if all are; null if one is missing or there is none. */
export function allOf<T>(quotes: EachQuote<T>): readonly T[] | null {
  const present = quotes.filter((quote) => quote !== null)
  return present.length === quotes.length && present.length > 0 ? present : null
}
