import { encodePem } from '../../src/base/pki/pem.ts'
import { createRoot } from './test-ca.ts'

const day = 86_400_000

/** Key and certificate (PEM) of a server that vouches for itself: an authority of its own, for one IPv4 address, valid today. */
export function selfSigned(address = '127.0.0.1'): { readonly key: string; readonly cert: string } {
  const iPAddress = Uint8Array.of(0x30, 0x06, 0x87, 0x04, ...address.split('.').map(Number))
  const { keys, certificate } = createRoot({
    subject: { CN: address },
    notBefore: Date.now() - day,
    notAfter: Date.now() + day,
    keyUsage: ['keyCertSign', 'digitalSignature'],
    extensions: [{ id: '2.5.29.17', critical: false, value: iPAddress }],
  })
  return {
    key: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
    cert: encodePem(certificate.der, 'CERTIFICATE'),
  }
}
