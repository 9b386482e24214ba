import { availableParallelism } from 'node:os'
import type { Logger } from 'pino'
import { type ClosingStack, openTogether } from '../../base/closing-stack.ts'
import type { AttestdError } from '../../base/errors.ts'
import { runTogether, type Task } from '../../base/tasks.ts'
import {
  type LocalAdministrationOptions,
  serveLocalAdministration,
} from '../../issuer/administration/local-administration.ts'
import { serveVerifier, type VerifierServerOptions } from '../../issuer/attestation-api/verifier-server.ts'
import type { Grace, ListenOptions } from '../../issuer/serve-app.ts'
import { openPeerCredentials } from '../../platform/peer-credentials.ts'
import { ServiceManager } from '../../platform/service-manager.ts'
import { listenUnix } from '../../platform/unix-listener.ts'
import { createWorkerAppraiser } from '../embedded/appraiser.ts'
import { openServiceMetrics, type ServiceMetrics } from '../metrics/service-metrics.ts'
import { version } from '../version.ts'
import { type CollateralWiring, wireCollateral } from '../wiring/collateral.ts'
import { type Host, nextRound } from '../wiring/host.ts'
import { listenAddress } from '../wiring/issuing.ts'
import { localAdministrator } from './administrators.ts'
import { AppraiserPool, usualThreads } from './appraiser-pool.ts'
import { serveFacades } from './facades.ts'
import { warnOfMissing } from './missing-policies.ts'
import { type OpenedStore, openPolicyStore } from './opened-store.ts'
import { SelectedPolicies } from './selected-policies.ts'
import { jwksMaxAgeS, openServiceKeys, type ServiceKeys } from './service-keys.ts'
import { composeServiceSettings, type LoadedService, type ServiceSettings } from './service-settings.ts'
import { warnOfShadowed } from './shadowed-policies.ts'
import { TdAppraisals } from './td-appraisals.ts'
import { createTdVerifier } from './td-verifier.ts'
import { untrustedPolicies, warnOfUntrusted } from './untrusted-policies.ts'

export interface ServiceParts {
  readonly loaded: LoadedService
  readonly host: Host
  readonly log: Logger
}

/** For requests that have begun when the service is told to stop: less than the process has to end (BRK-143). */
const stopGraceMs = 5_000

/** A Unix socket is for its owner and its group, so that a proxy or an agent beside the service can be let in. */
function listenerAt(text: string): ListenOptions['listen'] {
  if (!text.startsWith('/')) return listenAddress(text)
  return async (server) => {
    await listenUnix(server, text, 0o660)
    return text
  }
}

/** What is opened once. */
interface ServiceRooms extends ServiceParts {
  readonly settings: ServiceSettings
  readonly keys: ServiceKeys
  readonly collateral: CollateralWiring
  readonly store: OpenedStore
  readonly pool: AppraiserPool
  /** Those of them that have to be closed. */
  readonly opened: ClosingStack
}

/** The verifier as a service of its own: attestation API, policies, façades, and their administration. */
export class VerifierService {
  readonly #rooms: ServiceRooms
  readonly #manager: ServiceManager
  readonly #startedAt: number
  readonly #metrics: ServiceMetrics
  #listening = 0

  private constructor(rooms: ServiceRooms) {
    this.#rooms = rooms
    const { host, log } = rooms
    const warn = ({ code, message }: AttestdError) => log.warn({ code }, message)
    this.#manager = new ServiceManager({ environment: process.env, ...host, pid: process.pid, warn })
    this.#startedAt = Math.floor(host.clock.now() / 1000)
    this.#metrics = openServiceMetrics({
      clock: host.clock,
      version,
      jobs: () => rooms.pool.jobs,
      storeFails: () => rooms.store.watch.failure !== null,
    })
  }

  /** Checks the configuration, opens keys, collateral and store; throws before anything is served, and leaves nothing open. */
  static open(parts: ServiceParts): Promise<VerifierService> {
    return openTogether(async (opened) => new VerifierService(await openRooms(parts, opened)))
  }

  /**
   * Runs until `stop` aborts, or a part of it fails; then all is closed. Where the stop came before it was open, nothing is
   * served.
   */
  async run(stop: AbortSignal): Promise<void> {
    const { keys, collateral, opened, log } = this.#rooms
    const winding: Task = async (signal) => {
      await untilAborted(signal)
      await this.#manager.stopping()
      log.info({ event: 'stopping' }, 'stopping')
    }
    try {
      await runTogether(stop, winding, collateral.keepCurrent, ...keys.tasks, ...this.#servers(), (signal) =>
        this.#manager.keepWatchdog(() => true, signal),
      )
    } finally {
      await opened[Symbol.asyncDispose]()
      log.info({ event: 'stopped' }, 'stopped')
    }
  }

  #servers(): readonly Task[] {
    const { service } = this.#rooms.settings.configuration
    const listening = (what: string, address: string) => {
      this.#rooms.log.info({ event: 'listening', address }, `${what} is served`)
      void this.#announce(servers.length)
    }
    const servers: readonly Task[] = [
      serveVerifier({
        ...this.#attestationOptions(),
        listen: listenerAt(service.listen),
        grace: this.#grace,
        onListening: (address) => listening('the attestation API', address),
      }),
      serveLocalAdministration(this.#administrationOptions(), async (server) => {
        await listenUnix(server, service.admin, 0o600)
        listening('the administration', service.admin)
      }),
      ...this.#facades(() => void this.#announce(servers.length)),
    ]
    return servers
  }

  #appraisals(): TdAppraisals {
    const { pool, collateral, settings, host } = this.#rooms
    return new TdAppraisals({ pool, collateral, requirements: settings.tdRequirements, clock: host.clock, nextRound })
  }

  #attestationOptions(): VerifierServerOptions {
    const { settings, keys, store, host, log } = this.#rooms
    const { service, policies } = settings.configuration
    const [files, usual] = [settings.policyFiles, policies.default ?? null]
    const selected = new SelectedPolicies({ book: store.policies, away: () => store.watch.away, files, usual })
    const requirements = settings.tdRequirements
    return {
      ...{
        issuer: settings.issuerUrl,
        keys: keys.tokens,
        challengeKeys: keys.challenges,
        challengePlace: keys.challengePlace,
        jwksMaxAgeS,
      },
      verifier: createTdVerifier({
        ...{ appraisals: this.#appraisals(), policies: selected, requirements, clock: host.clock },
      }),
      ...{ clock: host.clock, random: host.random, lifetimeS: settings.lifetimeS, nextRound },
      allowUnbound: service.allow_unbound,
      allowedOrigins: service.allowed_origins,
      trustedProxies: service.trusted_proxies,
      bareProblems: service.bare_problems,
      onBug: this.#onBug,
      onRequest: (facts) => {
        log.info({ event: 'request', ...facts }, 'request')
        this.#metrics.requested(facts)
      },
    }
  }

  #administrationOptions(): LocalAdministrationOptions {
    const { store, settings } = this.#rooms
    return {
      ...{ policies: store.policies, signers: store.signers, configuredIds: configuredIds(settings) },
      actor: localAdministrator(openPeerCredentials(), process.geteuid?.() ?? 0),
      status: () => this.status(),
      metrics: () => this.#metrics.text(),
      grace: this.#grace,
      onBug: this.#onBug,
    }
  }

  #facades(listening: () => void): readonly Task[] {
    const { settings, keys, store, pool, host, log } = this.#rooms
    return serveFacades({
      ...{ settings, keys, pool, log, listening, onBug: this.#onBug, appraisals: this.#appraisals() },
      ...{ policies: store.policies, signers: store.signers, clock: host.clock, random: host.random },
      grace: this.#grace,
    })
  }

  get #grace(): Grace {
    return { ms: stopGraceMs, clock: this.#rooms.host.clock }
  }

  /** What goes wrong in the answer to one request is told, and ends nothing else. */
  readonly #onBug = (error: unknown, instance?: string) => {
    const { stack, message } = error instanceof Error ? error : new Error(String(error))
    this.#rooms.log.error({ event: 'bug', instance, stack }, message)
  }

  /** When all listeners answer (SYS-51). */
  async #announce(servers: number): Promise<void> {
    this.#listening += 1
    if (this.#listening !== servers) return
    const { log, settings } = this.#rooms
    await this.#manager.ready(`serving as ${settings.issuerUrl}`)
    log.info({ event: 'ready', issuer: settings.issuerUrl, version }, 'ready')
  }

  /** For administrators; nothing secret. */
  async status() {
    const { settings, keys, store } = this.#rooms
    const failure = await store.watch.look()
    const { service, policies, azure } = settings.configuration
    return {
      version,
      pid: process.pid,
      startedAt: this.#startedAt,
      issuer: { url: settings.issuerUrl, keys: keys.tokens.list() },
      listen: service.listen,
      simulator: settings.tdRequirements.simulator === true,
      policies: {
        default: policies.default ?? null,
        files: settings.policyFiles.map(({ id, hash }) => ({ id, hash })),
        untrusted: failure === null ? await untrustedPolicies(store) : null,
      },
      store: {
        kind: store.kind,
        failure: failure === null ? null : { ...failure, since: Math.floor(failure.since / 1000) },
      },
      facades: Object.keys(azure),
      challenges: { singleUse: 'per process' },
    }
  }
}

async function openRooms(parts: ServiceParts, opened: ClosingStack): Promise<ServiceRooms> {
  const { loaded, host, log } = parts
  const settings = await composeServiceSettings(loaded)
  const { service, policies } = settings.configuration
  if (settings.tdRequirements.simulator) {
    log.warn({ event: 'simulator' }, 'SIMULATOR MODE: simulated TDs pass, every token says so and protects nothing')
  }
  const keys = await openServiceKeys(settings, host, log)
  const hears = { host, log, raised: () => undefined }
  const collateral = opened.use(await wireCollateral(settings, service.state_directory, hears))
  const store = opened.use(await openPolicyStore(loaded, keys, host, log))
  await warnOfShadowed(configuredIds(settings), store.policies, log)
  await warnOfMissing(policies.default ?? [], configuredIds(settings), store.policies, log)
  await warnOfUntrusted(store, log)
  const pool = new AppraiserPool({
    size: service.threads ?? usualThreads(availableParallelism()),
    create: () => createWorkerAppraiser({ rested: () => host.libc?.trimMemory() }),
  })
  opened.use(pool)
  return { ...parts, settings, keys, collateral, store, pool, opened }
}

function configuredIds({ policyFiles }: ServiceSettings): readonly string[] {
  return policyFiles.map(({ id }) => id)
}

async function untilAborted(signal: AbortSignal): Promise<void> {
  if (!signal.aborted) await new Promise((resolve) => signal.addEventListener('abort', resolve, { once: true }))
}
