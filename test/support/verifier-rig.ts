import { generateKeyPairSync } from 'node:crypto'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import { toBase64, toBase64url } from '../../src/base/bytes.ts'
import type { JsonObject } from '../../src/base/json.ts'
import type { RequestEvent } from '../../src/issuer/attestation-api/exchange.ts'
import type { TdVerifier } from '../../src/issuer/attestation-api/ports.ts'
import type { VerifierServerOptions } from '../../src/issuer/attestation-api/verifier-server.ts'
import type { KeyRing } from '../../src/issuer/key-ring.ts'
import { openKeyRing } from '../../src/issuer/open-key-ring.ts'
import { importSigningKey } from '../../src/issuer/signing-key.ts'
import { directTdVerifier } from './direct-td-verifier.ts'
import { FakeClock } from './fake-clock.ts'
import { countingRandom, rsaKey } from './issuing.ts'

export interface VerifierRig {
  readonly clock: FakeClock
  readonly simulator: ReturnType<typeof createSimulator>
  readonly keys: KeyRing
  readonly challengeKeys: KeyRing
  readonly verifier: TdVerifier
  /** What the server told, the oldest first. */
  readonly events: RequestEvent[]
  readonly bugs: { readonly error: unknown; readonly instance: string }[]
  /** How often the verifier was asked. */
  asked(): number
  options(change?: Partial<VerifierServerOptions>): VerifierServerOptions
}

export const verifierIssuer = 'https://verifier.attestd.test'

/** Everything that a verifier service needs, over a simulated machine, with the real appraisal. */
export async function makeVerifierRig(clock = new FakeClock()): Promise<VerifierRig> {
  const simulator = createSimulator({ clock })
  const challengeKey = importSigningKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'RS256')
  const ring = { store: 'ephemeral', algorithms: ['RS256'], clock } as const
  const keys = await openKeyRing({ ...ring, purpose: 'id-token', initialKeys: [rsaKey()] })
  const challengeKeys = await openKeyRing({ ...ring, purpose: 'challenge', initialKeys: [challengeKey] })
  const trustAnchors = [{ ...simulator.pki.anchor, simulator: true }]
  const direct = directTdVerifier({ clock, trustAnchors, collateral: () => simulator.collateral() })
  let asked = 0
  const verifier: TdVerifier = {
    verify: (request, signal) => {
      asked += 1
      return direct.verify(request, signal)
    },
  }
  const [events, bugs]: [RequestEvent[], { error: unknown; instance: string }[]] = [[], []]
  return {
    ...{ clock, simulator, keys, challengeKeys, verifier, events, bugs },
    asked: () => asked,
    options: (change = {}) => ({
      ...{ issuer: verifierIssuer, keys, challengeKeys, verifier, clock, random: countingRandom() },
      onRequest: (event) => events.push(event),
      onBug: (error, instance) => bugs.push({ error, instance }),
      ...change,
    }),
  }
}

/** The member `evidence` of a request. */
export function evidenceText(quote: Uint8Array, more: JsonObject = {}): string {
  return toBase64url(Buffer.from(JSON.stringify({ quote: toBase64(quote), cc_eventlog: null, ...more })))
}
