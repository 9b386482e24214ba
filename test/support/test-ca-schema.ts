import { createHash, generateKeyPairSync, type KeyObject, sign } from 'node:crypto'
import { AsnConvert, OctetString } from '@peculiar/asn1-schema'
import {
  AlgorithmIdentifier,
  AttributeTypeAndValue,
  AttributeValue,
  Extension,
  KeyUsageFlags,
  KeyUsage as KeyUsageSchema,
  Name,
  RelativeDistinguishedName,
} from '@peculiar/asn1-x509'
import type { KeyUsage } from '../../src/base/pki/extensions.ts'

export interface KeyPair {
  readonly privateKey: KeyObject
  readonly publicKey: KeyObject
}

export type KeyKind = 'P-256' | 'P-384' | 'P-521' | 'rsa' | 'rsa-1024' | 'secp256k1' | 'ed25519'

export function generateKeys(kind: KeyKind = 'P-256'): KeyPair {
  if (kind === 'ed25519') return generateKeyPairSync('ed25519')
  if (kind.startsWith('rsa')) return generateKeyPairSync('rsa', { modulusLength: kind === 'rsa' ? 2048 : 1024 })
  return generateKeyPairSync('ec', { namedCurve: kind })
}

export type Names = Readonly<Record<string, string>>

const attributeIds: Names = { CN: '2.5.4.3', O: '2.5.4.10', OU: '2.5.4.11', C: '2.5.4.6' }

export function nameFrom(names: Names): Name {
  const relative = Object.entries(names).map(
    ([type, text]) =>
      new RelativeDistinguishedName([
        new AttributeTypeAndValue({
          type: attributeIds[type] ?? type,
          value: new AttributeValue({ utf8String: text }),
        }),
      ]),
  )
  return new Name(relative)
}

const algorithms = {
  'ecdsa-sha256': ['1.2.840.10045.4.3.2', null, 'sha256'],
  'ecdsa-sha384': ['1.2.840.10045.4.3.3', null, 'sha384'],
  'ecdsa-sha512': ['1.2.840.10045.4.3.4', null, 'sha512'],
  'ecdsa-sha1': ['1.2.840.10045.4.1', null, 'sha1'],
  'rsa-sha256': ['1.2.840.113549.1.1.11', '0500', 'sha256'],
  'rsa-sha384': ['1.2.840.113549.1.1.12', '0500', 'sha384'],
  'rsa-sha512': ['1.2.840.113549.1.1.13', '0500', 'sha512'],
  'rsa-sha1': ['1.2.840.113549.1.1.5', '0500', 'sha1'],
  'rsa-md5': ['1.2.840.113549.1.1.4', '0500', 'md5'],
  'rsa-sha256-without-null': ['1.2.840.113549.1.1.11', null, 'sha256'],
  'pss-sha256': [
    '1.2.840.113549.1.1.10',
    '3034a00f300d06096086480165030402010500a11c301a06092a864886f70d010108300d06096086480165030402010500a203020120',
    'sha256',
  ],
  'pss-sha384-without-null': [
    '1.2.840.113549.1.1.10',
    '3030a00d300b0609608648016503040202a11a301806092a864886f70d010108300b0609608648016503040202a203020130',
    'sha384',
  ],
  'pss-defaults': ['1.2.840.113549.1.1.10', '3000', 'sha1'],
  ed25519: ['1.3.101.112', null, null],
} as const
export type AlgorithmName = keyof typeof algorithms

export function identifierOf(algorithm: AlgorithmName): AlgorithmIdentifier {
  const [oid, parameters] = algorithms[algorithm]
  return new AlgorithmIdentifier({
    algorithm: oid,
    ...(parameters === null ? {} : { parameters: arrayBuffer(Buffer.from(parameters, 'hex')) }),
  })
}

export function signWith(algorithm: AlgorithmName, key: KeyObject, data: Uint8Array): Uint8Array {
  const hash = algorithms[algorithm][2]
  if (!algorithm.startsWith('pss')) return sign(hash, data, key)
  return sign(hash, data, { key, padding: 6, saltLength: -1 })
}

export function arrayBuffer(bytes: Uint8Array): ArrayBuffer {
  return Uint8Array.from(bytes).buffer
}

export interface RawExtension {
  readonly id: string
  readonly critical: boolean
  /** Content of extnValue. */
  readonly value: Uint8Array
}

const flags: Readonly<Record<KeyUsage, number>> = {
  digitalSignature: KeyUsageFlags.digitalSignature,
  nonRepudiation: KeyUsageFlags.nonRepudiation,
  keyEncipherment: KeyUsageFlags.keyEncipherment,
  dataEncipherment: KeyUsageFlags.dataEncipherment,
  keyAgreement: KeyUsageFlags.keyAgreement,
  keyCertSign: KeyUsageFlags.keyCertSign,
  cRLSign: KeyUsageFlags.cRLSign,
  encipherOnly: KeyUsageFlags.encipherOnly,
  decipherOnly: KeyUsageFlags.decipherOnly,
}

export function rawExtension(id: string, critical: boolean, value: unknown): RawExtension {
  return { id, critical, value: new Uint8Array(AsnConvert.serialize(value)) }
}

/** BIT STRING of named bits without trailing zeros, as DER has it. */
export function keyUsageDer(names: readonly KeyUsage[]): Uint8Array {
  const bits = names.reduce((sum, name) => sum | flags[name], 0)
  let last = 0
  for (let bit = 0; bit < 9; bit++) if (bits & (1 << bit)) last = bit
  const bytes = new Uint8Array((last >> 3) + 1)
  for (let bit = 0; bit <= last; bit++) {
    if (bits & (1 << bit)) bytes[bit >> 3] = (bytes[bit >> 3] ?? 0) | (0x80 >> (bit & 7))
  }
  const value = new KeyUsageSchema(arrayBuffer(bytes), 7 - (last & 7))
  return new Uint8Array(AsnConvert.serialize(value))
}

export function toSchema({ id, critical, value }: RawExtension): Extension {
  return new Extension({ extnID: id, critical, extnValue: new OctetString(arrayBuffer(value)) })
}

export function spkiOf(key: KeyObject): Uint8Array {
  return new Uint8Array(key.export({ format: 'der', type: 'spki' }))
}

export function keyIdOf({ publicKey }: KeyPair): Uint8Array {
  return new Uint8Array(createHash('sha1').update(spkiOf(publicKey)).digest())
}

/** A copy with one bit flipped. */
export function flipBit(bytes: Uint8Array, at: number, bit = 0): Uint8Array {
  const copy = Uint8Array.from(bytes)
  copy[at] = (copy[at] ?? 0) ^ (1 << bit)
  return copy
}
