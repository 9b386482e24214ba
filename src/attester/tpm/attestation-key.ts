import { equalBytes } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { encode, parse, struct, type TypeOf } from '../../base/layout.ts'
import type { RandomSource } from '../../base/random.ts'
import { passwordSession } from '../../evidence/tpm/command-codec.ts'
import { privateBuffer } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { attributesOf, nameOf, sizedPublicLayout, type TpmtPublic } from '../../evidence/tpm/public-area.ts'
import { attesterErrors } from '../errors.ts'
import type { TpmDialogue } from './dialogue.ts'
import { authoriseEndorsementKey, type EndorsementKey } from './endorsement-key.ts'
import { isMadeFrom } from './key-template.ts'
import { refusalError, requireConsistent } from './refusals.ts'

const empty = new Uint8Array()
const none = { algorithm: 'null' } as const

/** `00050472`. Without noDA three unclean power cycles lock the key for 1000 s (TPM-04). */
const attributes = attributesOf(
  'fixedTPM',
  'fixedParent',
  'sensitiveDataOrigin',
  'userWithAuth',
  'noDA',
  'restricted',
  'sign',
)
const ecc = { type: 'ecc', attributes, authPolicy: empty, symmetric: none, kdf: none, x: empty, y: empty } as const
const rsa = {
  type: 'rsa',
  nameAlg: 'sha256',
  attributes,
  authPolicy: empty,
  symmetric: none,
  keyBits: 2048,
  exponent: 0,
  modulus: empty,
} as const

/** The kinds of attestation key (TPM-04); a name says key and signing scheme. */
export const akTemplates = {
  'ecdsa-p256': { ...ecc, nameAlg: 'sha256', curve: 'P-256', scheme: { algorithm: 'ecdsa', hash: 'sha256' } },
  'ecdsa-p384': { ...ecc, nameAlg: 'sha384', curve: 'P-384', scheme: { algorithm: 'ecdsa', hash: 'sha384' } },
  'rsassa-2048': { ...rsa, scheme: { algorithm: 'rsassa', hash: 'sha256' } },
  'rsapss-2048': { ...rsa, scheme: { algorithm: 'rsapss', hash: 'sha256' } },
} as const satisfies Readonly<Record<string, TpmtPublic>>

export type AkScheme = keyof typeof akTemplates

const keptLayout = struct({ privateArea: privateBuffer, publicArea: sizedPublicLayout })

/** What is kept of an attestation key: only the TPM that made it can load the private part. */
export type KeptKey = TypeOf<typeof keptLayout>

/** TPM2B_PRIVATE and TPM2B_PUBLIC behind each other (NAT 3.4). */
export function encodeKeptKey(key: KeptKey): Uint8Array {
  return encode(keptLayout, key, 'attestation key')
}

/** Throws `AK_LOST` for bytes that are no kept key, `AK_MISMATCH` for a key of another kind than `scheme`. */
export function parseKeptKey(bytes: Uint8Array, scheme: AkScheme): KeptKey {
  const kept = parsed(bytes)
  if (isMadeFrom(kept.publicArea, akTemplates[scheme])) return kept
  throw attesterErrors.error('AK_MISMATCH', `the kept attestation key is not of the kind ${scheme}`, {
    facts: { scheme },
  })
}

function parsed(bytes: Uint8Array): KeptKey {
  try {
    return parse(keptLayout, bytes, 'attestation key')
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw attesterErrors.error('AK_LOST', `what is kept of the attestation key is damaged: ${cause.message}`, { cause })
  }
}

/** Creates an attestation key under the endorsement key. Nothing is loaded and nothing is kept yet. */
export async function createAttestationKey(
  tpm: TpmDialogue,
  parent: EndorsementKey,
  scheme: AkScheme,
  random: RandomSource,
): Promise<KeptKey> {
  const session = await authoriseEndorsementKey(tpm, parent, random)
  const template = akTemplates[scheme]
  const request = {
    parent: parent.handle,
    sensitive: { userAuth: empty, data: empty },
    publicArea: template,
    outsideInfo: empty,
    creationPcrs: [],
  }
  const { privateArea, publicArea } = await tpm.execute(tpm2.create, request, [session])
  requireConsistent(isMadeFrom(publicArea, template), tpm2.create, 'made another key than asked for')
  return { privateArea, publicArea }
}

/** Loads a kept key under its endorsement key; gives its handle. A key that this TPM did not make is `AK_LOST`. */
export async function loadAttestationKey(
  tpm: TpmDialogue,
  parent: EndorsementKey,
  kept: KeptKey,
  random: RandomSource,
): Promise<number> {
  const session = await authoriseEndorsementKey(tpm, parent, random)
  const answer = await tpm.attempt(tpm2.load, { parent: parent.handle, ...kept }, [session])
  if (answer.outcome === 'refused') {
    const isAboutKey = answer.code.part?.kind === 'parameter'
    throw refusalError(answer.code, tpm.factsFor(tpm2.load), isAboutKey ? 'AK_LOST' : undefined)
  }
  const { object, name } = answer.response
  requireConsistent(equalBytes(name, nameOf(kept.publicArea)), tpm2.load, 'the name is not that of the key')
  return object
}

/** A challenge of a verifier (tpm.md section 10), without the size fields around both. */
export interface CredentialChallenge {
  /** TPM2B HMAC and encrypted secret: at most 132 bytes. */
  readonly idObject: Uint8Array
  /** RSA-OAEP output, or two TPM2B coordinates: at most 512 bytes. */
  readonly encryptedSecret: Uint8Array
}

/**
 * Opens a challenge: proof that both keys are in this TPM. Throws `TPM_CREDENTIAL_REFUSED` for one that was made
 * for other keys or got damaged, and for one that no TPM would take.
 */
export async function activateCredential(
  tpm: TpmDialogue,
  keys: { readonly ek: EndorsementKey; readonly ak: number },
  challenge: CredentialChallenge,
  random: RandomSource,
): Promise<Uint8Array> {
  const facts = tpm.factsFor(tpm2.activateCredential)
  const { idObject, encryptedSecret } = challenge
  if (idObject.length > 132 || encryptedSecret.length > 512) {
    throw attesterErrors.error('TPM_CREDENTIAL_REFUSED', 'the challenge is longer than any TPM takes', { facts })
  }
  const session = await authoriseEndorsementKey(tpm, keys.ek, random)
  const request = { activated: keys.ak, key: keys.ek.handle, idObject, encryptedSecret }
  const answer = await tpm.attempt(tpm2.activateCredential, request, [passwordSession, session])
  if (answer.outcome === 'done') return answer.response.secret
  // Some TPMs answer FAILURE, without being in failure mode, where the padding of the secret is wrong.
  const isAboutChallenge = answer.code.part?.kind === 'parameter' || answer.code.name === 'FAILURE'
  throw refusalError(answer.code, facts, isAboutChallenge ? 'TPM_CREDENTIAL_REFUSED' : undefined)
}
