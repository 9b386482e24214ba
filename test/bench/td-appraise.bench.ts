import * as crypto from 'node:crypto'
import { QuoteVerifier } from '@phala/dcap-qvl'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import { toBase64url, toHex, toLatin1 } from '../../src/base/bytes.ts'
import { type Certificate, parseCertificate } from '../../src/base/pki/certificate.ts'
import { parsePemBlocks } from '../../src/base/pki/pem.ts'
import { parseCrl } from '../../src/base/pki/revocation-list.ts'
import { anchorOf, type TrustAnchor } from '../../src/base/pki/trust-anchor.ts'
import type { Collateral } from '../../src/endorsements/tdx/collateral.ts'
import { intelSgxRootAnchors } from '../../src/endorsements/tdx/intel-root.ts'
import { parseQuote } from '../../src/evidence/tdx/quote.ts'
import { appraiseQuote, createQuoteMemo } from '../../src/verifier/index.ts'
import { compare, comparison } from '../support/comparison.ts'
import { peerCollateral } from '../support/peer-collateral.ts'
import { recordedCollateral, recordedQuote } from '../support/recorded-tdx.ts'
import { haveVectors } from '../support/vectors.ts'

/** Bound once: vitest looks up an import at each use, which would count against the floors. */
const { createPublicKey, verify } = crypto

interface Case {
  readonly quote: Uint8Array
  readonly collateral: Collateral
  readonly trustAnchors: readonly TrustAnchor[]
  readonly now: number
  readonly peer: QuoteVerifier
}

/** What one ECDSA verification takes; the key as DER SubjectPublicKeyInfo. */
interface Signed {
  readonly spki: Uint8Array
  readonly data: Uint8Array
  readonly signature: Uint8Array
  readonly dsaEncoding: 'der' | 'ieee-p1363'
}

const p256Prefix = Buffer.from('3059301306072a8648ce3d020106082a8648ce3d03010703420004', 'hex')

const certificatesOf = (pem: string): Certificate[] =>
  parsePemBlocks(pem, 'CERTIFICATE').map((der) => parseCertificate(der))

const byKeyOf = (
  { publicKey }: Certificate,
  { tbs, signature }: { readonly tbs: Uint8Array; readonly signature: Uint8Array },
): Signed => ({ spki: publicKey, data: tbs, signature, dsaEncoding: 'der' })

const rawSigned = (spki: Uint8Array, data: Uint8Array, signature: Uint8Array): Signed => ({
  ...{ spki, data, signature },
  dsaEncoding: 'ieee-p1363',
})

function required<T>(value: T | undefined): T {
  if (value === undefined) throw new Error('a certificate is missing')
  return value
}

/** The nine signatures that nobody can do without: three chains share their roots, and both documents their signer. */
function nineSignatures({ quote: bytes, collateral }: Case): Signed[] {
  const quote = parseQuote(bytes)
  const [leaf, ca, root] = certificatesOf(toLatin1(quote.certification.data)).map(required)
  const signer = required(certificatesOf(collateral.tcbInfoIssuerChain)[0])
  const document = (text: string, hex: string) =>
    rawSigned(signer.publicKey, Buffer.from(text), Buffer.from(hex, 'hex'))
  return [
    byKeyOf(required(ca), required(leaf)),
    byKeyOf(required(root), required(ca)),
    byKeyOf(required(root), signer),
    byKeyOf(required(root), parseCrl(collateral.rootCaCrl)),
    byKeyOf(required(ca), parseCrl(collateral.pckCrl)),
    document(collateral.tcbInfo, collateral.tcbInfoSignature),
    document(collateral.qeIdentity, collateral.qeIdentitySignature),
    rawSigned(required(leaf).publicKey, quote.qe.reportBytes, quote.qe.signature),
    rawSigned(Buffer.concat([p256Prefix, quote.attestationKey]), quote.signedBytes, quote.signature),
  ]
}

/** With `ready` keys are imported once; else each time, as nine parties with one signature each would. */
function verifying(signatures: readonly Signed[], { ready }: { readonly ready: boolean }): () => void {
  const keyOf = (spki: Uint8Array) => createPublicKey({ key: Buffer.from(spki), format: 'der', type: 'spki' })
  const keys = new Map(signatures.map((signed) => [signed, keyOf(signed.spki)]))
  return () => {
    for (const signed of signatures) {
      const { spki, data, signature, dsaEncoding } = signed
      const key = ready ? required(keys.get(signed)) : keyOf(spki)
      if (!verify('sha256', data, { key, dsaEncoding }, signature)) throw new Error('does not verify')
    }
  }
}

/**
 * What an appraisal of unknown bytes cannot do without: the nine signatures, and one import of each key but that of the
 * anchor, which is configured. Bare coordinates are the form that OpenSSL imports in the least time.
 */
function verifyingUnknown(signatures: readonly Signed[]): () => void {
  const anchor = required(signatures[1]).spki
  const anchorKey = createPublicKey({ key: Buffer.from(anchor), format: 'der', type: 'spki' })
  const spkis = new Map(signatures.map(({ spki }) => [toHex(spki), spki]))
  spkis.delete(toHex(anchor))
  const jwks = [...spkis].map(([hex, spki]) => [hex, jwkOf(spki)] as const)
  const named = signatures.map((signed) => ({ ...signed, name: toHex(signed.spki) }))
  return () => {
    const keys = new Map(jwks.map(([hex, key]) => [hex, createPublicKey({ key, format: 'jwk' })]))
    for (const { name, data, signature, dsaEncoding } of named) {
      const key = keys.get(name) ?? anchorKey
      if (!verify('sha256', data, { key, dsaEncoding }, signature)) throw new Error('does not verify')
    }
  }
}

function jwkOf(spki: Uint8Array) {
  const text = (start: number) => toBase64url(spki.subarray(start, start + 32))
  return { kty: 'EC', crv: 'P-256', x: text(p256Prefix.length), y: text(p256Prefix.length + 32) }
}

function peerOf({ quote, collateral, now, peer }: Case): () => unknown {
  const [bytes, given] = [Buffer.from(quote), peerCollateral(collateral)]
  return () => peer.verify(bytes, given, now / 1000)
}

function recordedCase(file: string, collateralFile: string, at: string): Case {
  return {
    quote: recordedQuote(`quotes/${file}`),
    collateral: recordedCollateral(`collateral/${collateralFile}`),
    trustAnchors: intelSgxRootAnchors,
    now: Date.parse(at),
    peer: QuoteVerifier.newProd(),
  }
}

function simulatedCase(): Case {
  const now = Date.now()
  const simulator = createSimulator({ clock: { now: () => now } })
  const { certificate } = simulator.pki.root
  return {
    quote: simulator.quote({ reportData: crypto.randomBytes(64) }),
    collateral: simulator.collateral(),
    trustAnchors: [anchorOf(parseCertificate(certificate))],
    now,
    peer: new QuoteVerifier(Buffer.from(certificate)),
  }
}

async function compareAppraisals(name: string, one: Case): Promise<void> {
  const { quote, collateral, trustAnchors, now } = one
  const inputs = { collateral, trustAnchors, now, reportData: 'any' } as const
  const verdict = appraiseQuote(quote, inputs)
  if (!verdict.verified) throw new Error(`the quote is not verified: ${verdict.class}`)
  const remembering = { ...inputs, memo: createQuoteMemo() }
  const signatures = nineSignatures(one)
  const ofQuote = signatures.slice(-2)
  const chain = quote.length + collateral.tcbInfo.length + collateral.pckCrl.length
  await compare(
    `${name}: quote, TCB info and PCK list of ${chain} bytes`,
    [
      { name: 'nine verifications, four keys imported', role: 'floor', run: verifyingUnknown(signatures) },
      { name: '@phala/dcap-qvl', role: 'peer', run: peerOf(one) },
      { name: 'appraiseQuote, nothing prepared', role: 'ours', run: () => appraiseQuote(quote, inputs) },
      { name: 'nine verifications, keys ready', role: 'floor', run: verifying(signatures, { ready: true }) },
      { name: 'nine verifications, nine keys imported', role: 'floor', run: verifying(signatures, { ready: false }) },
      { name: 'appraiseQuote, memo', role: 'ours', run: () => appraiseQuote(quote, remembering) },
      { name: 'two verifications of a known platform', role: 'floor', run: verifying(ofQuote, { ready: false }) },
      { name: 'parseQuote', role: 'ours', run: () => parseQuote(quote) },
    ],
    { ms: 15_000, inARow: 50 },
  )
}

const recorded = [
  ['TDX, version 4', 'dcapqvl-tdx_quote-v4.bin', 'dcapqvl-tdx-b0c06f-2025-06.json', '2025-06-20T00:00:00Z'],
  ['TDX, version 5', 'gotdx-v5-sample.bin', 'gotdxv5-tdx-90c06f-2026-02.json', '2026-02-25T00:00:00Z'],
  ['SGX, version 3', 'dcapqvl-sgx_quote-v3.bin', 'dcapqvl-sgx-00a067-2025-06.json', '2025-06-20T00:00:00Z'],
] as const

for (const [name, file, collateral, at] of recorded) {
  comparison(name, () => compareAppraisals(name, recordedCase(file, collateral, at)), haveVectors)
}
comparison('a simulated TDX quote', () => compareAppraisals('simulated TDX', simulatedCase()))
