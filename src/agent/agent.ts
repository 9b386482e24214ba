import type { Logger } from 'pino'
import { AttestdError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { runTogether, type Task } from '../base/tasks.ts'
import { Turns } from '../base/turns.ts'
import { type Broker, createBroker } from '../passport/broker.ts'
import type { TokenSource } from '../passport/token-source.ts'
import { openPeerCredentials, type PeerCredentials } from '../platform/peer-credentials.ts'
import { ServiceManager } from '../platform/service-manager.ts'
import { TpmRegistry } from '../registry/tpm-registry.ts'
import type { AdminActions, EntrySelector } from '../workload-api/admin-routes.ts'
import { ConnectionLedger } from '../workload-api/connection-ledger.ts'
import { defaultLimits, type WorkloadLimits } from '../workload-api/limits.ts'
import type { Readiness } from '../workload-api/probe-routes.ts'
import { serveWorkloads, type WorkloadServerOptions } from '../workload-api/workload-server.ts'
import { type AgentStatus, describeGuest } from './agent-status.ts'
import type { LoadedConfiguration } from './configuration/read.ts'
import { LastAppraisals } from './embedded/last-appraisal.ts'
import { agentErrors } from './errors.ts'
import { AgentRegistryActions } from './registry-actions.ts'
import { invalidateSelected } from './selected-entries.ts'
import { earliestNowS, version } from './version.ts'
import { type GuestWiring, wireGuest } from './wiring/guest.ts'
import type { Host } from './wiring/host.ts'
import { type IssuingWiring, wireIssuing } from './wiring/issuing.ts'
import { type ListenerName, type Listeners, openListeners } from './wiring/listeners.ts'
import { wireRegistry } from './wiring/registry.ts'
import type { OpenRegistryStore } from './wiring/registry-store.ts'
import { changesLists, changesTokens, reloadSettings } from './wiring/reload.ts'
import { composeSettings, localIssuer, type Settings } from './wiring/settings.ts'
import { type SourceFactory, wireSources } from './wiring/sources.ts'
import { readEkTrust } from './wiring/trust-files.ts'

/** Of the 10 s that stopping may take, 5 s are the broker's (BRK-143). */
const longestCloseMs = 2_000
const limits: WorkloadLimits = { ...defaultLimits, drainMs: 2_000 }

export interface AgentParts {
  readonly loaded: LoadedConfiguration
  readonly host: Host
  readonly log: Logger
}

/** What is opened once. */
interface AgentRooms {
  readonly issuing: IssuingWiring
  readonly guest: GuestWiring
  readonly store: OpenRegistryStore
}

/** The running agent: one snapshot of settings, replaced whole on reload. */
export class Agent {
  #parts: AgentParts
  #settings: Settings
  #generation = 1
  #configurationError: string | null = null
  #startedAt: number
  readonly #guest: GuestWiring
  readonly #issuing: IssuingWiring
  readonly #sources: SourceFactory
  readonly #registry: AgentRegistryActions
  readonly #broker: Broker
  readonly #peers: PeerCredentials
  readonly #listeners: Listeners
  readonly #manager: ServiceManager
  readonly #appraisals: LastAppraisals
  readonly #reloads = new Turns()
  /** Both listeners answer, and the service manager knows: before that it must not be told that a reload is done. */
  #announced = false

  private constructor(parts: AgentParts, settings: Settings, { issuing, guest, store }: AgentRooms) {
    const { host, log, loaded } = parts
    this.#parts = parts
    this.#settings = settings
    this.#issuing = issuing
    this.#startedAt = Math.floor(host.clock.now() / 1000)
    this.#appraisals = new LastAppraisals()
    this.#guest = guest
    this.#sources = wireSources({ host, log, guest, issuing, appraisals: this.#appraisals, store })
    const { clock, random, libc } = host
    const sources = this.#sources.sourcesFor(settings, 1)
    this.#broker = createBroker({ sources, clock, random, warm: settings.warm, limits: { builtAtS: earliestNowS } })
    const registry = new TpmRegistry({ store, clock, random })
    this.#registry = new AgentRegistryActions({ registry, renewTokens: (hard) => this.#renewLocal(hard), log })
    this.#peers = openPeerCredentials()
    this.#listeners = openListeners(loaded.configuration, host)
    const warn = ({ code, message }: AttestdError) => log.warn({ code }, message)
    this.#manager = new ServiceManager({ environment: process.env, clock, libc, pid: process.pid, warn })
    if (this.#peers.degraded) log.error({ code: this.#peers.degraded.code }, this.#peers.degraded.message)
  }

  /** Checks the configuration, opens the keys and the registry; throws before anything is served. */
  static async open(parts: AgentParts): Promise<Agent> {
    const { loaded, host, log } = parts
    const settings = await composeSettings(loaded)
    const issuing = await wireIssuing(loaded.configuration, host, log)
    const guest = await wireGuest(settings, host, log)
    return new Agent(parts, settings, { issuing, guest, store: await wireRegistry(loaded, host, log) })
  }

  /** Runs until `stop` aborts; then drains and ends (BRK-140, BRK-143). */
  async run(stop: AbortSignal): Promise<void> {
    const { log } = this.#parts
    const halt = new AbortController()
    const winding: Task = async (failed) => {
      await untilAborted(AbortSignal.any([stop, failed]))
      await this.#manager.stopping()
      log.info({ event: 'stopping' }, 'stopping')
      await this.#broker.drain()
      halt.abort()
    }
    const { clock } = this.#parts.host
    try {
      await runTogether(
        halt.signal,
        winding,
        (signal) => this.#broker.keepFresh(signal),
        ...this.#issuing.tasks,
        ...this.#guest.tasks,
        this.#sources.keepRechecked(
          () => this.#renewTrust(),
          () => this.#renewLocal(true),
        ),
        this.#serveAll(),
        (signal) => this.#manager.keepWatchdog(() => true, signal),
      )
    } finally {
      await this.#close()
      log.info({ event: 'stopped', ran_s: Math.floor(clock.now() / 1000) - this.#startedAt }, 'stopped')
    }
  }

  /** Lets the devices end what they are at, so that nothing of ours stays in them; not for long, if they do not answer. */
  async #close(): Promise<void> {
    const { host, log } = this.#parts
    const closed = new AbortController()
    const late = host.clock.sleep(longestCloseMs, closed.signal).then(
      () =>
        log.warn(
          { event: 'devices_left', devices: this.#guest.place },
          'a device does not answer and is left as it is',
        ),
      () => undefined,
    )
    const closing = this.#sources[Symbol.asyncDispose]().then(() => this.#guest[Symbol.asyncDispose]())
    await Promise.race([closing, late])
    closed.abort()
  }

  /** Gives every error of the new configuration; none: it is in force (BRK-142). The file that is read last wins. */
  reload(): Promise<readonly string[]> {
    return this.#reloads.take(() => this.#reload())
  }

  async #reload(): Promise<readonly string[]> {
    const { loaded, log } = this.#parts
    if (this.#announced) await this.#manager.reloading()
    const outcome = await reloadSettings(loaded.file, this.#settings)
    const errors = 'errors' in outcome ? outcome.errors : this.#adopt(outcome.settings)
    if (errors.length > 0) {
      this.#configurationError = errors.join('\n')
      log.error({ event: 'reload_refused', errors }, 'the new configuration was refused; the former stays')
    }
    const line = errors.length > 0 ? `reload failed: ${errors[0]}` : this.#statusLine()
    if (this.#announced) await this.#manager.ready(line)
    return errors
  }

  status(): AgentStatus {
    const { keys, url } = this.#issuing
    return {
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      ...this.#readiness(),
      ...describeGuest(this.#guest),
      identity: this.#peers.identity,
      issuer: { url, keys: keys.list() },
      appraisals: this.#appraisals.snapshot(),
      broker: this.#broker.status(),
      configurationError: this.#configurationError,
    }
  }

  /** Revocation lists are replaced in place: what the settings name is read again, and is in force from then on (ENR-10). */
  #renewTrust(): Promise<Settings> {
    return this.#reloads.take(async () => {
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
    const { log } = this.#parts
    const before = this.#settings
    const generation = changesTokens(before, settings) ? this.#generation + 1 : this.#generation
    // Made before anything changes: what cannot be made leaves everything as it was.
    const sources = this.#sourcesOrError(settings, generation)
    if (sources instanceof AttestdError) return [sources.message]
    this.#generation = generation
    this.#settings = settings
    this.#configurationError = null
    this.#guest.adopt(settings)
    log.level = settings.configuration.agent.log_level
    this.#broker.replaceSources(sources, settings.warm)
    if (changesLists(before, settings)) this.#renewLocal(false)
    log.info({ event: 'reloaded', generation }, 'the new configuration is in force')
    return []
  }

  #sourcesOrError(settings: Settings, generation: number): readonly TokenSource[] | AttestdError {
    try {
      return this.#sources.sourcesFor(settings, generation)
    } catch (error) {
      if (error instanceof AttestdError) return error
      throw error
    }
  }

  #readiness(): Readiness {
    const { ready, reasons } = this.#broker.status()
    const failing = this.#guest.failing()
    return { ready: ready && failing.length === 0, reasons: [...reasons, ...failing] }
  }

  #statusLine(): string {
    const { ready, reasons } = this.#readiness()
    return ready ? `ready; issuer ${localIssuer} ok; devices ${this.#guest.place}` : `not ready: ${reasons.join(', ')}`
  }

  /** Tokens of the bundled verifier are obtained anew; `hard`: what is at hand is not served meanwhile. */
  #renewLocal(hard: boolean): number {
    return this.#broker.invalidate({ issuer: localIssuer, hard })
  }

  #admin(): AdminActions {
    const act = (entries: EntrySelector, hard: boolean) => invalidateSelected(this.#broker, entries, hard)
    return {
      status: () => this.status(),
      refresh: (entries) => void act(entries, false),
      invalidate: (entries, { hard }) => act(entries, hard),
      reload: () => this.reload(),
      registry: this.#registry,
    }
  }

  /** Both listeners; READY once both answer, whatever the issuer and the TPM do (SYS-51). */
  #serveAll(): Task {
    const { clock, random } = this.#parts.host
    const { log } = this.#parts
    const shared = {
      readiness: () => this.#readiness(),
      clock,
      random,
      log,
      limits,
      connections: new ConnectionLedger(limits),
    }
    const api: WorkloadServerOptions = {
      ...shared,
      listener: 'api',
      identifier: this.#peers,
      policy: () => this.#settings.callers,
      tokens: () => this.#settings.tokens,
      provider: this.#broker,
      jwks: async () => ({ keys: this.#issuing.keys.jwks().keys.map((key): JsonObject => ({ ...key })) }),
    }
    const admin: WorkloadServerOptions = { ...shared, listener: 'admin', admin: this.#admin() }
    let open = 0
    const serve = (name: ListenerName, options: WorkloadServerOptions) =>
      serveWorkloads(options, async (server) => {
        await this.#listeners.listen(name, server)
        if (++open === 2) await this.#announce()
      })
    return (signal) => runTogether(signal, serve('api', api), serve('admin', admin))
  }

  async #announce(): Promise<void> {
    const { log, loaded } = this.#parts
    this.#announced = true
    await this.#manager.ready(this.#statusLine())
    const { api, admin } = loaded.configuration.listen
    const passed = [...this.#listeners.passed].join(' ')
    log.info(
      { event: 'ready', api, admin, passed, devices: this.#guest.place, identity: this.#peers.identity, version },
      'ready',
    )
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
