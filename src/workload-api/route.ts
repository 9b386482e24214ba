import type { Exchange } from './exchange.ts'

/** Name of a TPM key: a hash algorithm and a digest of 20 to 64 bytes, in lower-case hexadecimal. */
export const keyName = /[0-9a-f]{4}(?:[0-9a-f]{2}){20,64}/

/** One route of a listener. `GET` routes answer `HEAD` too, without starting work (API-33). */
export interface Route {
  readonly method: 'GET' | 'POST'
  /** Letters, digits, `/`, `-` and `_`; one segment may be `{name}`, which stands for whatever is a `keyName`. */
  readonly path: string
  /** True: the caller is identified, counted and checked again before the answer is written (API-47). */
  readonly caller: boolean
  handle(exchange: Exchange): Promise<void>
}
