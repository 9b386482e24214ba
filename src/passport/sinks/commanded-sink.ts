import type { Clock } from '../../base/clock.ts'
import { runTogether, type Task } from '../../base/tasks.ts'
import type { BrokerEvent } from '../broker-events.ts'
import type { SinkEvent, SinkStatus } from './sink-status.ts'
import type { KeptSink } from './token-files.ts'
import { WakeUp } from './wake-up.ts'

/** How a command ended. `output` is bounded and holds nothing secret. */
export interface CommandResult {
  readonly result: string
  readonly how: string
  readonly output: string
}

/** Port: runs the command that a sink is configured with; rejects only with a bug. */
export type RunCommand = (signal: AbortSignal) => Promise<CommandResult>

export interface CommandParts {
  readonly name: string
  readonly run: RunCommand
  readonly clock: Clock
  readonly observe: (event: SinkEvent) => void
}

/** Tells a consumer of changes: one command at a time, and one for all changes that came while it ran. Nobody waits for it. */
export class ChangeNotices {
  readonly #parts: CommandParts
  readonly #wake: WakeUp
  #due = false
  #runs = 0
  #failures = 0

  constructor(parts: CommandParts) {
    this.#parts = parts
    this.#wake = new WakeUp(parts.clock)
  }

  readonly changed = (): void => {
    this.#due = true
    this.#wake.ring()
  }

  get counts(): Pick<SinkStatus['counts'], 'commands' | 'commandsFailed'> {
    return { commands: this.#runs, commandsFailed: this.#failures }
  }

  readonly keep: Task = async (signal) => {
    try {
      while (!signal.aborted) {
        await this.#wake.sleep(30_000, signal)
        if (this.#due) await this.#runOnce(signal)
      }
    } catch (error) {
      if (!signal.aborted) throw error
    }
  }

  async #runOnce(signal: AbortSignal): Promise<void> {
    this.#due = false
    const { name, run, observe } = this.#parts
    const { result, how, output } = await run(signal)
    this.#runs++
    if (result !== 'done') this.#failures++
    observe({ event: result === 'done' ? 'sink_command_done' : 'sink_command_failed', sink: name, result, how, output })
  }
}

/** A token file whose consumer is told of changes by a command (`on_change`). */
export class CommandedSink implements KeptSink {
  readonly #keeper: KeptSink
  readonly #notices: ChangeNotices

  constructor(keeper: KeptSink, notices: ChangeNotices) {
    this.#keeper = keeper
    this.#notices = notices
  }

  keep(signal: AbortSignal): Promise<void> {
    return runTogether(signal, (inner) => this.#keeper.keep(inner), this.#notices.keep)
  }

  hear(event: BrokerEvent): void {
    this.#keeper.hear(event)
  }

  abandon(): void {
    this.#keeper.abandon()
  }

  failing(): string | null {
    return this.#keeper.failing()
  }

  status(): SinkStatus {
    const status = this.#keeper.status()
    return { ...status, counts: { ...status.counts, ...this.#notices.counts } }
  }
}
