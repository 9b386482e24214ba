import type { Clock } from '../../base/clock.ts'
import type { RandomSource } from '../../base/random.ts'
import { quoteLimit } from '../../evidence/tdx/quote.ts'
import { attesterErrors } from '../errors.ts'
import { entryName, isStaleEntry, type Processes } from './entry-name.ts'
import type { QuoteOutcome, QuotePath } from './quote-path.ts'
import { describeFailure, systemRefusal } from './system-refusal.ts'
import type { TsmFiles } from './tsm-files.ts'
import { type TsmRule, type TsmStep, tsmRule } from './tsm-rules.ts'

export interface TsmQuotePathOptions {
  readonly files: TsmFiles
  readonly processes: Processes
  readonly clock: Pick<Clock, 'sleep'>
  readonly random: RandomSource
  /** Hears of entries that could not be removed, and of a host that lets us wait. */
  readonly warn?: (message: string) => void
}

/** Quotes by configfs-tsm, the primary path (TDX 1.1). */
export interface TsmQuotePath extends QuotePath {
  /** Removes entries of attestd processes that are gone, and tells how many (TDX-015). What a port refuses is no failure. */
  removeStale(): Promise<number>
}

export function createTsmQuotePath(options: TsmQuotePathOptions): TsmQuotePath {
  return new ConfigfsPath(options)
}

const provider = 'tdx_guest'
const generationForm = /^[0-9]{1,20}\n?$/
/** Of `provider` and `generation`, in bytes. */
const textLimit = 256
/** New entries after the first one (TDX-004, 007). */
const mostNewStarts = 3
/** Signals in a row, at one step, before the system call is given up. */
const mostRepeats = 64
const backOff = { firstMs: 250, mostMs: 2000 } as const
const retryAfterMs = 1000

/** Leaves the steps of one entry early. Never seen outside of this file. */
class Departure {
  readonly rule: TsmRule
  readonly outcome: QuoteOutcome
  readonly message: string

  constructor(rule: TsmRule, message: string, facts: Readonly<Record<string, string>>, cause?: unknown) {
    const error = attesterErrors.error(rule.code, message, { facts, cause })
    this.rule = rule
    this.message = message
    this.outcome = { kind: rule.action === 'next' || rule.action === 'retry-once' ? 'next' : 'failed', error }
  }
}

class ConfigfsPath implements TsmQuotePath {
  readonly name = 'configfs-tsm'
  #options: TsmQuotePathOptions

  constructor(options: TsmQuotePathOptions) {
    this.#options = options
  }

  async attempt(reportData: Uint8Array, signal: AbortSignal): Promise<QuoteOutcome> {
    if (reportData.length !== 64) throw new TypeError(`report data takes 64 bytes, got ${reportData.length}`)
    for (let newStarts = 0; ; newStarts++) {
      signal.throwIfAborted()
      try {
        return { kind: 'quote', quote: await this.#inOwnEntry((entry) => this.#quote(entry, reportData, signal)) }
      } catch (left) {
        if (!(left instanceof Departure)) throw left
        if (left.rule.action !== 'start-over' || newStarts === mostNewStarts) return left.outcome
      }
    }
  }

  async probe(): Promise<boolean> {
    try {
      await this.#inOwnEntry((entry) => this.#requireProvider(entry))
      return true
    } catch (left) {
      if (!(left instanceof Departure)) throw left
      return false
    }
  }

  async removeStale(): Promise<number> {
    const { files, processes } = this.#options
    let removed = 0
    try {
      const stale = (await files.list()).filter((name) => isStaleEntry(name, processes))
      for (const name of stale) if (await this.#remove(name)) removed++
    } catch (error) {
      // Without the folder there is nothing to clean; the first quote tells what is wrong with it.
      if (describeFailure(error) === null) throw error
    }
    return removed
  }

  async #inOwnEntry<T>(use: (entry: string) => Promise<T>): Promise<T> {
    const { files, processes, random } = this.#options
    const entry = entryName(processes.self(), random)
    await this.#step('mkdir', entry, () => files.mkdir(entry))
    try {
      return await use(entry)
    } finally {
      await this.#remove(entry)
    }
  }

  async #quote(entry: string, reportData: Uint8Array, signal: AbortSignal): Promise<Uint8Array> {
    const { files } = this.#options
    await this.#requireProvider(entry)
    await this.#step('inblob', entry, () => files.writeOnce(entry, 'inblob', reportData))
    // TDX-004: the kernel took the bytes at close and would not have told; its count of writes does.
    await this.#requireOneWrite(entry)
    const quote = await this.#readQuote(entry, signal)
    await this.#requireOneWrite(entry)
    if (quote.length > 0) return quote
    const rule: TsmRule = { action: 'next', code: 'quote_empty' }
    throw new Departure(rule, `${entry}/outblob has no bytes`, { path: `${entry}/outblob` })
  }

  async #requireProvider(entry: string): Promise<void> {
    const text = await this.#readText('provider', entry)
    if (text.trimEnd() === provider) return
    const shown = JSON.stringify(text.trimEnd().slice(0, 32))
    const rule: TsmRule = { action: 'final', code: 'tsm_wrong_provider' }
    throw new Departure(rule, `the provider is ${shown}, not ${provider}`, { path: `${entry}/provider` })
  }

  async #requireOneWrite(entry: string): Promise<void> {
    const text = await this.#readText('generation', entry)
    if (generationForm.test(text) && Number(text) === 1) return
    const rule: TsmRule = { action: 'start-over', code: 'tsm_conflict' }
    const detail = `${entry}: the kernel counts ${JSON.stringify(text.trimEnd().slice(0, 32))} writes after one of ours`
    throw new Departure(rule, detail, { path: `${entry}/generation` })
  }

  async #readText(attribute: 'provider' | 'generation', entry: string): Promise<string> {
    const read = () => this.#options.files.readAll(entry, attribute, textLimit)
    return Buffer.from(await this.#step(attribute, entry, read)).toString('latin1')
  }

  /** A busy host is waited for until the deadline; one that failed or kept silent gets one more chance. */
  async #readQuote(entry: string, signal: AbortSignal): Promise<Uint8Array> {
    const { files, clock } = this.#options
    const retried = new Set<string>()
    let waitMs: number = backOff.firstMs
    for (;;) {
      signal.throwIfAborted()
      try {
        return await this.#step('outblob', entry, () => files.readAll(entry, 'outblob', quoteLimit))
      } catch (left) {
        if (!(left instanceof Departure)) throw left
        if (left.rule.action === 'back-off') {
          if (waitMs === backOff.firstMs) this.#warn(`${left.message}; waiting for the host`)
          await clock.sleep(waitMs, signal)
          waitMs = Math.min(2 * waitMs, backOff.mostMs)
        } else if (left.rule.action === 'retry-once' && !retried.has(left.rule.code)) {
          retried.add(left.rule.code)
          await clock.sleep(retryAfterMs, signal)
        } else throw left
      }
    }
  }

  /** One file operation; a signal that interrupted it has it done again at once. */
  async #step<T>(step: TsmStep, entry: string, run: () => Promise<T>): Promise<T> {
    const path = step === 'mkdir' ? entry : `${entry}/${step}`
    for (let repeats = 0; ; repeats++) {
      try {
        return await run()
      } catch (cause) {
        const refusal = systemRefusal(cause)
        if (refusal === null) throw cause
        const rule = tsmRule(step, refusal.errno)
        if (rule.action === 'repeat' && repeats < mostRepeats) continue
        const { errno, syscall } = refusal
        throw new Departure(rule, `${path}: ${syscall} failed with ${errno}`, { errno, path, step }, cause)
      }
    }
  }

  /** TDX-008: nothing but rmdir works; an entry that stays is no reason to withhold a quote. */
  async #remove(entry: string): Promise<boolean> {
    for (let repeats = 0; ; repeats++) {
      try {
        await this.#options.files.rmdir(entry)
        return true
      } catch (error) {
        const refusal = systemRefusal(error)
        if (refusal === null) throw error
        if (refusal.errno === 'EINTR' && repeats < mostRepeats) continue
        if (refusal.errno === 'ENOENT') return false
        this.#warn(`${entry}: rmdir failed with ${refusal.errno}; the entry stays until the next start`)
        return false
      }
    }
  }

  #warn(message: string): void {
    this.#options.warn?.(message)
  }
}
