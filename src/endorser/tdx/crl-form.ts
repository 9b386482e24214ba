import { parseText } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseUtf8 } from '../../base/json.ts'
import { parsePem } from '../../base/pki/pem.ts'

/** Bytes of a list in its longest form. */
const longestText = 2 * 1_048_576

/**
 * A revocation list in any of the forms that servers use, as DER: DER itself, PEM, or hexadecimal text, told apart by
 * their first byte (PCS-08, TDX-203). Whether the DER is a list is not judged. Throws `MalformedError` for anything else.
 */
export function parseCrlForm(bytes: Uint8Array, path: string): Uint8Array {
  if (bytes.length > longestText) throw new MalformedError({ path }, 'is longer than 2 MiB')
  switch (bytes[0]) {
    case 0x30: // SEQUENCE
      return bytes
    case 0x2d: // '-'
      return parsePem(parseUtf8(bytes, path), 'X509 CRL', { characters: longestText })
    case 0x33: // '3', the first digit of SEQUENCE
      return parseText(
        parseUtf8(bytes, path)
          .replace(/\r?\n$/, '')
          .toLowerCase(),
        'hex',
        path,
      )
    default:
      throw new MalformedError({ path, offset: 0 }, 'is neither DER, PEM nor hexadecimal text')
  }
}
