import { parseText } from '../../base/bytes.ts'
import { attributesOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'

const bytes = (hex: string) => parseText(hex, 'hex', 'policy')

/**
 * Policies of endorsement keys (TCG EK Credential Profile, section B.6): each is satisfied by TPM2_PolicySecret with
 * the endorsement hierarchy, then, where `branches` are given, TPM2_PolicyOR with them.
 */
export interface EkPolicy {
  readonly digest: Uint8Array
  readonly branches: readonly Uint8Array[]
}

const secretSha256 = bytes('837197674484b3f81a90cc8d46a5d724fd52d76e06520b64f2a1da1b331469aa')
const secretSha384 = bytes(
  '8bbf2266537c171cb56e403c4dc1d4b64f432611dc386e6f532050c3278c930e143e8bb1133824ccb431053871c6db53',
)

/** Every policy that this agent can satisfy. The second branch, written in NV by the owner, is never taken. */
export const ekPolicies = {
  secretSha256: { digest: secretSha256, branches: [] },
  eitherSha256: {
    digest: bytes('ca3d0a99a2b93906f7a3342414efcfb3a385d44cd1fd459089d19b5071c0b7a0'),
    branches: [secretSha256, bytes('3767e2edd43ff45a3a7e1eaefcef78643dca964632e7aad82c673a30d8633fde')],
  },
  eitherSha384: {
    digest: bytes('b26e7d28d11a50bc53d882bcf5fd3a1a074148bb35d3b4e4cb1c0ad9bde419cacb47ba09699646150f9fc000f3f80e12'),
    branches: [
      secretSha384,
      bytes('d6032ce61f2fb3c240eb3cf6a33237ef2b6a16f4293c22b455e261cffd217ad5b4947c2d73e63005eed2dc2b3593d165'),
    ],
  },
} as const satisfies Readonly<Record<string, EkPolicy>>

/** How an endorsement key is made again from the seed of its TPM, and where its certificate lies. */
export interface EkTemplate {
  readonly certificateIndex: number
  readonly area: TpmtPublic
}

const lowRange = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'adminWithPolicy',
  'restricted',
  'decrypt',
)
const highRange = lowRange + attributesOf('userWithAuth')

const cfb = 0x0043
const none = { algorithm: 'null' } as const
const aes = (keyBits: number) => ({ algorithm: 'aes', keyBits, mode: cfb }) as const
const empty = new Uint8Array()

/** Templates of tpm.md 1.1. In the low range the unique field is as long as the key and zero, above it is empty. */
export const ekTemplates = {
  'rsa-2048': {
    certificateIndex: 0x01c00002,
    area: {
      type: 'rsa',
      nameAlg: 'sha256',
      attributes: lowRange,
      authPolicy: ekPolicies.secretSha256.digest,
      symmetric: aes(128),
      scheme: none,
      keyBits: 2048,
      exponent: 0,
      modulus: new Uint8Array(256),
    },
  },
  'p-256': {
    certificateIndex: 0x01c0000a,
    area: {
      type: 'ecc',
      nameAlg: 'sha256',
      attributes: lowRange,
      authPolicy: ekPolicies.secretSha256.digest,
      symmetric: aes(128),
      scheme: none,
      curve: 'P-256',
      kdf: none,
      x: new Uint8Array(32),
      y: new Uint8Array(32),
    },
  },
  'p-256-high': {
    certificateIndex: 0x01c00014,
    area: {
      type: 'ecc',
      nameAlg: 'sha256',
      attributes: highRange,
      authPolicy: ekPolicies.eitherSha256.digest,
      symmetric: aes(128),
      scheme: none,
      curve: 'P-256',
      kdf: none,
      x: empty,
      y: empty,
    },
  },
  'p-384-high': {
    certificateIndex: 0x01c00016,
    area: {
      type: 'ecc',
      nameAlg: 'sha384',
      attributes: highRange,
      authPolicy: ekPolicies.eitherSha384.digest,
      symmetric: aes(256),
      scheme: none,
      curve: 'P-384',
      kdf: none,
      x: empty,
      y: empty,
    },
  },
} as const satisfies Readonly<Record<string, EkTemplate>>

export type EkTemplateName = keyof typeof ekTemplates

/** The policy of an endorsement key, or null for one that this agent cannot satisfy. */
export function ekPolicyOf(area: TpmtPublic): EkPolicy | null {
  const same = (policy: EkPolicy) => Buffer.compare(policy.digest, area.authPolicy) === 0
  return Object.values<EkPolicy>(ekPolicies).find(same) ?? null
}
