import type { JsonObject } from '../base/json.ts'
import type { Checklist } from '../results/checklist.ts'
import type { SignatureAlgorithm } from './algorithms.ts'
import type { TokenCheckId } from './checks.ts'
import type { Expected } from './require-expectations.ts'
import type { Trust } from './require-trust.ts'

export type TokenChecklist = Checklist<TokenCheckId>

/** A token whose signature was verified, beside what it is judged by. */
export interface Judging {
  readonly trust: Trust
  readonly expected: Expected
  readonly payload: JsonObject
  readonly algorithm: SignatureAlgorithm
  /** Seconds since the epoch, with their fraction. */
  readonly now: number
  readonly list: TokenChecklist
}

/** Records the outcome of one check in the list, or leaves it unreached where an earlier failure made it meaningless. */
export type Judge = (judging: Judging) => void
