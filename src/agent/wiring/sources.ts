import type { Logger } from 'pino'
import type { Clock } from '../../base/clock.ts'
import { FairTurns, type FairTurnsOptions } from '../../base/fair-turns.ts'
import type { Task } from '../../base/tasks.ts'
import { Challenges } from '../../issuer/challenges.ts'
import type { TokenSource } from '../../passport/token-source.ts'
import { TpmRegistry } from '../../registry/tpm-registry.ts'
import { acceptOwnToken, type OwnTokens, recogniseOwnToken } from '../embedded/accept-own-token.ts'
import type { AppraisalPolicies } from '../embedded/appraisal-policies.ts'
import { type Appraiser, createWorkerAppraiser } from '../embedded/appraiser.ts'
import type { BatchLedger } from '../embedded/batch-ledger.ts'
import { reportedPolicies } from '../embedded/builtin-policy.ts'
import { BundleLane } from '../embedded/bundle-lane.ts'
import { dailyRecheck } from '../embedded/daily-recheck.ts'
import { createEmbeddedSource } from '../embedded/embedded-source.ts'
import { enrolmentInputs } from '../embedded/enrolment-inputs.ts'
import { createEnrolments } from '../embedded/enrolments.ts'
import { type Guest, type GuestTd, type GuestTpm, isSimulator } from '../embedded/guest.ts'
import type { LastAppraisals } from '../embedded/last-appraisal.ts'
import { queueFull } from '../embedded/queue-full.ts'
import type { GuestWiring } from './guest.ts'
import type { Host } from './host.ts'
import type { IssuingWiring } from './issuing.ts'
import { loggedSource } from './logged-source.ts'
import { localIssuer } from './plain-request.ts'
import { policiesFor } from './policies-of-guest.ts'
import type { OpenRegistryStore } from './registry-store.ts'
import { remoteSources } from './remotes.ts'
import type { Settings } from './settings.ts'

export interface SourceParts {
  readonly host: Host
  readonly log: Logger
  readonly guest: GuestWiring
  readonly issuing: IssuingWiring
  readonly appraisals: LastAppraisals
  readonly ledger: BatchLedger
  /** What the bundled verifier remembers of TPMs; closed with the sources. */
  readonly store: OpenRegistryStore
}

export interface SourceFactory extends AsyncDisposable {
  /** The thread that does what takes time in proportion to evidence. */
  readonly appraiser: Appraiser
  /** Those of the devices: whoever collects evidence takes one. */
  readonly turns: FairTurns
  /** The bundled verifier and issuer under these settings, and the remote verifiers. */
  sourcesFor(settings: Settings, generation: number): readonly TokenSource[]
  /**
   * Judges all enrolments once a day by what `renew` gives: settings whose files were read again (ENR-10). Calls `suspended`
   * after it suspended some: no token of them may be served any more.
   */
  keepRechecked(renew: () => Promise<Settings>, suspended: () => void): Task
}

function guestTd({ watchedTd, collateral }: GuestWiring, settings: Settings): GuestTd | null {
  if (watchedTd === null || collateral === null) return null
  return {
    attester: watchedTd,
    collateralOf: (quote, signal) => collateral.collateralOf(quote, signal),
    requirements: settings.tdRequirements,
  }
}

function ownTokens(
  guest: Guest,
  policies: AppraisalPolicies | null,
  settings: Settings,
  { issuing, host }: SourceParts,
): OwnTokens {
  const { verifier } = settings.configuration
  return {
    issuer: issuing.url,
    jwks: () => issuing.keys.jwks(),
    simulator: isSimulator(guest),
    tee: guest.td === null ? 'tpm' : 'tdx',
    tcbStatuses: guest.td === null ? null : verifier.tcb_statuses,
    allowDebug: verifier.debug,
    reported: (request) => reportedPolicies(guest, policies, request),
    clock: host.clock,
  }
}

function remotesOf({ host, log, guest }: SourceParts, settings: Settings, generation: number): TokenSource[] {
  const { td, watchedTd: attester } = guest
  if (td === null || attester === null) return []
  return remoteSources(settings.remotes, generation, { host, log, attester, simulator: td.simulated })
}

/** Jobs that may wait for the devices; a batch of requests is one (BRK-81). */
const mostDeviceJobs = 64
/** Evaluations of compiled policies that may wait; a batch of requests has one for each that it is under. */
const mostEvaluations = 64

const queueOf = (clock: Clock, capacity: number, what: string): FairTurnsOptions => ({
  clock,
  capacity,
  refuse: (waitMs) => queueFull(`${capacity} ${what}`, waitMs),
})

/** Sources share one appraisal thread, one table of challenges, the counters and their turns; enrolling is each source's own. */
export function wireSources(parts: SourceParts): SourceFactory {
  const { host, log, guest: wired, issuing, appraisals, ledger, store } = parts
  const { clock, random } = host
  const appraiser = createWorkerAppraiser({ rested: () => host.libc?.trimMemory() })
  const challenges = new Challenges({ clock, random })
  const stop = new AbortController()
  const turns = new FairTurns(queueOf(clock, mostDeviceJobs, 'jobs wait for the devices already'))
  const bundles = new BundleLane(queueOf(clock, mostEvaluations, 'evaluations of compiled policies wait already'))
  const guestTpm = (settings: Settings): GuestTpm | null => {
    if (wired.tpm === null) return null
    const { attester } = wired.tpm
    const { simulator } = settings.configuration.tpm
    const enrolling = { attester, store, clock, random, appraisals, log, ended: stop.signal, settings }
    return {
      attester,
      enrolments: createEnrolments(enrolling),
      requirements: settings.requirements,
      references: settings.references,
      simulator,
    }
  }
  const localSource = (settings: Settings, generation: number): TokenSource => {
    const guest: Guest = { tpm: guestTpm(settings), td: guestTd(wired, settings) }
    const policies = policiesFor(settings, guest)
    const own = ownTokens(guest, policies, settings, parts)
    const source = createEmbeddedSource({
      name: localIssuer,
      generation,
      issuerUrl: issuing.url,
      usualLifetimeS: settings.usualLifetimeS,
      guest,
      policies,
      bundles,
      appraiser,
      challenges,
      issuer: issuing.issuerFor(settings),
      audiences: settings.audiences,
      acceptToken: (token, request) => acceptOwnToken(token, request, own),
      recogniseToken: (token, request) => recogniseOwnToken(token, request, own),
      appraisals,
      turns,
      ledger,
      clock,
      random,
    })
    return loggedSource(source, log)
  }
  return {
    appraiser,
    turns,
    sourcesFor: (settings, generation) => [
      localSource(settings, generation),
      ...remotesOf(parts, settings, generation),
    ],
    keepRechecked: (renew, suspended) => {
      if (wired.tpm === null) return async () => {}
      const inputs = async () => enrolmentInputs(await renew(), clock.now())
      return dailyRecheck({ registry: new TpmRegistry({ store, clock, random }), inputs, suspended, clock, log })
    },
    [Symbol.asyncDispose]: async () => {
      stop.abort()
      await appraiser[Symbol.asyncDispose]()
      await store[Symbol.asyncDispose]()
    },
  }
}
