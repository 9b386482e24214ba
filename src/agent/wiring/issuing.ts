import { join } from 'node:path'
import type { Logger } from 'pino'
import type { Task } from '../../base/tasks.ts'
import { serveIssuer } from '../../issuer/issuer-server.ts'
import { requireIssuerUrl } from '../../issuer/issuer-url.ts'
import type { KeyEvent, KeyRing } from '../../issuer/key-ring.ts'
import { keepKeysRotating, openKeyRing } from '../../issuer/open-key-ring.ts'
import { createTokenIssuer, type TokenIssuer } from '../../issuer/token-issuer.ts'
import { type Configuration, requireDuration } from '../configuration/schema.ts'
import { testBounds } from '../test-mode.ts'
import type { Host } from './host.ts'
import type { Settings } from './settings.ts'
import { stateFile } from './state-files.ts'

const jwksMaxAgeS = 3600

/** The issuer of this process: keys, and the tasks that rotate and publish them. */
export interface IssuingWiring {
  readonly url: string
  readonly keys: KeyRing
  /** A token issuer for the audiences of these settings. */
  issuerFor(settings: Settings): TokenIssuer
  readonly tasks: readonly Task[]
}

const logged: Readonly<Record<KeyEvent['event'], 'info' | 'warn'>> = {
  published: 'info',
  activated: 'info',
  retired: 'info',
  removed: 'info',
  revoked: 'warn',
  ephemeral: 'warn',
  failed: 'warn',
}

/** What becomes of signing keys is always told, and never what they are. */
export function logKeyEvent(log: Logger, { event, ...facts }: KeyEvent): void {
  log[logged[event]]({ event: `signing_key_${event}`, ...facts }, `signing key ${event}`)
}

/** An address of a form that the configuration allows. */
export function listenAddress(text: string): { host: string; port: number } {
  const colon = text.lastIndexOf(':')
  return { host: text.slice(0, colon).replace(/^\[|\]$/g, ''), port: Number(text.slice(colon + 1)) }
}

/** Opens or makes the signing keys. Throws errors of `issuerErrors`; a broken key file is never replaced silently. */
export async function wireIssuing(configuration: Configuration, host: Host, log: Logger): Promise<IssuingWiring> {
  const { issuer, agent } = configuration
  const url = requireIssuerUrl(issuer.url, { allowLoopbackHttp: issuer.allow_http_loopback })
  const report = (event: KeyEvent) => logKeyEvent(log, event)
  const keys = await openKeyRing({
    purpose: 'id-token',
    store: issuer.ephemeral_keys ? 'ephemeral' : stateFile(join(agent.state_directory, 'issuer-keys.json'), host),
    algorithms: ['RS256', issuer.algorithm],
    clock: host.clock,
    rotationS: Math.floor(requireDuration(issuer.rotation) / 1000),
    jwksMaxAgeS,
    report,
  })
  const onListening = (address: string) => log.info({ address }, 'discovery document and key set are served')
  const serve = issuer.listen
    ? [serveIssuer({ issuer: url, keys, listen: listenAddress(issuer.listen), jwksMaxAgeS, onListening })]
    : []
  return {
    url,
    keys,
    issuerFor: ({ audiences }) =>
      createTokenIssuer({
        ...{ issuer: url, keys, audiences, clock: host.clock, random: host.random },
        ...(host.testMode === null ? {} : { leastLifeS: testBounds.leastLifetimeS }),
      }),
    tasks: [keepKeysRotating(keys, { clock: host.clock, report }), ...serve],
  }
}
