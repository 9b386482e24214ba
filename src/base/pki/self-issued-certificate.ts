import { createHash, createPublicKey, type KeyObject, sign } from 'node:crypto'
import { concatBytes } from '../bytes.ts'
import { identifiers } from './der-cursor.ts'

/**
 * Makes an X.509 certificate in which a key vouches for itself, in DER, for readers who take keys in no other form: what
 * is to be believed of the key has to be known from elsewhere. It follows from name and key, with RSA to the last byte:
 * the serial number is taken from the hash of the key, and it is valid from 2020 without an end, for signatures alone.
 * `privateKey` is RSA or on P-256, `commonName` has 1 to 64 printable ASCII characters; else throws a `TypeError`.
 */
export function makeSelfIssuedCertificate(commonName: string, privateKey: KeyObject): Uint8Array {
  if (!/^[\x20-\x7e]{1,64}$/.test(commonName)) throw new TypeError('a common name has 1 to 64 printable characters')
  const spki = new Uint8Array(createPublicKey(privateKey).export({ format: 'der', type: 'spki' }))
  const algorithm = algorithmFor(privateKey)
  const name = nameOf(commonName)
  const tbs = sequence(
    explicit(0, integer(Uint8Array.of(2))),
    integer(serialFor(spki)),
    algorithm,
    name,
    sequence(element(identifiers.utcTime, ascii('200101000000Z')), element(identifiers.generalizedTime, endless)),
    name,
    spki,
    explicit(3, extensions),
  )
  return sequence(tbs, algorithm, bitString(new Uint8Array(sign('sha256', tbs, privateKey))))
}

const ascii = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'latin1'))
const hex = (text: string): Uint8Array => new Uint8Array(Buffer.from(text, 'hex'))

/** RFC 5280 section 4.1.2.5: there is no end that is known. */
const endless = ascii('99991231235959Z')

const objectIdentifiers = {
  sha256WithRsa: hex('2a864886f70d01010b'),
  ecdsaWithSha256: hex('2a8648ce3d040302'),
  commonName: hex('550403'),
  basicConstraints: hex('551d13'),
  keyUsage: hex('551d0f'),
}

const extensions = sequence(
  criticalExtension(objectIdentifiers.basicConstraints, sequence()),
  criticalExtension(objectIdentifiers.keyUsage, element(identifiers.bitString, hex('0780'))),
)

function algorithmFor({ asymmetricKeyType, asymmetricKeyDetails }: KeyObject): Uint8Array {
  const { sha256WithRsa, ecdsaWithSha256 } = objectIdentifiers
  if (asymmetricKeyType === 'rsa') return sequence(element(identifiers.objectIdentifier, sha256WithRsa), hex('0500'))
  if (asymmetricKeyDetails?.namedCurve !== 'prime256v1') throw new TypeError('the key is neither RSA nor on P-256')
  return sequence(element(identifiers.objectIdentifier, ecdsaWithSha256))
}

/** Positive and not zero, whatever the hash is. */
function serialFor(spki: Uint8Array): Uint8Array {
  const serial = new Uint8Array(createHash('sha256').update(spki).digest().subarray(0, 16))
  serial[0] = ((serial[0] ?? 0) & 0x3f) | 0x40
  return serial
}

function nameOf(commonName: string): Uint8Array {
  const text = element(identifiers.utf8String, ascii(commonName))
  const attribute = sequence(element(identifiers.objectIdentifier, objectIdentifiers.commonName), text)
  return sequence(element(identifiers.set, attribute))
}

function criticalExtension(id: Uint8Array, value: Uint8Array): Uint8Array {
  const critical = element(identifiers.boolean, Uint8Array.of(0xff))
  return sequence(element(identifiers.objectIdentifier, id), critical, element(identifiers.octetString, value))
}

function integer(content: Uint8Array): Uint8Array {
  return element(identifiers.integer, content)
}

function bitString(content: Uint8Array): Uint8Array {
  return element(identifiers.bitString, Uint8Array.of(0), content)
}

function explicit(tag: number, content: Uint8Array): Uint8Array {
  return element(0xa0 + tag, content)
}

function sequence(...contents: readonly Uint8Array[]): Uint8Array {
  return element(identifiers.sequence, ...contents)
}

function element(tag: number, ...contents: readonly Uint8Array[]): Uint8Array {
  const content = concatBytes(...contents)
  const { length } = content
  if (length < 0x80) return concatBytes(Uint8Array.of(tag, length), content)
  if (length < 0x100) return concatBytes(Uint8Array.of(tag, 0x81, length), content)
  if (length < 0x1_0000) return concatBytes(Uint8Array.of(tag, 0x82, length >> 8, length & 0xff), content)
  throw new TypeError('an element of a certificate is shorter than 64 KiB')
}
