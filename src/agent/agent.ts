import type { Logger } from 'pino'
import type { AttestdError } from '../base/errors.ts'
import { runTogether, type Task } from '../base/tasks.ts'
import { TokenBuckets } from '../base/token-buckets.ts'
import { Turns } from '../base/turns.ts'
import { createBroker } from '../passport/broker.ts'
import type { BrokerEvent } from '../passport/broker-events.ts'
import { defaultBrokerLimits } from '../passport/limits.ts'
import type { TokenSource } from '../passport/token-source.ts'
import { openPeerCredentials } from '../platform/peer-credentials.ts'
import { ServiceManager } from '../platform/service-manager.ts'
import { TpmRegistry } from '../registry/tpm-registry.ts'
import type { AdminActions, EntrySelector } from '../workload-api/admin-routes.ts'
import { ConnectionLedger } from '../workload-api/connection-ledger.ts'
import type { Readiness } from '../workload-api/probe-routes.ts'
import type { WorkloadEvent } from '../workload-api/workload-log.ts'
import { type AgentStatus, describeGuest } from './agent-status.ts'
import type { LoadedConfiguration } from './configuration/read.ts'
import { limitsHere } from './connection-bounds.ts'
import type { AgentCore, AgentService } from './core.ts'
import { BatchLedger, type BatchRecord } from './embedded/batch-ledger.ts'
import { LastAppraisals } from './embedded/last-appraisal.ts'
import { createMeasurer, type MeasurementEvent } from './measuring.ts'
import { Observers } from './observers.ts'
import { AgentRegistryActions } from './registry-actions.ts'
import { invalidateSelected } from './selected-entries.ts'
import { serveAll } from './serving.ts'
import { SettingsInForce } from './settings-in-force.ts'
import { encodeSupportBundle } from './support-bundle.ts'
import { requireSimulated, testActions, testBounds } from './test-mode.ts'
import { TokenGates } from './token-gates.ts'
import { earliestNowS, version } from './version.ts'
import { type GuestWiring, wireGuest } from './wiring/guest.ts'
import type { Host } from './wiring/host.ts'
import { type IssuingWiring, wireIssuing } from './wiring/issuing.ts'
import { warnOfUnknownCallers } from './wiring/known-callers.ts'
import { openListeners } from './wiring/listeners.ts'
import { wireMetrics } from './wiring/metrics.ts'
import { localIssuer } from './wiring/plain-request.ts'
import { wireRegistry } from './wiring/registry.ts'
import type { OpenRegistryStore } from './wiring/registry-store.ts'
import { wireServices } from './wiring/services.ts'
import { composeSettings, type Settings } from './wiring/settings.ts'
import { type SourceFactory, wireSources } from './wiring/sources.ts'
import { createEvidenceCollector } from './workload-evidence.ts'

/** Of the 10 s that stopping may take, 5 s are the broker's (BRK-143). */
const longestCloseMs = 2_000
export interface AgentParts {
  readonly loaded: LoadedConfiguration
  readonly host: Host
  readonly log: Logger
}

/** What is opened once. */
interface AgentRooms {
  readonly settings: Settings
  readonly issuing: IssuingWiring
  readonly guest: GuestWiring
  readonly store: OpenRegistryStore
}

/** The running agent: rooms that were opened once, and one snapshot of settings that a reload replaces. */
export class Agent {
  readonly #core: AgentCore
  readonly #settings: SettingsInForce
  readonly #sources: SourceFactory
  readonly #registry: AgentRegistryActions
  readonly #manager: ServiceManager
  readonly #appraisals = new LastAppraisals()
  readonly #ledger: BatchLedger
  readonly #startedAt: number
  readonly #reloads = new Turns()
  #services: readonly AgentService[] = []
  /** Both listeners answer, and the service manager knows: before that it must not be told that a reload is done. */
  #announced = false

  private constructor({ host, log, loaded }: AgentParts, { settings, issuing, guest, store }: AgentRooms) {
    const { clock, random, libc } = host
    this.#startedAt = Math.floor(clock.now() / 1000)
    const batches = new Observers<BatchRecord>()
    this.#ledger = new BatchLedger(clock, batches.emit)
    this.#sources = wireSources({
      host,
      log,
      guest,
      issuing,
      appraisals: this.#appraisals,
      ledger: this.#ledger,
      store,
    })
    const sources = this.#sources.sourcesFor(settings, 1)
    const inForce = new SettingsInForce(settings, 1, {
      file: loaded.file,
      log,
      sourcesFor: this.#sources.sourcesFor,
      adopted: (changed, made, { lists }) => this.#adopted(changed, made, lists),
    })
    this.#settings = inForce
    const brokerEvents = new Observers<BrokerEvent>()
    const observe = brokerEvents.emit
    const measurements = new Observers<MeasurementEvent>()
    const { appraiser, turns } = this.#sources
    const brokerLimits = { ...defaultBrokerLimits, ...(host.testMode === null ? {} : testBounds.broker) }
    const limits = limitsHere(log, brokerLimits.servingFloorS)
    const core = {
      loaded,
      host,
      log,
      settings: () => inForce.settings,
      broker: createBroker({
        ...{ sources, clock, random, observe },
        declared: settings.declared,
        limits: { ...brokerLimits, builtAtS: earliestNowS },
      }),
      batches,
      brokerEvents,
      guest,
      issuing,
      peers: openPeerCredentials(),
      listeners: openListeners(loaded.configuration, host),
      connections: new ConnectionLedger(limits),
      buckets: new TokenBuckets(clock),
      limits,
      workloadEvents: new Observers<WorkloadEvent>(),
      collectEvidence: createEvidenceCollector({ guest, appraiser, turns }),
      measure: createMeasurer({ guest, settings: () => inForce.settings, measured: measurements.emit }),
      measurements,
      gates: new TokenGates(),
    }
    this.#core = { ...core, metrics: wireMetrics(core, turns) }
    const registry = new TpmRegistry({ store, clock, random })
    this.#registry = new AgentRegistryActions({ registry, renewTokens: (hard) => this.#renewLocal(hard), log })
    const warn = ({ code, message }: AttestdError) => log.warn({ code }, message)
    this.#manager = new ServiceManager({ environment: process.env, clock, libc, pid: process.pid, warn })
  }

  /** Checks the configuration, opens the keys and the registry; throws before anything is served. */
  static async open(parts: AgentParts): Promise<Agent> {
    const { loaded, host, log } = parts
    const { testMode } = host
    const settings = await composeSettings(loaded, testMode === null ? undefined : testBounds.leastLifetimeS)
    const issuing = await wireIssuing(loaded.configuration, host, log)
    const guest = await wireGuest(settings, host, log)
    if (testMode !== null) {
      requireSimulated(guest)
      log.warn({ event: 'test_mode' }, 'TEST MODE: clocks can be moved, tokens are simulated and protect nothing')
    }
    const agent = new Agent(parts, { settings, issuing, guest, store: await wireRegistry(loaded, host, log) })
    await warnOfUnknownCallers(agent.#core.peers, log)
    agent.#services = await wireServices(agent.#core)
    return agent
  }

  /** Runs until `stop` aborts; then drains and ends (BRK-140, BRK-143). */
  async run(stop: AbortSignal): Promise<void> {
    const { log, host, broker, issuing, guest } = this.#core
    const halt = new AbortController()
    const winding: Task = async (failed) => {
      await untilAborted(AbortSignal.any([stop, failed]))
      await this.#manager.stopping()
      log.info({ event: 'stopping' }, 'stopping')
      await broker.drain()
      halt.abort()
    }
    try {
      await runTogether(
        halt.signal,
        winding,
        (signal) => broker.keepFresh(signal),
        ...issuing.tasks,
        ...guest.tasks,
        this.#sources.keepRechecked(
          () => this.#settings.renewTrust(),
          () => this.#renewLocal(true),
        ),
        ...this.#services.flatMap(({ tasks }) => tasks),
        this.#serve(),
        (signal) => this.#manager.keepWatchdog(() => true, signal),
      )
    } finally {
      await this.#close()
      log.info({ event: 'stopped', ran_s: Math.floor(host.clock.now() / 1000) - this.#startedAt }, 'stopped')
    }
  }

  /** Lets the devices end what they are at, so that nothing of ours stays in them; not for long, if they do not answer. */
  async #close(): Promise<void> {
    const { host, log, guest } = this.#core
    const closed = new AbortController()
    const late = host.clock.sleep(longestCloseMs, closed.signal).then(
      () => log.warn({ event: 'devices_left', devices: guest.place }, 'a device does not answer and is left as it is'),
      () => undefined,
    )
    const closing = this.#sources[Symbol.asyncDispose]().then(() => guest[Symbol.asyncDispose]())
    await Promise.race([closing, late])
    closed.abort()
  }

  /** Gives every error of the new configuration; none: it is in force (BRK-142). */
  reload(): Promise<readonly string[]> {
    return this.#reloads.take(() => this.#reload())
  }

  async #reload(): Promise<readonly string[]> {
    if (this.#announced) await this.#manager.reloading()
    const errors = await this.#settings.reload()
    const line = errors.length > 0 ? `reload failed: ${errors[0]}` : this.#statusLine()
    if (this.#announced) await this.#manager.ready(line)
    return errors
  }

  status(): AgentStatus {
    const { issuing, guest, peers, broker } = this.#core
    const { keys, url } = issuing
    return {
      version,
      testMode: this.#core.host.testMode !== null,
      pid: process.pid,
      startedAt: this.#startedAt,
      ...this.#readiness(),
      ...describeGuest(guest),
      identity: peers.identity,
      issuer: { url, keys: keys.list() },
      appraisals: this.#appraisals.snapshot(),
      batches: this.#ledger.status(),
      broker: broker.status(),
      configurationError: this.#settings.error,
      ...Object.assign({}, ...this.#services.map((service) => service.describe?.() ?? {})),
    }
  }

  #adopted(settings: Settings, sources: readonly TokenSource[], lists: boolean): void {
    const { guest, log, broker } = this.#core
    guest.adopt(settings)
    log.level = settings.configuration.agent.log_level
    broker.replaceSources(sources, settings.declared)
    if (lists) this.#renewLocal(false)
    for (const service of this.#services) service.adopt?.(settings)
  }

  #readiness(): Readiness {
    const { broker, guest } = this.#core
    const { ready, reasons } = broker.status()
    const failing = [...guest.failing(), ...this.#services.flatMap((service) => service.failing?.() ?? [])]
    return { ready: ready && failing.length === 0, reasons: [...reasons, ...failing] }
  }

  #statusLine(): string {
    const { ready, reasons } = this.#readiness()
    const { place } = this.#core.guest
    return ready ? `ready; issuer ${localIssuer} ok; devices ${place}` : `not ready: ${reasons.join(', ')}`
  }

  /** Tokens of the bundled verifier are obtained anew; `hard`: what is at hand is not served meanwhile. */
  #renewLocal(hard: boolean): number {
    return this.#core.broker.invalidate({ issuer: localIssuer, hard })
  }

  #admin(): AdminActions {
    const { testMode } = this.#core.host
    const act = (entries: EntrySelector, hard: boolean) => invalidateSelected(this.#core.broker, entries, hard)
    return {
      status: () => this.status(),
      refresh: (entries) => void act(entries, false),
      invalidate: (entries, { hard }) => act(entries, hard),
      reload: () => this.reload(),
      metrics: () => this.#core.metrics.text(),
      registry: this.#registry,
      ...(testMode === null ? {} : { test: testActions(testMode) }),
      support: () => this.#support(),
      ...Object.assign({}, ...this.#services.map(({ admin }) => admin)),
    }
  }

  async #support(): Promise<string> {
    const more = await Promise.all(this.#services.map((service) => service.support?.()))
    const { configuration } = this.#settings.settings
    return encodeSupportBundle({ version, status: this.status(), configuration, more: Object.assign({}, ...more) })
  }

  #serve(): Task {
    const readiness = () => this.#readiness()
    return serveAll(this.#core, { readiness, admin: this.#admin(), open: () => this.#announce() })
  }

  async #announce(): Promise<void> {
    const { log, loaded, listeners, guest, peers } = this.#core
    this.#announced = true
    await this.#manager.ready(this.#statusLine())
    const { api, admin } = loaded.configuration.listen
    const passed = [...listeners.passed].join(' ')
    log.info({ event: 'ready', api, admin, passed, devices: guest.place, identity: peers.identity, version }, 'ready')
  }
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
