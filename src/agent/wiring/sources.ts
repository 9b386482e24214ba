import type { Logger } from 'pino'
import { Turns } from '../../base/turns.ts'
import { Challenges } from '../../issuer/challenges.ts'
import type { TokenSource } from '../../passport/token-source.ts'
import { MemoryStore } from '../../registry/memory-store.ts'
import { acceptOwnToken } from '../embedded/accept-own-token.ts'
import { createWorkerAppraiser } from '../embedded/appraiser.ts'
import { createEmbeddedSource } from '../embedded/embedded-source.ts'
import { createEnrolments } from '../embedded/enrolments.ts'
import type { LastAppraisals } from '../embedded/last-appraisal.ts'
import type { Host } from './host.ts'
import type { IssuingWiring } from './issuing.ts'
import { loggedSource } from './logged-source.ts'
import { localIssuer, type Settings } from './settings.ts'
import type { TpmWiring } from './tpm.ts'

export interface SourceParts {
  readonly host: Host
  readonly log: Logger
  readonly tpm: TpmWiring
  readonly issuing: IssuingWiring
  readonly appraisals: LastAppraisals
}

export interface SourceFactory extends AsyncDisposable {
  /** The bundled verifier and issuer under these settings. */
  sourceFor(settings: Settings, generation: number): TokenSource
}

/** Sources share one appraisal thread, one table of challenges, the counters and their turns; enrolling is each source's own. */
export function wireSources({ host, log, tpm, issuing, appraisals }: SourceParts): SourceFactory {
  const { clock, random } = host
  const appraiser = createWorkerAppraiser()
  const challenges = new Challenges({ clock, random })
  const stop = new AbortController()
  const { attester } = tpm
  const store = new MemoryStore()
  const turns = new Turns()
  const enrolling = { attester, store, clock, random, appraisals, log, ended: stop.signal }
  return {
    sourceFor: (settings, generation) => {
      const simulator = settings.configuration.tpm.simulator
      const own = { issuer: issuing.url, jwks: () => issuing.keys.jwks(), simulator, clock }
      const source = createEmbeddedSource({
        name: localIssuer,
        generation,
        issuerUrl: issuing.url,
        usualLifetimeS: settings.usualLifetimeS,
        attester,
        enrolments: createEnrolments({ ...enrolling, settings, simulator }),
        appraiser,
        challenges,
        issuer: issuing.issuerFor(settings),
        audiences: settings.audiences,
        acceptToken: (token, request) => acceptOwnToken(token, request, own),
        requirements: settings.requirements,
        simulator,
        appraisals,
        turns,
        clock,
        random,
      })
      return loggedSource(source, log)
    },
    [Symbol.asyncDispose]: () => {
      stop.abort()
      return appraiser[Symbol.asyncDispose]()
    },
  }
}
