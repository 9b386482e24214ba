import { generateKeyPairSync, type KeyObject, randomBytes } from 'node:crypto'
import { CompactSign } from 'jose'
import { createAudiencePolicies } from '../../src/issuer/audience-policies.ts'
import { importSigningKey, type SigningAlgorithm } from '../../src/issuer/signing-key.ts'
import { createTokenIssuer, type IssueRequest } from '../../src/issuer/token-issuer.ts'
import { compare, comparison } from '../support/comparison.ts'
import { tpmRequest } from '../support/issuing.ts'

/**
 * What a token costs beside its signature. The floor signs the very bytes of such a token with bare `jose`: it
 * composes no claims, checks nothing and draws no `jti`.
 */
const now = Date.UTC(2026, 0, 1)
const issuerUrl = 'https://issuer.example'

const keyPairs: Readonly<Partial<Record<SigningAlgorithm, () => KeyObject>>> = {
  RS256: () => generateKeyPairSync('rsa', { modulusLength: 3072 }).privateKey,
  ES256: () => generateKeyPairSync('ec', { namedCurve: 'P-256' }).privateKey,
  EdDSA: () => generateKeyPairSync('ed25519').privateKey,
}

/** After an appraisal with the claims of a whole quote: sixteen PCRs in text. */
function request(): IssueRequest {
  const pcr = Object.fromEntries(Array.from({ length: 16 }, (_, index) => [String(index), 'ab'.repeat(32)]))
  const { appraisal, ...rest } = tpmRequest(now)
  const tpm = { ...(appraisal.claims['tpm'] as object), pcr }
  return { ...rest, appraisal: { ...appraisal, claims: { tpm } } }
}

function issuerWith(privateKey: KeyObject, algorithm: SigningAlgorithm) {
  const key = importSigningKey(privateKey, algorithm)
  const fallback = { subject: { mode: 'ek' }, algorithm, lifetimeS: 900, consumer: null, maxCharacters: 8192 } as const
  return createTokenIssuer({
    issuer: issuerUrl,
    keys: { signingKey: () => key, isPublished: () => true },
    audiences: createAudiencePolicies({ issuer: issuerUrl, fallback, listed: [] }),
    clock: { now: () => now },
    random: (size) => new Uint8Array(randomBytes(size)),
  })
}

for (const [name, make] of Object.entries(keyPairs)) {
  comparison(`issue a token, ${name}`, async () => {
    const alg = name as SigningAlgorithm
    const privateKey = make()
    const issuer = issuerWith(privateKey, alg)
    const asked = request()
    const { token, kid } = await issuer.issueToken(asked)
    const payload = Buffer.from(token.split('.')[1] ?? '', 'base64url')
    const sign = () => new CompactSign(payload).setProtectedHeader({ alg, kid, typ: 'JWT' }).sign(privateKey)
    await compare(`a token of ${token.length} characters, ${alg}`, [
      { name: 'jose CompactSign', role: 'floor', run: sign },
      { name: 'issueToken', role: 'ours', run: () => issuer.issueToken(asked) },
    ])
  })
}
