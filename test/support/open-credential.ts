import { constants, createDecipheriv, createECDH, createHmac, type KeyObject, privateDecrypt } from 'node:crypto'
import { concatBytes, equalBytes } from '../../src/base/bytes.ts'
import { parse, rest, sizedBytes, struct, u16be } from '../../src/base/layout.ts'
import { hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { curves, padCoordinate, type TpmtPublic } from '../../src/evidence/tpm/public-area.ts'
import { deriveFromEcdh, deriveKey, type ProtectedCredential } from '../../src/verifier/tpm/make-credential.ts'

const sized2b = sizedBytes(u16be, { max: 512 })
const idObjectLayout = struct({ integrity: sized2b, identity: rest })
const pointLayout = struct({ x: sized2b, y: sized2b })
const secretLayout = struct({ secret: sized2b })

const opensslCurves = { 'P-256': 'prime256v1', 'P-384': 'secp384r1', 'P-521': 'secp521r1', SM2: 'SM2' } as const

/** The seed inside of the encrypted secret, with the private part of the EK. */
export function openSeed(ek: TpmtPublic, privateKey: KeyObject, encryptedSecret: Uint8Array): Uint8Array {
  if (ek.type === 'rsa') {
    const oaep = {
      padding: constants.RSA_PKCS1_OAEP_PADDING,
      oaepHash: ek.nameAlg,
      oaepLabel: Buffer.from('IDENTITY\0'),
    }
    return new Uint8Array(privateDecrypt({ key: privateKey, ...oaep }, encryptedSecret))
  }
  const { size } = curves[ek.curve]
  const point = parse(pointLayout, encryptedSecret, 'encryptedSecret')
  const ecdh = createECDH(opensslCurves[ek.curve])
  ecdh.setPrivateKey(Buffer.from(privateKey.export({ format: 'jwk' }).d ?? '', 'base64url'))
  const shared = ecdh.computeSecret(
    concatBytes(Uint8Array.of(4), padCoordinate(point.x, size), padCoordinate(point.y, size)),
  )
  const [partyU, partyV] = [padCoordinate(point.x, size), padCoordinate(ek.x, size)]
  return deriveFromEcdh(ek.nameAlg, new Uint8Array(shared), { label: 'IDENTITY', partyU, partyV })
}

/** What TPM2_ActivateCredential does, with the private part of a software EK. Throws where a TPM answers `1DF`. */
export function openCredential(
  ek: TpmtPublic,
  privateKey: KeyObject,
  akName: Uint8Array,
  { idObject, encryptedSecret }: ProtectedCredential,
): Uint8Array {
  if (ek.symmetric.algorithm !== 'aes') throw new TypeError('the EK has no symmetric algorithm')
  const seed = openSeed(ek, privateKey, encryptedSecret)
  const { integrity, identity } = parse(idObjectLayout, idObject, 'idObject')
  const bits = hashAlgorithms[ek.nameAlg].size * 8
  const integrityKey = deriveKey(ek.nameAlg, seed, { label: 'INTEGRITY', contextU: new Uint8Array(), bits })
  const expected = createHmac(ek.nameAlg, integrityKey).update(identity).update(akName).digest()
  if (!equalBytes(new Uint8Array(expected), integrity)) throw new Error('integrity check failed')
  const { keyBits } = ek.symmetric
  const key = deriveKey(ek.nameAlg, seed, { label: 'STORAGE', contextU: akName, bits: keyBits })
  const decipher = createDecipheriv(`aes-${keyBits}-cfb`, key, new Uint8Array(16))
  const plain = new Uint8Array(Buffer.concat([decipher.update(identity), decipher.final()]))
  return parse(secretLayout, plain, 'secret').secret
}
