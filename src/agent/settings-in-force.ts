import type { Logger } from 'pino'
import { AttestdError } from '../base/errors.ts'
import { Turns } from '../base/turns.ts'
import type { TokenSource } from '../passport/token-source.ts'
import { agentErrors } from './errors.ts'
import { changesLists, changesTokens, reloadSettings } from './wiring/reload.ts'
import type { Settings } from './wiring/settings.ts'
import { readEkTrust } from './wiring/trust-files.ts'

export interface SettingsPorts {
  readonly file: string
  readonly log: Logger
  readonly sourcesFor: (settings: Settings, generation: number) => readonly TokenSource[]
  /** Puts settings in force; `lists`: with other revocation lists than before. Must not fail. */
  readonly adopted: (settings: Settings, sources: readonly TokenSource[], change: { readonly lists: boolean }) => void
}

/** The one snapshot of settings that is in force; replaced whole, or not at all (BRK-142). */
export class SettingsInForce {
  readonly #ports: SettingsPorts
  readonly #turns = new Turns()
  #settings: Settings
  #generation: number
  #error: string | null = null
  /** Counts what was tried, so that each has a line of its own in the log (BRK-130, BRK-131). */
  #reloads = 0

  constructor(settings: Settings, generation: number, ports: SettingsPorts) {
    this.#settings = settings
    this.#generation = generation
    this.#ports = ports
  }

  get settings(): Settings {
    return this.#settings
  }

  /** Of the last reload that was refused; null if the newest configuration is in force. */
  get error(): string | null {
    return this.#error
  }

  /** Gives every error of the file; none: it is in force. One at a time: the file that is read last wins. */
  reload(): Promise<readonly string[]> {
    return this.#turns.take(async () => {
      this.#reloads++
      const outcome = await reloadSettings(this.#ports.file, this.#settings)
      const errors = 'errors' in outcome ? outcome.errors : this.#adopt(outcome.settings)
      if (errors.length > 0) {
        this.#error = errors.join('\n')
        this.#ports.log.error(
          { event: 'reload_refused', reload: this.#reloads, errors },
          'the new configuration was refused; the former stays',
        )
      }
      return errors
    })
  }

  /** Revocation lists are replaced in place: what the settings name is read again, and is in force from then on (ENR-10). */
  renewTrust(): Promise<Settings> {
    return this.#turns.take(async () => {
      const { configuration } = this.#settings
      const renewed = { ...this.#settings, trust: await readEkTrust(configuration.verifier) }
      // Files that say what they said leave sources, enrolments and waiting callers as they are.
      const changes = changesTokens(this.#settings, renewed) || changesLists(this.#settings, renewed)
      const [problem] = changes ? this.#adopt(renewed) : []
      if (problem !== undefined) throw agentErrors.error('CONFIGURATION_INVALID', problem)
      return this.#settings
    })
  }

  /** Gives what stands against the settings; none: they are in force. */
  #adopt(settings: Settings): readonly string[] {
    const before = this.#settings
    const generation = changesTokens(before, settings) ? this.#generation + 1 : this.#generation
    // Made before anything changes: what cannot be made leaves everything as it was.
    const sources = this.#sourcesOrError(settings, generation)
    if (sources instanceof AttestdError) return [sources.message]
    this.#generation = generation
    this.#settings = settings
    this.#error = null
    this.#ports.adopted(settings, sources, { lists: changesLists(before, settings) })
    this.#ports.log.info({ event: 'reloaded', reload: this.#reloads, generation }, 'the new configuration is in force')
    return []
  }

  #sourcesOrError(settings: Settings, generation: number): readonly TokenSource[] | AttestdError {
    try {
      return this.#ports.sourcesFor(settings, generation)
    } catch (error) {
      if (error instanceof AttestdError) return error
      throw error
    }
  }
}
