import { createHash, createPrivateKey, createPublicKey, type JsonWebKey, type KeyObject, verify } from 'node:crypto'
import { readdirSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { parseText, toHex } from '../../src/base/bytes.ts'
import { type Certificate, parseCertificate, parsePaddedCertificate } from '../../src/base/pki/certificate.ts'
import { commonNameOf, describeName } from '../../src/base/pki/distinguished-name.ts'
import { findPem } from '../../src/base/pki/pem.ts'
import { parseCrl } from '../../src/base/pki/revocation-list.ts'
import { hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { parseAttestHead, parseTpmAttest, type TpmAttest } from '../../src/evidence/tpm/attest.ts'
import {
  nameOf,
  parsePublic,
  publicKeyOf,
  qualifiedNameUnderHierarchy,
  qualifiedNameUnderParent,
  type TpmtPublic,
} from '../../src/evidence/tpm/public-area.ts'
import { parseTpmSignature, type TpmtSignature } from '../../src/evidence/tpm/signature.ts'
import { appraiseTpm } from '../../src/verifier/tpm/appraise-tpm.ts'
import { schemeProblem, signatureProblem } from '../../src/verifier/tpm/quote-signature.ts'
import { openCredential } from '../support/open-credential.ts'
import {
  type RecordedMachine,
  recordedEnrolment,
  recordedEvidence,
  recordedInputs,
  recordedPcrs,
} from '../support/recorded-tpm.ts'
import { haveVectors, vector, vectorJson, vectorsFolder } from '../support/vectors.ts'

/**
 * Every entry of the manifest of recorded TPM evidence has a judge, and every member of its expectations is compared by
 * it: an entry that no test reads fails here, and so does an expectation that nobody looks at.
 */

// biome-ignore lint/suspicious/noExplicitAny: the manifest is read as it is; each judge names the members it compares
type Expected = Record<string, any>

interface Entry {
  readonly file: string
  readonly sha256: string
  readonly bytes: number
  readonly expected: Expected
}

/** Compares, and gives the names of the members that it compared. */
type Judge = (entry: Entry) => readonly string[]

const manifest = haveVectors ? (vectorJson('tpm/MANIFEST.json') as Entry[]) : []
const files = new Set(manifest.map(({ file }) => file))
const machine: RecordedMachine = haveVectors ? vectorJson('tpm/sequence/sequence.json') : { aks: {}, steps: [] }
const bytesOf = (file: string) => vector(`tpm/${file}`)
const hex = (value: bigint | number) => `0x${value.toString(16)}`
const folderOf = (file: string) => file.slice(0, file.lastIndexOf('/'))

/** Other files are named from the top, or from the folder of the entry. */
function beside(entry: Entry, name: string): string {
  const near = `${folderOf(entry.file)}/${name}`
  const found = [name, near, `${near}.tpmt`].find((file) => files.has(file))
  if (found === undefined) throw new Error(`${entry.file} names ${name}, which is not in the manifest`)
  return found
}

function attestFacts(attest: TpmAttest, bytes: Uint8Array): Expected {
  const { magic, type } = parseAttestHead(bytes)
  return {
    magic: hex(magic),
    type: hex(type),
    qualifiedSigner: toHex(attest.qualifiedSigner),
    extraData: toHex(attest.extraData),
    clock: String(attest.clock),
    resetCount: attest.resetCount,
    restartCount: attest.restartCount,
    safe: attest.safe,
    firmwareVersion: hex(attest.firmwareVersion),
    select: attest.pcrSelect.map(({ hash, pcrs }) => [bankOf(hash), pcrs]),
    pcrDigest: toHex(attest.pcrDigest),
    trailing: 0,
  }
}

const bankOf = (id: number) => Object.entries(hashAlgorithms).find(([, algorithm]) => algorithm.id === id)?.[0]

/** A key of which only the public half is known, in another form than TPMT_PUBLIC; its scheme is RSASSA with SHA-256. */
function publicKeyBeside(entry: Entry): { key: KeyObject; area: TpmtPublic | null } | null {
  const { ak, akPem, akJwk } = entry.expected['with'] ?? {}
  if (ak !== undefined) {
    const area = parsePublic(bytesOf(beside(entry, ak)))
    return { area, key: publicKeyOf(area) }
  }
  if (akPem !== undefined) return { area: null, key: createPublicKey(Buffer.from(bytesOf(beside(entry, akPem)))) }
  if (akJwk === undefined) return null
  const jwk = vectorJson(`tpm/${beside(entry, akJwk)}`) as JsonWebKey
  return { area: null, key: createPublicKey({ key: jwk, format: 'jwk' }) }
}

function isSigned(entry: Entry): boolean {
  const found = publicKeyBeside(entry)
  if (found === null) throw new Error(`${entry.file} expects a signature and names no key`)
  const message = bytesOf(entry.file)
  const { signature, rawSignature } = entry.expected['with']
  if (rawSignature !== undefined) return verify('sha256', message, found.key, bytesOf(beside(entry, rawSignature)))
  const parsed = parseTpmSignature(bytesOf(beside(entry, signature)))
  const { area, key } = found
  if (area === null) return parsed.algorithm === 'rsassa' && verify(parsed.hash, message, key, parsed.signature)
  const { scheme } = area
  if (scheme.algorithm === 'null' || !('hash' in scheme)) throw new Error(`${entry.file}: a key without a scheme`)
  const bound = scheme as Parameters<typeof schemeProblem>[1]
  return (
    schemeProblem(parsed, bound) === null && signatureProblem({ area, key, scheme: bound }, message, parsed) === null
  )
}

/** The digest over the values beside the quote, by the hash of the signing scheme. */
function digestFits(entry: Entry, attest: TpmAttest): boolean {
  const values = recordedPcrs(beside(entry, entry.expected['with'].pcrs))
  const hash = attest.pcrDigest.length === 48 ? 'sha384' : 'sha256'
  const digest = createHash(hash)
  for (const { hash: bank, pcrs } of attest.pcrSelect) {
    const of = values.get(bankOf(bank) as 'sha256')
    for (const pcr of pcrs) digest.update(of?.get(pcr) ?? new Uint8Array())
  }
  return digest.digest('hex') === toHex(attest.pcrDigest)
}

/** Where the key hangs: the recorded EK, or the endorsement hierarchy. */
function parentOf(entry: Entry): Parameters<typeof recordedEnrolment>[1] {
  const parent = entry.expected['qualifiedSignerProof']?.parent
  return parent === undefined ? { under: 'hierarchy', hierarchy: 'endorsement' } : beside(entry, parent)
}

function affirms(entry: Entry, minimumLength?: number): boolean {
  const { ak, signature, pcrs, eventLog, ima } = entry.expected['with']
  const parts = {
    ...{ ak: beside(entry, ak), attest: entry.file, signature: beside(entry, signature), pcrs: beside(entry, pcrs) },
    ...(eventLog === undefined ? {} : { eventLog: beside(entry, eventLog) }),
    ...(ima === undefined ? {} : { ima: beside(entry, ima) }),
  }
  const logs = { eventLog: 'required', ima: ima === undefined ? 'optional' : 'required' } as const
  const { extraData: nonce, select } = entry.expected['attest']
  const inputs = recordedInputs({ nonce, select }, recordedEnrolment(parts.ak, parentOf(entry)), logs)
  const expected = { ...inputs.expected, ...(minimumLength === undefined ? {} : { minimumLength }) }
  return appraiseTpm(recordedEvidence(parts), { ...inputs, expected }).affirmed
}

function judgeVerdict(entry: Entry, verdict: string): void {
  if (entry.expected['with']?.ak === undefined) {
    // Whose key is not known as a TPM shows it is refused in any case; why is said by the other members.
    expect(verdict).toMatch(/^reject/)
  } else if (verdict.startsWith('accept only when')) {
    expect([affirms(entry), affirms(entry, 2)]).toEqual([false, true])
  } else expect(affirms(entry)).toBe(verdict.startsWith('accept'))
}

const judgeAttest: Judge = (entry) => {
  const bytes = bytesOf(entry.file)
  const attest = parseTpmAttest(bytes)
  const { attest: facts, signature, pcrDigest, nonceHex, verdict, qualifiedSignerProof } = entry.expected
  expect(attestFacts(attest, bytes)).toEqual(facts)
  if (signature !== undefined) expect(isSigned(entry)).toBe(signature === 'valid')
  if (pcrDigest !== undefined) expect(digestFits(entry, attest)).toBe(pcrDigest === 'match')
  if (nonceHex !== undefined) expect(toHex(attest.extraData)).toBe(nonceHex)
  if (verdict !== undefined) judgeVerdict(entry, verdict)
  if (qualifiedSignerProof !== undefined) {
    const ek = parsePublic(bytesOf(beside(entry, qualifiedSignerProof.parent)))
    const ak = parsePublic(bytesOf(beside(entry, entry.expected['with'].ak)))
    const qualified = qualifiedNameUnderParent(qualifiedNameUnderHierarchy(nameOf(ek), 'endorsement'), nameOf(ak))
    expect(toHex(qualified)).toBe(qualifiedSignerProof.qualifiedName)
    expect(toHex(attest.qualifiedSigner)).toBe(qualifiedSignerProof.qualifiedName)
  }
  return ['attest', 'signature', 'pcrDigest', 'nonceHex', 'verdict', 'qualifiedSignerProof', 'with']
}

const sigAlgs: Readonly<Record<TpmtSignature['algorithm'], number>> = {
  rsassa: 0x14,
  rsapss: 0x16,
  ecdsa: 0x18,
  sm2: 0x1b,
}

const judgeSignature: Judge = ({ file, expected: { sigAlg, hashAlg } }) => {
  const signature = parseTpmSignature(bytesOf(file))
  if (sigAlg !== undefined) expect(hex(sigAlgs[signature.algorithm])).toBe(sigAlg)
  if (hashAlg !== undefined) expect(hex(hashAlgorithms[signature.hash].id)).toBe(hashAlg)
  return ['sigAlg', 'hashAlg']
}

const judgeRawSignature: Judge = ({ file }) => {
  expect(manifest.filter(({ expected }) => expected['with']?.rawSignature === file)).toHaveLength(1)
  return []
}

const judgePcrs: Judge = ({ file }) => {
  for (const [bank, values] of recordedPcrs(file)) {
    for (const value of values.values()) expect(value.length).toBe(hashAlgorithms[bank].size)
  }
  expect(files).toContain(file.replace(/\.pcrs\.json$/, '.attest'))
  return []
}

/** Name of the parent of a recorded AK; null for an EK. */
function parentName(file: string): Uint8Array | null {
  const known = Object.values(machine.aks).find((ak) => `sequence/${ak.file}` === file)
  const parent = file === 'guest/ak.tpmt' ? 'guest/ek.tpmt' : known && `sequence/${known.parent}.tpmt`
  return parent === undefined ? null : nameOf(parsePublic(bytesOf(parent)))
}

const judgePublic: Judge = ({ file, expected: { name, qualifiedName, attributes, scheme, schemeHash } }) => {
  const area = parsePublic(bytesOf(file))
  const parent = parentName(file)
  const qualified =
    parent === null
      ? qualifiedNameUnderHierarchy(nameOf(area), 'endorsement')
      : qualifiedNameUnderParent(qualifiedNameUnderHierarchy(parent, 'endorsement'), nameOf(area))
  expect(toHex(nameOf(area))).toBe(name)
  if (qualifiedName !== undefined) expect(toHex(qualified)).toBe(qualifiedName)
  if (attributes !== undefined) expect(hex(area.attributes)).toBe(attributes)
  if (scheme !== undefined) expect(area.scheme).toMatchObject({ algorithm: scheme, hash: schemeHash })
  return ['name', 'qualifiedName', 'attributes', 'scheme', 'schemeHash']
}

function certificateOf(file: string): Certificate {
  const bytes = bytesOf(file)
  return parsePaddedCertificate(
    bytes[0] === 0x30 ? bytes : findPem(Buffer.from(bytes).toString('latin1'), 'CERTIFICATE'),
  )
}

const plainName = (text: string) => text.replaceAll('\\', '')

/** What a certificate says, under the names of the manifest. */
function certificateFacts(file: string): Expected {
  const certificate = certificateOf(file)
  const { extensions, subjectKeyId, der } = certificate
  const ski = toHex(subjectKeyId ?? new Uint8Array())
  const ak = `${folderOf(file)}/ak.tpmt`
  return {
    subject: plainName(describeName(certificate.subject)),
    issuer: plainName(describeName(certificate.issuer)),
    sha256Fingerprint: certificate.fingerprint,
    spkiSha256: createHash('sha256').update(certificate.publicKey).digest('hex'),
    notAfter: new Date(certificate.notAfter).toISOString(),
    criticalExtensions: [...extensions].flatMap(([id, { critical }]) => (critical ? [id] : [])).sort(),
    eku: certificate.extendedKeyUsage ?? [],
    subjectCn: commonNameOf(certificate.subject),
    derBytes: der.length,
    paddingBytes: bytesOf(file)[0] === 0x30 ? bytesOf(file).length - der.length : 0,
    ski,
    keyid: ski.slice(-8),
    file: file.slice(file.lastIndexOf('/') + 1),
    publicKeyEqualsAk:
      files.has(ak) &&
      publicKeyOf(parsePublic(bytesOf(ak))).equals(
        createPublicKey({ key: Buffer.from(certificate.publicKey), format: 'der', type: 'spki' }),
      ),
  }
}

/** The chain, link by link, by the library below ours; our own verdict is that of enrolment. */
function chainHolds(entry: Entry, names: readonly string[]): void {
  const chain = [entry.file, ...names.map((name) => beside(entry, name))].map(certificateOf)
  for (const [index, certificate] of chain.entries()) {
    const issuer = chain[index + 1] ?? certificate
    expect(toHex(certificate.issuer.der)).toBe(toHex(issuer.subject.der))
  }
}

interface PkiCase {
  readonly id: string
  readonly leaf: string
  readonly expect: string
  readonly chain: readonly string[]
  readonly pinnedRoots: readonly string[]
  readonly crls: readonly string[]
}
const cases = haveVectors ? (vectorJson('tpm/pki/cases.json') as PkiCase[]) : []

const judgeCertificate: Judge = (entry) => {
  const { chain, case: id, verdict, ...facts } = entry.expected
  const found = certificateFacts(entry.file)
  for (const [name, value] of Object.entries(facts)) {
    const wanted = name === 'subject' || name === 'issuer' ? plainName(value) : value
    expect([name, found[name]]).toEqual([name, Array.isArray(wanted) ? [...wanted].sort() : wanted])
  }
  if (chain !== undefined) chainHolds(entry, chain)
  if (id !== undefined) {
    const recorded = cases.find((one) => one.id === id)
    expect([`pki/${recorded?.leaf}`, recorded?.expect]).toEqual([entry.file, verdict])
  } else if (verdict !== undefined) expect(verdict).toBe('accept when ek-ca-root.pem is pinned')
  return [...Object.keys(found), 'chain', 'case', 'verdict']
}

const judgeCrl: Judge = ({ file }) => {
  const issuers = ['pki/root.pem', 'pki/intermediate.pem'].map((name) => toHex(certificateOf(name).subject.der))
  expect(issuers).toContain(toHex(parseCrl(bytesOf(file)).issuer.der))
  return []
}

const judgePublicKey: Judge = ({ file }) => {
  const bytes = Buffer.from(bytesOf(file))
  if (file.endsWith('.pem')) expect(createPublicKey(bytes).type).toBe('public')
  else if (file.endsWith('.json')) expect(vectorJson(`tpm/${file}`)).toMatchObject({ kty: 'RSA' })
  else {
    const leaf = parseCertificate(bytesOf(file.replace('.ekpub.', '.leaf.')))
    expect(toHex(bytesOf(file))).toBe(toHex(leaf.publicKey))
  }
  return []
}

const judgeCases: Judge = (entry) => {
  const named = cases.flatMap(({ leaf, chain, pinnedRoots, crls }) => [leaf, ...chain, ...pinnedRoots, ...crls])
  for (const name of named) expect(files).toContain(beside(entry, name))
  expect(cases).toHaveLength(9)
  return []
}

const judgeSequence: Judge = (entry) => {
  for (const { id, ak, ima } of machine.steps) {
    expect(files).toContain(`sequence/${id}.attest`)
    expect(files).toContain(beside(entry, machine.aks[ak]?.file ?? ''))
    expect(files).toContain(beside(entry, ima.file))
  }
  expect(machine.steps).toHaveLength(9)
  expect(Object.keys(machine.aks)).toHaveLength(4)
  return []
}

interface KnownAnswer {
  readonly ekPublic: string
  readonly ekPrivatePem: string
  readonly akName: string
  readonly secret: string
  readonly idObject: string
  readonly encryptedSecret: string
}

const judgeCredentials: Judge = ({ file }) => {
  const answers = vectorJson(`tpm/${file}`) as KnownAnswer[]
  expect(answers).toHaveLength(6)
  for (const { ekPublic, ekPrivatePem, akName, secret, idObject, encryptedSecret } of answers) {
    const blob = { idObject: parseText(idObject, 'hex', ''), encryptedSecret: parseText(encryptedSecret, 'hex', '') }
    const ek = parsePublic(new Uint8Array(Buffer.from(ekPublic, 'base64')))
    const open = (name: string) => openCredential(ek, createPrivateKey(ekPrivatePem), parseText(name, 'hex', ''), blob)
    expect(toHex(open(akName))).toBe(secret)
    expect(() => open(akName.replace(/.$/, (digit) => (digit === '0' ? '1' : '0')))).toThrow()
  }
  return ['opens']
}

/** Logs are judged by tests of their own, which take them out of the same manifest. */
function readBy(pattern: RegExp): Judge {
  return ({ file, expected }) => {
    const readers = testTexts.filter((text) => pattern.test(text))
    expect(readers.length, `tests that read ${file}`).toBeGreaterThan(0)
    return Object.keys(expected)
  }
}

const filesBelow = (folder: string): string[] =>
  readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((found) => found.isFile())
    .map((found) => join(found.parentPath, found.name))

const testTexts = ['src', 'test']
  .flatMap((folder) => filesBelow(join(import.meta.dirname, '../..', folder)))
  .filter((path) => path.endsWith('.test.ts') && !path.endsWith('recorded-manifest.test.ts'))
  .map((path) => readFileSync(path, 'utf8'))

const judges: readonly (readonly [RegExp, Judge])[] = [
  [/^eventlogs\/|\/eventlog\.bin$/, readBy(/tpm\/MANIFEST\.json[\s\S]*'eventlogs\//)],
  [/ima[^/]*\.bin$|^ima\/.*\.bin$/, readBy(/tpm\/MANIFEST\.json[\s\S]*ima\.\*/)],
  [/\.ascii$/, readBy(/\.ascii/)],
  [/\.attest$/, judgeAttest],
  [/\.sig$/, judgeSignature],
  [/\.rawsig$/, judgeRawSignature],
  [/\.pcrs\.json$/, judgePcrs],
  [/\.tpmt$/, judgePublic],
  [/\.ekpub\.der$|\.akjwk\.json$|\/ak\.pem$/, judgePublicKey],
  [/crl\.[a-z]+\.der$/, judgeCrl],
  [/\.(?:pem|der|crt|cer)$/, judgeCertificate],
  [/\/cases\.json$/, judgeCases],
  [/\/sequence\.json$/, judgeSequence],
  [/\/makecredential\.json$/, judgeCredentials],
]

describe.skipIf(!haveVectors)('the manifest of recorded TPM evidence', () => {
  it.each(manifest)('$file is what it was, has a judge, and nothing expected of it goes unread', (entry) => {
    const bytes = bytesOf(entry.file)
    expect([bytes.length, createHash('sha256').update(bytes).digest('hex')]).toEqual([entry.bytes, entry.sha256])
    const judge = judges.find(([pattern]) => pattern.test(entry.file))?.[1]
    if (judge === undefined) throw new Error(`no judge for ${entry.file}`)
    const compared = new Set(judge(entry))
    expect(Object.keys(entry.expected).filter((member) => !compared.has(member))).toEqual([])
  })

  it('lists every file that lies beside it', () => {
    const top = join(vectorsFolder, 'tpm/')
    const lying = filesBelow(top).map((path) => path.slice(top.length))
    expect(lying.filter((file) => file !== 'MANIFEST.json' && !files.has(file))).toEqual([])
  })
})
