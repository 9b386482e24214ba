import {
  constant,
  type Layout,
  listOf,
  mapped,
  nothing,
  sized,
  sizedBytes,
  struct,
  type TypeOf,
  tagged,
  u8,
  u16be,
  u32be,
  u64be,
} from '../../base/layout.ts'
import { hashAlgorithms, hashField } from './algorithms.ts'
import { pcrSelectionList } from './pcr-selection.ts'

/**
 * Structures that only commands and their responses carry (TPM 2.0 Part 2); big endian. Counts and lengths are
 * capped before anything is allocated, because the device at the other end may lie (NAT-25, NAT-52).
 */

/** TPM2B of any kind. */
export const sizedBuffer = sizedBytes(u16be, { max: 4096 })
/** TPM2B_DIGEST, TPM2B_NONCE, TPM2B_AUTH: at most a SHA-512 digest. */
export const digestBuffer = sizedBytes(u16be, { max: 64 })
/** TPM2B_NAME: an algorithm and a digest, or a handle. */
export const nameBuffer = sizedBytes(u16be, { max: 68 })
/** TPM2B_DATA: qualifying data or outside information, at most an algorithm and a digest. */
export const dataBuffer = sizedBytes(u16be, { max: 66 })
/** TPM2B_ATTEST, unparsed: these bytes are what is signed. */
export const attestBuffer = sizedBytes(u16be, { max: 2304 })
/** TPM2B_PRIVATE: opaque, encrypted for its parent. */
export const privateBuffer = sizedBytes(u16be, { max: 1550 })
/** TPM2B_ID_OBJECT without parsing: 2B HMAC and the encrypted credential. */
export const idObjectBuffer = sizedBytes(u16be, { max: 132 })
/** TPM2B_ENCRYPTED_SECRET: RSA-OAEP output, or an ephemeral point as two TPM2B. */
export const encryptedSecretBuffer = sizedBytes(u16be, { max: 512 })

/** TPML_DIGEST: at most eight. */
export const digestList = listOf(u32be, digestBuffer, { max: 8 })

/** TPML_HANDLE, within NAT-52. */
const handleList = listOf(u32be, u32be, { max: 1000 })

const taggedDigest = tagged('hash', u16be, {
  sha1: [hashAlgorithms.sha1.id, struct({ digest: exactly(hashAlgorithms.sha1.size) })],
  sha256: [hashAlgorithms.sha256.id, struct({ digest: exactly(hashAlgorithms.sha256.size) })],
  sha384: [hashAlgorithms.sha384.id, struct({ digest: exactly(hashAlgorithms.sha384.size) })],
  sha512: [hashAlgorithms.sha512.id, struct({ digest: exactly(hashAlgorithms.sha512.size) })],
})

function exactly(size: number): Layout<Uint8Array> {
  return {
    read: (reader) => reader.bytes(size),
    write: (writer, value) => {
      if (value.length !== size) throw writer.misfit(`takes ${size} bytes, got ${value.length}`)
      writer.bytes(value)
    },
  }
}

/** TPML_DIGEST_VALUES: one digest a bank. */
export const digestValues = listOf(u32be, taggedDigest, { max: 16 })
export type TaggedDigest = TypeOf<typeof taggedDigest>

/** TPM2B_SENSITIVE_CREATE: password and sealed data of the object to be created. */
export const sensitiveCreate = sized(u16be, struct({ userAuth: digestBuffer, data: sizedBytes(u16be, { max: 256 }) }))

/** TPM2B_CREATION_DATA. `parentNameAlg` is TPM_ALG_NULL for primary keys. */
export const creationData = sized(
  u16be,
  struct({
    pcrSelect: pcrSelectionList,
    pcrDigest: digestBuffer,
    locality: u8,
    parentNameAlg: u16be,
    parentName: nameBuffer,
    parentQualifiedName: nameBuffer,
    outsideInfo: dataBuffer,
  }),
  { max: 4096 },
)

function ticket(tag: number) {
  return struct({ tag: constant(u16be, tag), hierarchy: u32be, digest: digestBuffer })
}
/** TPMT_TK_CREATION. */
export const creationTicket = ticket(0x8021)
/** TPMT_TK_AUTH as TPM2_PolicySecret makes it. */
export const secretTicket = ticket(0x8023)

/** TPMS_NV_PUBLIC: its digest under nameAlg is the Name of the index. */
export const nvPublicLayout = struct({
  index: u32be,
  nameAlg: hashField,
  attributes: u32be,
  authPolicy: digestBuffer,
  dataSize: u16be,
})
export type NvPublic = TypeOf<typeof nvPublicLayout>
/** TPM2B_NV_PUBLIC. */
export const sizedNvPublic = sized(u16be, nvPublicLayout)

/** TPMS_CONTEXT: a saved object; good until the next TPM Reset. */
export const contextLayout = struct({ sequence: u64be, savedHandle: u32be, hierarchy: u32be, blob: sizedBuffer })
export type TpmContext = TypeOf<typeof contextLayout>

/** TPMT_SIG_SCHEME; `null` takes the scheme of the key. */
export const signatureScheme = tagged('algorithm', u16be, {
  rsassa: [0x0014, struct({ hash: hashField })],
  rsapss: [0x0016, struct({ hash: hashField })],
  ecdsa: [0x0018, struct({ hash: hashField })],
  null: [0x0010, nothing],
})

/** TPMI_YES_NO. */
export const yesNo: Layout<boolean> = mapped(
  u8,
  (value, refuse) => {
    if (value > 1) throw refuse(`is ${value}, must be 0 or 1`)
    return value === 1
  },
  (value) => (value ? 1 : 0),
)

/** TPMS_CAPABILITY_DATA for what this project asks: handles, PCR banks, properties. */
export const capabilityData = tagged('capability', u32be, {
  handles: [1, struct({ handles: handleList })],
  pcrs: [5, struct({ banks: pcrSelectionList })],
  properties: [6, struct({ properties: listOf(u32be, struct({ property: u32be, value: u32be }), { max: 1000 }) })],
})

/** TPM_CAP. */
export const capabilities = { handles: 1, pcrs: 5, properties: 6 } as const

/** TPM_PT: properties of the TPM (Part 2, section 6.13). */
export const tpmProperties = {
  manufacturer: 0x105,
  transientSlots: 0x10e,
  maxNvBuffer: 0x12c,
  lockoutCounter: 0x20e,
  maxAuthFail: 0x20f,
  lockoutInterval: 0x210,
  lockoutRecovery: 0x211,
} as const

/** First handle of each range (Part 2, section 7.2); the first byte tells the kind. */
export const handleRanges = {
  nvIndex: 0x01000000,
  loadedSession: 0x02000000,
  savedSession: 0x03000000,
  transient: 0x80000000,
  persistent: 0x81000000,
} as const
