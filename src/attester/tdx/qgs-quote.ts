import { AttestdError } from '../../base/errors.ts'
import { attesterErrors } from '../errors.ts'
import { encodeQuoteRequest, parseQuoteResponse, qgsMessageLimit } from './qgs-message.ts'
import type { QuoteOutcome, QuotePath, QuotePathName } from './quote-path.ts'
import { systemRefusal } from './system-refusal.ts'

/** `/dev/tdx_guest` (TDX-016, 017). Rejects with errors that carry `code` and `syscall`; a call cannot be taken back. */
export interface TdxGuestDevice {
  /** The TDREPORT of 1024 bytes over 64 bytes of report data. */
  report(reportData: Uint8Array): Promise<Uint8Array>
  /**
   * Hands a message, its length in front, to the quoting service through the hypervisor. `status` and `answer` as the
   * driver left them; `answer` is empty unless the status is 0. `ENOTTY` where the driver cannot.
   */
  exchange(message: Uint8Array): Promise<{ readonly status: bigint; readonly answer: Uint8Array }>
}

/** The quoting service of the host by vsock: one connection a message. Rejects like `TdxGuestDevice`. */
export interface QuoteService {
  /** Sends a message, its length in front, and gives the answer in the same form; both at most 4 + 16 384 bytes. */
  exchange(message: Uint8Array): Promise<Uint8Array>
}

const next = (code: Parameters<typeof attesterErrors.error>[0], detail: string, cause?: unknown): QuoteOutcome => ({
  kind: 'next',
  error: attesterErrors.error(code, detail, cause === undefined ? {} : { cause }),
})

/** What the system refuses and what makes no sense both leave it to the next path; a bug passes through. */
function outcomeOf(error: unknown, name: QuotePathName): QuoteOutcome {
  const refusal = systemRefusal(error)
  if (refusal === null && error instanceof AttestdError) {
    return next('quote_host_error', `${name}: ${error.message}`, error)
  }
  if (refusal === null) throw error
  const { errno, syscall } = refusal
  const facts = { errno, path: name }
  const detail = `${name}: ${syscall} failed with ${errno}`
  if (errno === 'EACCES' || errno === 'EPERM') {
    return { kind: 'next', error: attesterErrors.error('tsm_permission', detail, { facts, cause: error }) }
  }
  const absent = ['ENOENT', 'ENODEV', 'ENXIO', 'ENOTTY', 'EAFNOSUPPORT', 'ECONNREFUSED', 'ECONNRESET'].includes(errno)
  const code = absent ? 'quote_path_unavailable' : 'quote_host_error'
  return { kind: 'next', error: attesterErrors.error(code, detail, { facts, cause: error }) }
}

function quoteIn(answer: Uint8Array, name: QuotePathName, limit?: number): QuoteOutcome {
  const { error, quote } = parseQuoteResponse(answer, limit)
  if (error !== 0) return next('quote_host_error', `${name}: the quoting service answered error ${error}`)
  if (quote.length === 0) return next('quote_empty', `${name}: the quoting service answered an empty quote`)
  return { kind: 'quote', quote: new Uint8Array(quote) }
}

/**
 * Quotes by the quoting service over vsock (TDX-016). `service` is null where the machine names no port for it, and
 * `guest` where native code cannot be called or the device is missing: then there is no such path, which is no error.
 */
export function createVsockQuotePath(guest: TdxGuestDevice | null, service: QuoteService | null): QuotePath {
  const name = 'vsock-qgs'
  return {
    name,
    attempt: async (reportData, signal) => {
      if (service === null) return next('quote_path_unavailable', `${name}: no port of a quoting service is configured`)
      if (guest === null) return next('quote_path_unavailable', `${name}: /dev/tdx_guest cannot be used`)
      try {
        const request = encodeQuoteRequest(await guest.report(reportData))
        signal.throwIfAborted()
        return quoteIn(await service.exchange(request), name)
      } catch (error) {
        if (error === signal.reason) throw error
        return outcomeOf(error, name)
      }
    },
  }
}

/** States of the block of the hypercall that are no errors of the service (TDX-017). */
const statuses = { done: 0n, inFlight: 0xffff_ffff_ffff_ffffn, unavailable: 0x8000_0000_0000_0001n } as const

/** The block has 16 KiB: 24 bytes of head, 4 of length, then the answer (NAT-73). */
const blockAnswerLimit = qgsMessageLimit - 28

function statusOutcome(status: bigint, name: QuotePathName): QuoteOutcome {
  if (status === statuses.inFlight) return next('quote_host_busy', `${name}: the host still works on the request`)
  if (status === statuses.unavailable) {
    return next('quote_path_unavailable', `${name}: the host has no quoting service for this call`)
  }
  return next('quote_host_error', `${name}: the host answered status 0x${status.toString(16)}`)
}

/** Quotes by the ioctl of vendor kernels (TDX-017, NAT-73); `guest` as above. */
export function createTdvmcallQuotePath(guest: TdxGuestDevice | null): QuotePath {
  const name = 'tdvmcall'
  return {
    name,
    attempt: async (reportData, signal) => {
      if (guest === null) return next('quote_path_unavailable', `${name}: /dev/tdx_guest cannot be used`)
      try {
        const request = encodeQuoteRequest(await guest.report(reportData))
        signal.throwIfAborted()
        const { status, answer } = await guest.exchange(request)
        return status === statuses.done ? quoteIn(answer, name, blockAnswerLimit) : statusOutcome(status, name)
      } catch (error) {
        if (error === signal.reason) throw error
        return outcomeOf(error, name)
      }
    },
  }
}
