import fc from 'fast-check'
import { hashAlgorithms, hashNames } from '../../src/evidence/tpm/algorithms.ts'
import type { AnyTpmCommand } from '../../src/evidence/tpm/command-codec.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { curves } from '../../src/evidence/tpm/public-area.ts'

/** Values of every structure of the TPM codecs, for properties and for the comparison with another implementation. */

const u8 = fc.integer({ min: 0, max: 0xff })
const u16 = fc.integer({ min: 0, max: 0xffff })
const u32 = fc.integer({ min: 0, max: 0xffffffff })
const u64 = fc.bigInt({ min: 0n, max: (1n << 64n) - 1n })
const bytes = (maxLength: number) => fc.uint8Array({ maxLength, size: 'max' })
/** Mostly short, because long ones cost time and find nothing more. */
const buffer = (maxLength: number) =>
  fc.oneof({ weight: 4, arbitrary: bytes(64) }, { weight: 1, arbitrary: bytes(maxLength) })
const hash = fc.constantFrom(...hashNames)
const hashed = fc.record({ hash })
const nothing = fc.constant({})

const taggedBy = (member: string, cases: Readonly<Record<string, fc.Arbitrary<object>>>) =>
  fc.oneof(
    ...Object.entries(cases).map(([name, value]) => value.map((fields): object => ({ [member]: name, ...fields }))),
  )

const pcrSelection = fc.array(
  fc.record({
    hash: hash.map((name) => hashAlgorithms[name].id as number),
    pcrs: fc.uniqueArray(fc.integer({ min: 0, max: 23 })).map((pcrs) => pcrs.sort((a, b) => a - b)),
  }),
  { maxLength: 16 },
)
const digest = bytes(64)
const name = bytes(68)
const digestList = fc.array(digest, { maxLength: 8 })
const tagged = hash.chain((named) =>
  fc.record({
    hash: fc.constant(named),
    digest: fc.uint8Array({ minLength: hashAlgorithms[named].size, maxLength: hashAlgorithms[named].size }),
  }),
)

const symmetric = taggedBy('algorithm', { aes: fc.record({ keyBits: u16, mode: u16 }), null: nothing })
/** Without KDF2, which libtss2-mu does not know. */
const kdf = taggedBy('algorithm', {
  mgf1: hashed,
  kdf1Sp800_56a: hashed,
  kdf1Sp800_108: hashed,
  null: nothing,
})
const head = { nameAlg: hash, attributes: u32, authPolicy: digest, symmetric }
const publicArea = taggedBy('type', {
  rsa: fc.record({
    ...head,
    scheme: taggedBy('algorithm', { rsassa: hashed, rsapss: hashed, oaep: hashed, rsaes: nothing, null: nothing }),
    keyBits: u16,
    exponent: u32,
    modulus: buffer(512),
  }),
  ecc: fc.record({
    ...head,
    scheme: taggedBy('algorithm', {
      ecdsa: hashed,
      ecdh: hashed,
      ecdaa: fc.record({ hash, count: u16 }),
      sm2: hashed,
      ecschnorr: hashed,
      null: nothing,
    }),
    curve: fc.constantFrom(...Object.keys(curves)),
    kdf,
    x: bytes(66),
    y: bytes(66),
  }),
})
const rsaSignature = fc.record({ hash, signature: buffer(512) })
const eccSignature = fc.record({ hash, r: bytes(66), s: bytes(66) })
const ticketOf = (tag: number) => fc.record({ tag: fc.constant(tag), hierarchy: u32, digest })

export const tpmStructures = {
  publicArea,
  pcrSelection,
  digestList,
  tagged: fc.array(tagged, { maxLength: 16 }),
  sensitive: fc.record({ userAuth: digest, data: bytes(256) }),
  data: bytes(64),
  attestBuffer: buffer(2304),
  signatureScheme: taggedBy('algorithm', { rsassa: hashed, rsapss: hashed, ecdsa: hashed, null: nothing }),
  signature: taggedBy('algorithm', {
    rsassa: rsaSignature,
    rsapss: rsaSignature,
    ecdsa: eccSignature,
    sm2: eccSignature,
  }),
  idObject: bytes(132),
  encryptedSecret: buffer(512),
  nvPublic: fc.record({ index: u32, nameAlg: hash, attributes: u32, authPolicy: digest, dataSize: u16 }),
  privateArea: buffer(1550),
  creationData: fc.record({
    pcrSelect: pcrSelection,
    pcrDigest: digest,
    locality: u8,
    parentNameAlg: hash.map((named) => hashAlgorithms[named].id as number),
    parentName: name,
    parentQualifiedName: name,
    outsideInfo: bytes(64),
  }),
  creationTicket: ticketOf(0x8021),
  capability: taggedBy('capability', {
    handles: fc.record({ handles: fc.array(u32, { maxLength: 254 }) }),
    pcrs: fc.record({ banks: pcrSelection }),
    properties: fc.record({ properties: fc.array(fc.record({ property: u32, value: u32 }), { maxLength: 127 }) }),
  }),
  context: fc.record({ sequence: u64, savedHandle: u32, hierarchy: u32, blob: buffer(4096) }),
  attest: fc.record({
    qualifiedSigner: name,
    extraData: bytes(64),
    clock: u64,
    resetCount: u32,
    restartCount: u32,
    safe: u8,
    firmwareVersion: u64,
    pcrSelect: pcrSelection,
    pcrDigest: digest,
  }),
  commandSession: fc.record({ handle: u32, nonce: digest, attributes: u8, hmac: digest }),
  responseSession: fc.record({ nonce: digest, attributes: u8, hmac: digest }),
}

const s = tpmStructures
const createParameters = { sensitive: s.sensitive, publicArea, outsideInfo: s.data, creationPcrs: pcrSelection }
const created = { publicArea, creationData: s.creationData, creationHash: digest, ticket: s.creationTicket }

interface CommandValues {
  readonly command: AnyTpmCommand
  readonly request: fc.Arbitrary<object>
  readonly response: fc.Arbitrary<object>
}

const values = (
  command: AnyTpmCommand,
  request: Readonly<Record<string, fc.Arbitrary<unknown>>>,
  response: Readonly<Record<string, fc.Arbitrary<unknown>>>,
): CommandValues => ({ command, request: fc.record(request), response: fc.record(response) })

/** Every declared command with values for its request and its response. */
export const tpmCommandValues: readonly CommandValues[] = [
  values(tpm2.startup, { startupType: u16 }, {}),
  values(tpm2.shutdown, { shutdownType: u16 }, {}),
  values(
    tpm2.getCapability,
    { capability: u32, property: u32, count: u32 },
    { moreData: fc.boolean(), data: s.capability },
  ),
  values(tpm2.getRandom, { bytes: u16 }, { randomBytes: digest }),
  values(
    tpm2.pcrRead,
    { selection: pcrSelection },
    { updateCounter: u32, selection: pcrSelection, values: digestList },
  ),
  values(tpm2.pcrExtend, { pcr: u32, digests: s.tagged }, {}),
  values(tpm2.pcrReset, { pcr: u32 }, {}),
  values(tpm2.createPrimary, { hierarchy: u32, ...createParameters }, { object: u32, ...created, name }),
  values(tpm2.create, { parent: u32, ...createParameters }, { privateArea: s.privateArea, ...created }),
  values(tpm2.load, { parent: u32, privateArea: s.privateArea, publicArea }, { object: u32, name }),
  values(tpm2.readPublic, { object: u32 }, { publicArea, name, qualifiedName: name }),
  values(
    tpm2.quote,
    { key: u32, qualifyingData: s.data, scheme: s.signatureScheme, selection: pcrSelection },
    { attest: s.attestBuffer, signature: s.signature },
  ),
  values(
    tpm2.startAuthSession,
    {
      tpmKey: u32,
      bind: u32,
      nonceCaller: digest,
      encryptedSalt: s.encryptedSecret,
      sessionType: u8,
      symmetric: fc.constant(0x10),
      authHash: hash,
    },
    { session: u32, nonceTpm: digest },
  ),
  values(
    tpm2.policySecret,
    {
      authority: u32,
      policySession: u32,
      nonceTpm: digest,
      cpHash: digest,
      policyRef: digest,
      expiration: fc.constant(0),
    },
    { timeout: bytes(8), ticket: ticketOf(0x8023) },
  ),
  values(tpm2.policyOr, { policySession: u32, branches: digestList }, {}),
  values(tpm2.policyGetDigest, { policySession: u32 }, { digest }),
  values(
    tpm2.activateCredential,
    { activated: u32, key: u32, idObject: s.idObject, encryptedSecret: s.encryptedSecret },
    { secret: digest },
  ),
  values(
    tpm2.makeCredential,
    { key: u32, secret: digest, objectName: name },
    { idObject: s.idObject, encryptedSecret: s.encryptedSecret },
  ),
  values(tpm2.nvReadPublic, { index: u32 }, { nvPublic: s.nvPublic, name }),
  values(tpm2.nvRead, { authority: u32, index: u32, size: u16, offset: u16 }, { data: buffer(4096) }),
  values(tpm2.evictControl, { authority: u32, object: u32, persistentHandle: u32 }, {}),
  values(tpm2.flushContext, { flushed: u32 }, {}),
  values(tpm2.contextSave, { saved: u32 }, { context: s.context }),
  values(tpm2.contextLoad, { context: s.context }, { object: u32 }),
]
