import type { Exchange } from './exchange.ts'

/** Name of a TPM key: a hash algorithm and a digest of 20 to 64 bytes, in lower-case hexadecimal. */
export const keyName = /[0-9a-f]{4}(?:[0-9a-f]{2}){20,64}/

/** What may stand at a place of a path, byte for byte: nothing of it is decoded. */
export const routePlaces: Readonly<Record<string, RegExp>> = {
  '{name}': keyName,
  '{consumer}': /[a-z0-9][a-z0-9-]{0,31}/,
  '{secret}': /[A-Za-z0-9_-]{43}/,
}

/** One route of a listener. `GET` routes answer `HEAD` too, without starting work (API-33). */
export interface Route {
  readonly method: 'GET' | 'POST'
  /** Letters, digits, `/`, `-`, `_` and `:`; whole segments may be places: those of `routePlaces`. */
  readonly path: string
  /** True: the caller is identified, counted and checked again before the answer is written (API-47). */
  readonly caller: boolean
  handle(exchange: Exchange): Promise<void>
}
