import { constants, createCipheriv, createECDH, createHmac, type ECDH, publicEncrypt } from 'node:crypto'
import { concatBytes } from '../../base/bytes.ts'
import { encode, sizedBytes, u16be, u32be } from '../../base/layout.ts'
import type { RandomSource } from '../../base/random.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'
import { type CurveName, curves, padCoordinate, publicKeyOf, type TpmtPublic } from '../../evidence/tpm/public-area.ts'

/** A challenge that only one TPM can open, for one of its keys; both members without the size field of their TPM2B. */
export interface ProtectedCredential {
  /** TPM2B HMAC, then the encrypted credential. */
  readonly idObject: Uint8Array
  /** RSA: OAEP ciphertext. ECC: TPM2B x, TPM2B y of the ephemeral key. */
  readonly encryptedSecret: Uint8Array
}

/** A seed, and how it gets to the TPM. */
interface SharedSeed {
  readonly seed: Uint8Array
  readonly encryptedSecret: Uint8Array
}

const cfbMode = 0x0043
const sized2b = sizedBytes(u16be, { max: 512 })
const label = (text: string) => new TextEncoder().encode(`${text}\0`)
const noBytes = new Uint8Array()

/** Why no challenge can be made for this EK, or null: type, curve, hash or symmetric algorithm are not supported. */
export function challengeProblem(ek: TpmtPublic): string | null {
  const { symmetric } = ek
  if (symmetric.algorithm !== 'aes' || symmetric.mode !== cfbMode) return 'its symmetric algorithm is not AES-CFB'
  if (symmetric.keyBits !== 128 && symmetric.keyBits !== 256) return `its AES key has ${symmetric.keyBits} bits`
  if (ek.type === 'ecc' && ek.curve === 'SM2') return 'its curve SM2 is not supported'
  return null
}

/**
 * Protects `secret` (at most the digest size of the EK's name) so that only the TPM that holds the private part of
 * `ek` releases it, and only if it also holds the key with the Name `akName`: TPM2_MakeCredential without a TPM
 * (tpm.md section 10; TPM 2.0 Part 1, section 24). `random` gives the seed or the ephemeral key; the padding of
 * RSA-OAEP is drawn by OpenSSL. The EK must have passed the checks of an enrolment; a key for which
 * `challengeProblem` gives a problem is a `TypeError`.
 */
export function makeCredential(
  ek: TpmtPublic,
  akName: Uint8Array,
  secret: Uint8Array,
  random: RandomSource,
): ProtectedCredential {
  const problem = challengeProblem(ek)
  if (problem !== null) throw new TypeError(`no credential for this EK: ${problem}`)
  if (secret.length > hashAlgorithms[ek.nameAlg].size) throw new TypeError('the secret is longer than the EK allows')
  const { seed, encryptedSecret } = ek.type === 'rsa' ? seedForRsa(ek, random) : seedForEcc(ek, random)
  return { idObject: sealCredential(ek, akName, secret, seed), encryptedSecret }
}

function seedForRsa(ek: TpmtPublic, random: RandomSource): SharedSeed {
  const seed = random(hashAlgorithms[ek.nameAlg].size)
  const encryptedSecret = publicEncrypt(
    {
      key: publicKeyOf(ek),
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: ek.nameAlg,
      oaepLabel: label('IDENTITY'),
    },
    seed,
  )
  return { seed, encryptedSecret: new Uint8Array(encryptedSecret) }
}

const opensslCurves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1' } as const

function seedForEcc(ek: TpmtPublic & { type: 'ecc' }, random: RandomSource): SharedSeed {
  const { size } = curves[ek.curve]
  const ephemeral = drawEphemeral(ek.curve, random)
  const [ekX, ekY] = [padCoordinate(ek.x, size), padCoordinate(ek.y, size)]
  const shared = new Uint8Array(ephemeral.computeSecret(concatBytes(Uint8Array.of(4), ekX, ekY)))
  const point = new Uint8Array(ephemeral.getPublicKey())
  const [x, y] = [point.subarray(1, 1 + size), point.subarray(1 + size)]
  const seed = deriveFromEcdh(ek.nameAlg, shared, { label: 'IDENTITY', partyU: x, partyV: ekX })
  return { seed, encryptedSecret: concatBytes(encode(sized2b, x), encode(sized2b, y)) }
}

/** An ephemeral key from injected randomness. Scalars above the order are drawn again (FIPS 186-5, A.2.2). */
function drawEphemeral(curve: CurveName, random: RandomSource): ECDH {
  if (curve === 'SM2') throw new TypeError('SM2 is not supported')
  const { size } = curves[curve]
  const topBits = curve === 'P-521' ? 0x01 : 0xff
  for (let attempt = 0; attempt < 64; attempt++) {
    const scalar = Uint8Array.from(random(size))
    scalar[0] = (scalar[0] ?? 0) & topBits
    const key = createECDH(opensslCurves[curve])
    if (acceptsScalar(key, scalar)) return key
  }
  throw new TypeError('the random source gives no scalar below the order of the curve')
}

function acceptsScalar(key: ECDH, scalar: Uint8Array): boolean {
  try {
    key.setPrivateKey(scalar)
    return true
  } catch {
    return false
  }
}

function sealCredential(ek: TpmtPublic, akName: Uint8Array, secret: Uint8Array, seed: Uint8Array): Uint8Array {
  const keyBits = ek.symmetric.algorithm === 'aes' ? ek.symmetric.keyBits : 0
  const symmetricKey = deriveKey(ek.nameAlg, seed, { label: 'STORAGE', contextU: akName, bits: keyBits })
  const cipher = createCipheriv(`aes-${keyBits}-cfb`, symmetricKey, new Uint8Array(16))
  const identity = new Uint8Array(Buffer.concat([cipher.update(encode(sized2b, secret)), cipher.final()]))
  const bits = hashAlgorithms[ek.nameAlg].size * 8
  const integrityKey = deriveKey(ek.nameAlg, seed, { label: 'INTEGRITY', contextU: noBytes, bits })
  const integrity = hmac(ek.nameAlg, integrityKey, identity, akName)
  return concatBytes(encode(sized2b, integrity), identity)
}

function hmac(hash: HashName, key: Uint8Array, ...parts: readonly Uint8Array[]): Uint8Array {
  const state = createHmac(hash, key)
  for (const part of parts) state.update(part)
  return new Uint8Array(state.digest())
}

/** KDFa (TPM 2.0 Part 1, section 11.4.10.2): SP 800-108 in counter mode with HMAC. `contextV` is empty throughout. */
export function deriveKey(
  hash: HashName,
  key: Uint8Array,
  use: { readonly label: string; readonly contextU: Uint8Array; readonly bits: number },
): Uint8Array {
  return expand(use.bits, (counter) =>
    hmac(hash, key, counter, label(use.label), use.contextU, encode(u32be, use.bits)),
  )
}

/** KDFe (TPM 2.0 Part 1, section 11.4.10.3): SP 800-56A with a hash; gives as many bits as the hash has. */
export function deriveFromEcdh(
  hash: HashName,
  sharedX: Uint8Array,
  use: { readonly label: string; readonly partyU: Uint8Array; readonly partyV: Uint8Array },
): Uint8Array {
  const bits = hashAlgorithms[hash].size * 8
  return expand(bits, (counter) => digestOf(hash, counter, sharedX, label(use.label), use.partyU, use.partyV))
}

function expand(bits: number, block: (counter: Uint8Array) => Uint8Array): Uint8Array {
  const blocks: Uint8Array[] = []
  for (let size = 0, counter = 1; size * 8 < bits; counter++) {
    const next = block(encode(u32be, counter))
    blocks.push(next)
    size += next.length
  }
  return concatBytes(...blocks).subarray(0, bits / 8)
}
