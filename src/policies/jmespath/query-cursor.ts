import type { EvaluationFailure } from '../evaluation-failure.ts'
import { type QueryToken, queryProblem } from './query-tokens.ts'

/** Walks over the tokens of a query; never behind the last one, which is `end`. */
export class QueryCursor {
  readonly #tokens: readonly QueryToken[]
  #next = 0

  constructor(tokens: readonly QueryToken[]) {
    this.#tokens = tokens
  }

  get token(): QueryToken {
    const token = this.#tokens[this.#next]
    if (!token) throw new TypeError('read behind the end of a query')
    return token
  }

  /** Kind of a token behind the current one. */
  behind(distance: number): QueryToken['kind'] | undefined {
    return this.#tokens[this.#next + distance]?.kind
  }

  at(kind: QueryToken['kind']): boolean {
    return this.token.kind === kind
  }

  take(): QueryToken {
    const { token } = this
    if (token.kind !== 'end') this.#next++
    return token
  }

  skip(kind: QueryToken['kind']): boolean {
    if (!this.at(kind)) return false
    this.take()
    return true
  }

  require(kind: QueryToken['kind']): void {
    if (!this.skip(kind)) throw this.unexpected(`'${kind}'`)
  }

  unexpected(expected: string): EvaluationFailure {
    return queryProblem(`expected ${expected}`, this.token.at)
  }
}
