import { createPublicKey } from 'node:crypto'
import { join } from 'node:path'
import type { Logger } from 'pino'
import { equalBytes } from '../../base/bytes.ts'
import type { Task } from '../../base/tasks.ts'
import type { KeyEvent, KeyRing } from '../../issuer/key-ring.ts'
import { keepKeysRotating, openKeyRing } from '../../issuer/open-key-ring.ts'
import { requireDuration } from '../configuration/schema.ts'
import type { Host } from '../wiring/host.ts'
import { logKeyEvent } from '../wiring/issuing.ts'
import { stateFile } from '../wiring/state-files.ts'
import type { FacadeName } from './facade-settings.ts'
import { openPlaceMark } from './place-mark.ts'
import type { ServiceSettings } from './service-settings.ts'

/** Each purpose has keys of its own, which sign nothing else (TOK-50, POL-712). */
type KeyPurpose = 'id-token' | 'challenge' | `azure-${FacadeName}`

export const jwksMaxAgeS = 3600

export interface ServiceKeys {
  readonly tokens: KeyRing
  readonly challenges: KeyRing
  /** Which challenges were issued with this state, now or before. */
  readonly challengePlace: string
  /** Of those façades that are configured. */
  readonly facades: Readonly<Partial<Record<FacadeName, KeyRing>>>
  /** Whether a public key (DER SubjectPublicKeyInfo) is one that signs here: such a key signs no policies (POL-712). */
  signsTokens(publicKey: Uint8Array): boolean
  readonly tasks: readonly Task[]
}

function holds(ring: KeyRing, publicKey: Uint8Array): boolean {
  return ring.published().some(({ privateKey }) => {
    const own = createPublicKey(privateKey).export({ type: 'spki', format: 'der' })
    return equalBytes(new Uint8Array(own), publicKey)
  })
}

/** Opens or makes the signing keys. Throws errors of `issuerErrors`; a broken key file is never replaced silently. */
export async function openServiceKeys(
  { configuration }: ServiceSettings,
  host: Host,
  log: Logger,
): Promise<ServiceKeys> {
  const { service, issuer, azure } = configuration
  const { clock } = host
  const report = (event: KeyEvent) => logKeyEvent(log, event)
  const open = (purpose: KeyPurpose) => {
    const store = stateFile(join(service.state_directory, `${purpose}-keys.json`), host)
    const rotationS = Math.floor(requireDuration(issuer.rotation) / 1000)
    return openKeyRing({ purpose, store, algorithms: ['RS256'], clock, rotationS, jwksMaxAgeS, report })
  }
  const facade = async (name: FacadeName) => (azure[name] === undefined ? {} : { [name]: await open(`azure-${name}`) })
  const [tokens, challenges] = [await open('id-token'), await open('challenge')]
  const challengePlace = await openPlaceMark(
    stateFile(join(service.state_directory, 'challenge-place'), host),
    host.random,
  )
  const facades: ServiceKeys['facades'] = { ...(await facade('attestation')), ...(await facade('administration')) }
  const rings = [tokens, challenges, ...Object.values(facades)]
  return {
    ...{ tokens, challenges, challengePlace, facades },
    signsTokens: (publicKey) => rings.some((ring) => holds(ring, publicKey)),
    tasks: rings.map((ring) => keepKeysRotating(ring, { clock, report })),
  }
}
