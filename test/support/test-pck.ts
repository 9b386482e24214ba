import { type KeyObject, sign } from 'node:crypto'
import { boolean, element, enumerated, integer, objectIdentifier, octetString, sequence } from '../../mocks/tdx/der.ts'
import { toHex } from '../../src/base/bytes.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import { anchorOf, type TrustAnchor } from '../../src/base/pki/trust-anchor.ts'
import {
  type AuthoritySpec,
  type CertificateSpec,
  createIntermediate,
  createRoot,
  issueDer,
  type TestAuthority,
} from './test-ca.ts'
import { generateKeys, type KeyPair } from './test-ca-schema.ts'

/** A provisioning PKI for tests: as the maker's, and every certificate of it can be issued otherwise. */

export const sgxExtensionArc = '1.2.840.113741.1.13.1'

/** One entry of the SGX extension: an identifier below the arc, and a DER value. */
export const sgxEntry = (suffix: string, value: Uint8Array): Uint8Array =>
  sequence(objectIdentifier(`${sgxExtensionArc}.${suffix}`), value)

const filled = (size: number, value: number) => octetString(new Uint8Array(size).fill(value))

/** Entries of the TCB by their last arc. */
export function tcbEntries(): Map<string, Uint8Array> {
  const components = Array.from({ length: 16 }, (_, at): [string, Uint8Array] => [`2.${at + 1}`, integer(at)])
  return new Map([...components, ['2.17', integer(300)], ['2.18', filled(16, 0x22)]])
}

/** Entries of the whole extension by their last arc; the TCB and the configuration as they are without changes. */
export function sgxEntries(): Map<string, Uint8Array> {
  const configuration = [true, false, true].map((value, at) => sgxEntry(`7.${at + 1}`, boolean(value)))
  return new Map([
    ['1', filled(16, 0x11)],
    ['2', entriesDer(tcbEntries())],
    ['3', octetString(Uint8Array.of(0xab, 0xcd))],
    ['4', octetString(Uint8Array.of(0, 0x80, 0x6f, 5, 0, 0))],
    ['5', enumerated(1)],
    ['6', filled(16, 0x66)],
    ['7', sequence(...configuration)],
  ])
}

export function entriesDer(entries: ReadonlyMap<string, Uint8Array>): Uint8Array {
  return sequence(...[...entries].map(([suffix, value]) => sgxEntry(suffix, value)))
}

export const sgxExtensionDer = (): Uint8Array => entriesDer(sgxEntries())

/** A value of another type than any that the extension has. */
export const nullValue = element(0x05)

export interface PckPki {
  readonly root: TestAuthority
  readonly ca: TestAuthority
  readonly leafKeys: KeyPair
  readonly signerKeys: KeyPair
  readonly anchors: readonly TrustAnchor[]
}

const names = (CN: string) => ({ CN, O: 'Example' })

export function createPckRoot(spec: AuthoritySpec = {}): TestAuthority {
  return createRoot({ subject: names('Intel SGX Root CA'), basicConstraints: { ca: true, pathLength: 1 }, ...spec })
}

export function createPckCa(root: TestAuthority, spec: AuthoritySpec = {}): TestAuthority {
  const usual = { subject: names('Intel SGX PCK Platform CA'), basicConstraints: { ca: true, pathLength: 0 } }
  return createIntermediate(root, { ...usual, ...spec })
}

export function createPckPki(): PckPki {
  const root = createPckRoot()
  const [ca, leafKeys, signerKeys] = [createPckCa(root), generateKeys(), generateKeys()]
  return { root, ca, leafKeys, signerKeys, anchors: [anchorOf(root.certificate, 'test')] }
}

/** The PCK certificate in DER; `sgx` is the content of its extension, null for none. */
export function issuePckDer(
  { ca, leafKeys }: Pick<PckPki, 'ca' | 'leafKeys'>,
  spec: Partial<CertificateSpec> = {},
  sgx: Uint8Array | null = sgxExtensionDer(),
): Uint8Array {
  const extensions = sgx === null ? [] : [{ id: sgxExtensionArc, critical: false, value: sgx }]
  const usual = { signer: ca, keys: leafKeys, subject: names('Intel SGX PCK Certificate'), extensions }
  return issueDer({ ...usual, keyUsage: ['digitalSignature', 'nonRepudiation'], ...spec })
}

/** The certificate of the TCB signer in DER. */
export function issueTcbSignerDer(
  { root, signerKeys }: Pick<PckPki, 'root' | 'signerKeys'>,
  spec: Partial<CertificateSpec> = {},
): Uint8Array {
  const usual = { signer: root, keys: signerKeys, subject: names('Intel SGX TCB Signing') }
  return issueDer({ ...usual, keyUsage: ['digitalSignature', 'nonRepudiation'], ...spec })
}

export const pemOf = (...certificates: readonly Uint8Array[]): string =>
  certificates.map((der) => encodePem(der, 'CERTIFICATE')).join('')

/** Raw r and s over the UTF-8 bytes of `text`, 128 hexadecimal digits. */
export function signText(text: string, key: KeyObject): string {
  return toHex(new Uint8Array(sign('sha256', Buffer.from(text), { key, dsaEncoding: 'ieee-p1363' })))
}
