import type { Exchange } from './exchange.ts'

/** One route of a listener. `GET` routes answer `HEAD` too, without starting work (API-33). */
export interface Route {
  readonly method: 'GET' | 'POST'
  readonly path: string
  /** True: the caller is identified, counted and checked again before the answer is written (API-47). */
  readonly caller: boolean
  handle(exchange: Exchange): Promise<void>
}
