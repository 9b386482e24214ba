import { describe, expect, it } from 'vitest'
import { toHex } from '../../base/bytes.ts'
import { encodePem } from '../../base/pki/pem.ts'
import { parseCrlForm } from './crl-form.ts'

const der = Uint8Array.from([0x30, 0x03, 0x02, 0x01, 0xfb])
const bytes = (text: string) => new TextEncoder().encode(text)

describe('forms of a revocation list (PCS-08, TDX-203)', () => {
  it.each([
    ['DER', der],
    ['hexadecimal text', bytes(toHex(der))],
    ['in capital letters', bytes(toHex(der).toUpperCase())],
    ['with a line end', bytes(`${toHex(der)}\n`)],
    ['with CR and LF', bytes(`${toHex(der)}\r\n`)],
    ['PEM', bytes(encodePem(der, 'X509 CRL'))],
  ])('%s', (_, form) => {
    expect(parseCrlForm(form, 'crl')).toEqual(der)
  })

  it('of 2 MiB is taken', () => {
    expect(parseCrlForm(new Uint8Array(2 * 1_048_576).fill(0x33), 'crl')).toEqual(new Uint8Array(1_048_576).fill(0x33))
  })

  it.each([
    ['nothing', new Uint8Array()],
    ['a page', bytes('<html>')],
    ['JSON', bytes(`"${toHex(der)}"`)],
    ['half a digit pair', bytes(toHex(der).slice(0, -1))],
    ['two line ends', bytes(`${toHex(der)}\n\n`)],
    ['digits that are none', bytes('300g')],
    ['base64', bytes('MAMCAfs=')],
    ['PEM of another label', bytes(encodePem(der, 'CERTIFICATE'))],
    ['two blocks', bytes(encodePem(der, 'X509 CRL').repeat(2))],
    ['text before PEM', bytes(`x${encodePem(der, 'X509 CRL')}`)],
    ['bytes that are no text', Uint8Array.from([0x33, 0xff])],
    ['more than 2 MiB of digits', new Uint8Array(2 * 1_048_576 + 2).fill(0x33)],
    ['more than 2 MiB of DER', new Uint8Array(2 * 1_048_576 + 1).fill(0x30)],
  ])('%s is refused', (_, form) => {
    expect(() => parseCrlForm(form, 'crl')).toThrow(expect.objectContaining({ code: 'MALFORMED' }))
  })
})
