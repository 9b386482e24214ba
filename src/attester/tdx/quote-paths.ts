import { equalBytes } from '../../base/bytes.ts'
import { type AttestdError, MalformedError } from '../../base/errors.ts'
import { parseQuote, type Quote, reportDataOf } from '../../evidence/tdx/quote.ts'
import { teeTdx } from '../../evidence/tdx/signed-part.ts'
import type { Rtmrs } from '../../evidence/tdx/td-report.ts'
import { attesterErrors } from '../errors.ts'
import type { QuotePath, QuotePathName } from './quote-path.ts'

export interface ObtainedQuote {
  readonly bytes: Uint8Array
  /** The four runtime registers as the quote has them. */
  readonly rtmrs: Rtmrs
  readonly path: QuotePathName
}

function parsed(bytes: Uint8Array, path: QuotePathName): Quote {
  try {
    return parseQuote(bytes)
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw attesterErrors.error('quote_echo_mismatch', `${path}: ${cause.message}`, { cause, facts: { path } })
  }
}

/** TDX-009: whoever answers in place of the quoting service is found out here, not at a verifier far away. */
function requireEcho(bytes: Uint8Array, reportData: Uint8Array, path: QuotePathName): ObtainedQuote {
  const quote = parsed(bytes, path)
  const refuse = (detail: string) =>
    attesterErrors.error('quote_echo_mismatch', `${path}: ${detail}`, { facts: { path } })
  if (quote.header.teeType !== teeTdx || quote.body.kind === 'sgx') throw refuse('the quote is not one of a TD')
  if (!equalBytes(reportDataOf(quote), reportData)) throw refuse('the quote is over other report data')
  return { bytes, rtmrs: quote.body.report.rtmr, path }
}

/** Errors that say no more than that a path does not exist here. */
const absences = ['quote_path_unavailable', 'tsm_absent', 'tsm_no_provider']

function mostTelling(errors: readonly AttestdError[]): AttestdError {
  const telling = errors.find(({ code }) => !absences.includes(code)) ?? errors[0]
  return telling ?? attesterErrors.error('quote_path_unavailable', 'no way to a quote is configured')
}

/**
 * Tries one path after another until one has a quote over `reportData` (TDX 1.2, 009, 018). Throws the error of a path
 * that no other can better; the most telling one where none has a quote; the reason of `signal`.
 */
export async function obtainQuote(
  paths: readonly QuotePath[],
  reportData: Uint8Array,
  signal: AbortSignal,
): Promise<ObtainedQuote> {
  const errors: AttestdError[] = []
  for (const path of paths) {
    signal.throwIfAborted()
    const outcome = await path.attempt(reportData, signal)
    if (outcome.kind === 'quote') return requireEcho(outcome.quote, reportData, path.name)
    if (outcome.kind === 'failed') throw outcome.error
    errors.push(outcome.error)
  }
  throw mostTelling(errors)
}
