import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { Reader } from '../../base/layout-cursor.ts'
import { type Certificate, parsePaddedCertificate, publicKeySha256 } from '../../base/pki/certificate.ts'
import { describeName } from '../../base/pki/distinguished-name.ts'
import { parseCrl } from '../../base/pki/revocation-list.ts'
import { heading, type InspectedField, type Inspection, shownValue } from './inspection.ts'
import { describePurpose, paddingField, tpmFields, vendorFields } from './tpm-certificate.ts'

const time = (milliseconds: number) => new Date(milliseconds).toISOString().replace('.000Z', 'Z')

const tagNames: Readonly<Record<number, string>> = {
  1: 'BOOLEAN',
  2: 'INTEGER',
  3: 'BIT STRING',
  4: 'OCTET STRING',
  5: 'NULL',
  6: 'OBJECT IDENTIFIER',
  12: 'UTF8String',
  16: 'SEQUENCE',
  17: 'SET',
  19: 'PrintableString',
  22: 'IA5String',
  23: 'UTCTime',
  24: 'GeneralizedTime',
}

function readLength(reader: Reader): number {
  const first = reader.integer(1, false)
  if (first < 0x80) return first
  let length = 0
  for (const byte of reader.bytes(first & 0x7f)) length = length * 256 + byte
  return length
}

const isText = (tag: number) => [12, 19, 22, 23, 24].includes(tag)
const latin1 = new TextDecoder('latin1')

/** Elements with offsets, at most 16 levels deep. Only for show: `base/pki` decides what is DER. */
function elementFields(reader: Reader, depth: number, fields: InspectedField[]): void {
  const offset = reader.offset
  const identifier = reader.integer(1, false)
  const size = readLength(reader)
  const tag = identifier & 0x1f
  const name = identifier >> 6 === 0 ? (tagNames[tag] ?? `tag ${tag}`) : `[${tag}]`
  const field = { depth, name, offset, size: size + reader.offset - offset, value: '' }
  fields.push(field)
  const constructed = (identifier & 0x20) !== 0 && depth < 16
  if (!constructed) {
    const content = reader.bytes(size)
    field.value = identifier >> 6 === 0 && isText(tag) ? latin1.decode(content) : shownValue(content)
    return
  }
  reader.within(size, () => {
    while (reader.remaining > 0) elementFields(reader, depth + 1, fields)
  })
}

function derTree(der: Uint8Array): InspectedField[] {
  const fields: InspectedField[] = []
  try {
    elementFields(new Reader(der, 'der'), 0, fields)
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
  }
  return fields
}

/** What a certificate says in short, without offsets. */
export function certificateSummary(certificate: Certificate): InspectedField[] {
  const { basicConstraints, keyUsage, extendedKeyUsage, subjectKeyId, authorityKeyId } = certificate
  const constraint = basicConstraints?.pathLength === null ? '' : ` pathLen ${basicConstraints?.pathLength}`
  const ca = basicConstraints === null ? '' : `CA ${basicConstraints.ca}${basicConstraints.ca ? constraint : ''}`
  const lines: [string, string][] = [
    ['subject', describeName(certificate.subject)],
    ['issuer', describeName(certificate.issuer)],
    ['serial', certificate.serial.toString(16)],
    ['validity', `${time(certificate.notBefore)} to ${time(certificate.notAfter)}`],
    ['basicConstraints', ca],
    ['keyUsage', [...(keyUsage ?? [])].join(' ')],
    ['extKeyUsage', (extendedKeyUsage ?? []).map(describePurpose).join(' ')],
    ['subjectKeyIdentifier', subjectKeyId ? toHex(subjectKeyId) : ''],
    ['authorityKeyIdentifier', authorityKeyId?.keyId ? toHex(authorityKeyId.keyId) : ''],
    ['SHA-256', certificate.fingerprint],
    ['SHA-256 of the public key', publicKeySha256(certificate)],
  ]
  return lines.filter(([, value]) => value !== '').map(([name, value]) => heading(`(${name})`, 0, value))
}

/**
 * An X.509 certificate, also as an NV index of a TPM holds it, with its filling (EKC-02): what it says in short, of a
 * TPM too, which pinned maker it comes from, then every element with its offset.
 */
export function inspectCertificate(content: Uint8Array): Inspection {
  const certificate = parsePaddedCertificate(content)
  const summary = [...certificateSummary(certificate), ...tpmFields(content), ...vendorFields(certificate)]
  const tree = [...derTree(certificate.der), ...paddingField(content, certificate)]
  return { kind: 'X.509 certificate', fields: [...summary, ...tree] }
}

/** A certificate revocation list: its validity and what it revokes, then every element with its offset. */
export function inspectCrl(der: Uint8Array): Inspection {
  const crl = parseCrl(der)
  const summary = [
    heading('(issuer)', 0, describeName(crl.issuer)),
    heading('(validity)', 0, `${time(crl.thisUpdate)} to ${time(crl.nextUpdate)}`),
    heading('(number)', 0, crl.number === null ? '' : String(crl.number)),
    heading('(revoked)', 0, [...crl.revokedSerials].join(' ')),
  ]
  return { kind: 'certificate revocation list', fields: [...summary, ...derTree(der)] }
}
