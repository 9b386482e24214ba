import { createHmac, sign } from 'node:crypto'
import { toBase64, toBase64url } from '../../src/base/bytes.ts'
import type { PolicySigningKey } from '../../src/policies/signed/encode-policy-jws.ts'
import { createIntermediate, createRoot, type TestAuthority } from './test-ca.ts'
import { generateKeys, type KeyKind } from './test-ca-schema.ts'

export interface TestPolicySigner extends PolicySigningKey {
  readonly publicKey: Uint8Array
  readonly authority: TestAuthority
}

/** A signer of policies: with a certificate of its own, or below `parent`, whose certificates follow in the chain. */
export function makePolicySigner(kind: KeyKind = 'P-256', parent?: TestPolicySigner): TestPolicySigner {
  const spec = { keys: generateKeys(kind), subject: { CN: `policy signer ${kind}` } }
  const authority = parent === undefined ? createRoot(spec) : createIntermediate(parent.authority, spec)
  const certificates = [authority.certificate, ...(parent?.certificates ?? [])]
  return { privateKey: spec.keys.privateKey, certificates, publicKey: authority.certificate.publicKey, authority }
}

export const x5cOf = ({ certificates }: Pick<TestPolicySigner, 'certificates'>) =>
  certificates.map(({ der }) => toBase64(der))

const segmentOf = (part: unknown) =>
  toBase64url(Buffer.from(typeof part === 'string' ? part : JSON.stringify(part), 'utf8'))

/** Any JWS, also one that nobody should accept: objects are written as JSON, texts as they are. */
export function forgeJws(header: unknown, payload: unknown, by?: Pick<TestPolicySigner, 'privateKey'> | Uint8Array) {
  const signed = `${segmentOf(header)}.${segmentOf(payload)}`
  if (by === undefined) return `${signed}.`
  if (by instanceof Uint8Array) return `${signed}.${createHmac('sha256', by).update(signed).digest('base64url')}`
  const signature = sign('sha256', Buffer.from(signed), { key: by.privateKey, dsaEncoding: 'ieee-p1363' })
  return `${signed}.${toBase64url(signature)}`
}
