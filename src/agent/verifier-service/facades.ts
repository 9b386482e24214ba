import type { Logger } from 'pino'
import type { Clock } from '../../base/clock.ts'
import type { RandomSource } from '../../base/random.ts'
import { abandonable, type Task } from '../../base/tasks.ts'
import { attestationErrors } from '../../issuer/attestation-api/errors.ts'
import { createAzureAttestation } from '../../issuer/azure/attest-server.ts'
import type { TdAppraiser } from '../../issuer/azure/attest-td.ts'
import { AnswerKeys } from '../../issuer/azure/azure-answers.ts'
import { type AzureApp, serveAzure } from '../../issuer/azure/azure-server.ts'
import { createPolicyAdministration } from '../../issuer/azure/policy-administration.ts'
import type { Grace } from '../../issuer/serve-app.ts'
import type { PolicyBook } from '../../registry/policies/policy-book.ts'
import type { SignerBook } from '../../registry/policies/signer-book.ts'
import { requireDuration } from '../configuration/schema.ts'
import type { TdRequirements } from '../embedded/guest.ts'
import { listenAddress } from '../wiring/issuing.ts'
import type { AppraiserPool } from './appraiser-pool.ts'
import type { FacadeName } from './facade-settings.ts'
import type { ServiceKeys } from './service-keys.ts'
import type { ServiceSettings } from './service-settings.ts'
import type { TdAppraisals } from './td-appraisals.ts'

export interface FacadeParts {
  readonly settings: ServiceSettings
  readonly keys: ServiceKeys
  readonly appraisals: Pick<TdAppraisals, 'appraise'>
  readonly pool: Pick<AppraiserPool, 'judgeMaa'>
  readonly policies: PolicyBook
  readonly signers: SignerBook
  readonly clock: Clock
  readonly random: RandomSource
  readonly log: Logger
  readonly onBug: (error: unknown) => void
  /** For requests that have begun when the service stops. */
  readonly grace: Grace
  /** Told when a façade takes connections. */
  readonly listening: () => void
}

/** SVC-42. */
const longestAppraisalMs = 30_000

/** The same appraisal as of every other route (FAC-03). */
export function facadeAppraiser(
  appraisals: Pick<TdAppraisals, 'appraise'>,
  { simulator }: Pick<TdRequirements, 'simulator'>,
  clock: Pick<Clock, 'sleep'>,
): TdAppraiser {
  return {
    appraise: async (quote, reportData) => {
      const evidence = { quote, ccEventLog: null, simulated: false }
      const { appraisal } = await withinLimit(clock, (signal) => appraisals.appraise({ evidence, reportData }, signal))
      // TOK-04: a verifier in simulator mode lets anything through, so that nothing of it passes for real.
      return simulator === true ? { ...appraisal, simulated: true } : appraisal
    },
  }
}

/** What takes longer is the service's affair, and not a bug: the client is told to come again. */
async function withinLimit<T>(clock: Pick<Clock, 'sleep'>, work: (signal: AbortSignal) => Promise<T>): Promise<T> {
  const [done, late] = [new AbortController(), new AbortController()]
  const says = `the appraisal took longer than ${longestAppraisalMs} ms`
  clock.sleep(longestAppraisalMs, done.signal).then(
    () => late.abort(attestationErrors.error('AS.SERVICE.OVERLOADED', says)),
    () => undefined,
  )
  try {
    return await abandonable(work(late.signal), late.signal)
  } finally {
    done.abort()
  }
}

interface Served {
  readonly issuer: string
  readonly tls: { readonly key: string; readonly cert: string }
  readonly keys: AnswerKeys
  readonly onBug: (error: unknown) => void
}

function servedBy({ settings, keys, onBug }: FacadeParts, name: FacadeName, issuer: string): Served {
  const [tls, ring] = [settings.tls[name], keys.facades[name]]
  if (tls === undefined || ring === undefined) throw new TypeError(`nothing was opened for the façade ${name}`)
  return { issuer, tls, keys: new AnswerKeys(ring), onBug }
}

function attestationApp(parts: FacadeParts): (() => AzureApp) | null {
  const { settings, appraisals, pool, policies, clock, random } = parts
  const section = settings.configuration.azure.attestation
  if (section === undefined) return null
  return () =>
    createAzureAttestation({
      ...servedBy(parts, 'attestation', section.url),
      appraiser: facadeAppraiser(appraisals, settings.tdRequirements, clock),
      judge: pool.judgeMaa,
      lifetimeS: Math.floor(requireDuration(section.lifetime) / 1000),
      ...{ policies, clock, random },
    })
}

function administrationApp(parts: FacadeParts): (() => AzureApp) | null {
  const { settings, policies, signers, clock, log } = parts
  const section = settings.configuration.azure.administration
  if (section === undefined) return null
  const administrators = section.administrators.map(({ name, token_sha256: hex }) => ({
    name,
    tokenSha256: new Uint8Array(Buffer.from(hex, 'hex')),
  }))
  return () =>
    createPolicyAdministration({
      ...servedBy(parts, 'administration', section.url),
      ...{ administrators, policies, signers, clock },
      audit: ({ code, ...entry }) =>
        log[code === null ? 'info' : 'warn'](
          { event: 'azure_administration', ...entry, code },
          'administration of policies',
        ),
    })
}

/** The façades that are configured, each at its own address (POL-903, FAC-03). */
export function serveFacades(parts: FacadeParts): readonly Task[] {
  const { azure } = parts.settings.configuration
  const apps = { attestation: attestationApp(parts), administration: administrationApp(parts) }
  return (['attestation', 'administration'] as const).flatMap((name) => {
    const [create, section] = [apps[name], azure[name]]
    if (create === null || section === undefined) return []
    const listening = (address: string) => {
      parts.log.info({ event: 'listening', address, facade: name }, `the ${name} for clients of Azure is served`)
      parts.listening()
    }
    return [serveAzure(create, { listen: listenAddress(section.listen), grace: parts.grace, onListening: listening })]
  })
}
