import { encodePem } from '../../src/base/pki/pem.ts'
import { createRoot, issue } from './test-ca.ts'
import { generateKeys } from './test-ca-schema.ts'

const day = 86_400_000

export interface ThrowAwayTls {
  /** The authority, PEM: what a client must be told to trust (`NODE_EXTRA_CA_CERTS`). */
  readonly ca: string
  /** Key and certificate of a server at `localhost` and `127.0.0.1`, PEM. */
  readonly server: { readonly key: string; readonly cert: string }
}

/** An authority for one run and a server that it vouches for today (RC-04). */
export function throwAwayTls(): ThrowAwayTls {
  const validity = { notBefore: Date.now() - day, notAfter: Date.now() + day }
  const root = createRoot({ ...validity, subject: { O: 'Example', CN: 'throw-away root' } })
  const keys = generateKeys()
  const dns = Buffer.from('localhost')
  const names = Buffer.concat([Buffer.of(0x82, dns.length), dns, Buffer.of(0x87, 4, 127, 0, 0, 1)])
  const leaf = issue({
    ...validity,
    signer: root,
    keys,
    subject: { CN: 'localhost' },
    keyUsage: ['digitalSignature'],
    extensions: [{ id: '2.5.29.17', critical: false, value: Uint8Array.of(0x30, names.length, ...names) }],
  })
  return {
    ca: encodePem(root.certificate.der, 'CERTIFICATE'),
    server: {
      key: keys.privateKey.export({ format: 'pem', type: 'pkcs8' }).toString(),
      cert: encodePem(leaf.der, 'CERTIFICATE'),
    },
  }
}
