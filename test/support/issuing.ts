import { generateKeyPairSync } from 'node:crypto'
import { type AudiencePolicies, createAudiencePolicies } from '../../src/issuer/audience-policies.ts'
import { importSigningKey, type SigningKey } from '../../src/issuer/signing-key.ts'
import type { IssueRequest } from '../../src/issuer/token-issuer.ts'
import { createTokenIssuer, type SigningKeys, type TokenIssuer } from '../../src/issuer/token-issuer.ts'
import type { FakeClock } from './fake-clock.ts'

/** A counter in place of chance: 16 bytes that differ at every draw, the same in every run. */
export function countingRandom(): (size: number) => Uint8Array {
  let drawn = 0
  return (size) => {
    const bytes = new Uint8Array(size)
    new DataView(bytes.buffer).setUint32(size - 4, ++drawn)
    return bytes
  }
}

let rsa: SigningKey | undefined

/** An RSA key that is made once a file: making one takes long. */
export function rsaKey(): SigningKey {
  rsa ??= importSigningKey(generateKeyPairSync('rsa', { modulusLength: 2048 }).privateKey, 'RS256')
  return rsa
}

/** A request for a token after an affirmed appraisal of a TPM. */
export function tpmRequest(now: number, change: Partial<IssueRequest> = {}): IssueRequest {
  return {
    audience: ['https://rp.example'],
    nonces: [],
    ttlS: null,
    cnf: null,
    tee: 'tpm',
    appraisal: {
      affirmed: true,
      findings: [{ id: 'tpm.quote.signature', outcome: 'passed' }],
      claims: {
        tpm: { ak_trusted: true, ak_trust: 'ek-certificate', ek_spki_sha256: 'ab'.repeat(32), pcr: { '4': 'cd' } },
      },
    },
    checks: { 'tpm.quote.signature': { title: 'the AK signed exactly these bytes', rule: 'TPM-12', remedy: 'r' } },
    appraisedAtS: Math.floor(now / 1000),
    freshness: 'challenge',
    binding: [],
    simulated: false,
    policies: [],
    ekSpkiSha256: 'ab'.repeat(32),
    ...change,
  }
}

/** One policy for every audience, but for `es256` and `of-key`, whose names say what is different. */
export function simplePolicies(issuer: string, lifetimeS = 900): AudiencePolicies {
  const fallback = {
    subject: { mode: 'ek' },
    algorithm: 'RS256',
    lifetimeS,
    consumer: null,
    maxCharacters: 8192,
  } as const
  const listed = [
    { audience: 'es256', policy: { ...fallback, algorithm: 'ES256' } as const },
    { audience: 'of-key', policy: { ...fallback, subject: { mode: 'key' } } as const },
  ]
  return createAudiencePolicies({ issuer, fallback, listed })
}

export function simpleIssuer(issuer: string, keys: SigningKeys, clock: FakeClock, lifetimeS = 900): TokenIssuer {
  const audiences = simplePolicies(issuer, lifetimeS)
  return createTokenIssuer({ issuer, keys, audiences, clock, random: countingRandom() })
}
