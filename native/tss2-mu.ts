import { type NativeFunction, openLibrary } from './ffi.ts'

/**
 * libtss2-mu: another implementation of the TPM's structures, against which tests hold ours (NAT 3.8). Tests
 * only: the agent parses what a host controls in TypeScript, never in C.
 */

/** `sizeof` of the C structures on LP64; the same in tpm2-tss 2.0.0 to 4.2.0 for all that the agent exchanges. */
export const muStructures = {
  TPM2B_PUBLIC: 616,
  TPM2B_SENSITIVE_CREATE: 326,
  TPM2B_DATA: 66,
  TPML_PCR_SELECTION: 132,
  TPMT_SIG_SCHEME: 6,
  TPM2B_ATTEST: 2306,
  TPMT_SIGNATURE: 518,
  TPML_DIGEST: 532,
  TPM2B_ID_OBJECT: 134,
  TPM2B_ENCRYPTED_SECRET: 514,
  TPM2B_NV_PUBLIC: 84,
  TPM2B_PRIVATE: 1552,
  TPM2B_CREATION_DATA: 412,
  TPMT_TK_CREATION: 76,
  TPMS_CAPABILITY_DATA: 1032,
  TPMT_PUBLIC: 612,
  TPMS_ATTEST: 2304,
  TPML_DIGEST_VALUES: 1060,
  TPMS_CONTEXT: 5208,
  TPMS_AUTH_COMMAND: 140,
  TPMS_AUTH_RESPONSE: 134,
} as const

export type MuStructure = keyof typeof muStructures

/**
 * What the library made of wire bytes: its code, how many it consumed, and its own bytes for the same value;
 * null where it read a value that it does not write.
 */
export type MuAnswer =
  | { readonly accepted: true; readonly consumed: number; readonly marshalled: Uint8Array | null }
  | { readonly accepted: false; readonly code: number }

/** Canary behind every destination: C writes as many bytes as its type has, whatever we think (NAT-06). */
const canarySize = 64
const canary = 0xa5

type Read = NativeFunction<['buffer', 'size', 'buffer', 'buffer'], 'u32'>
type Write = NativeFunction<['buffer', 'buffer', 'size', 'buffer'], 'u32'>

export interface MuLibrary {
  /** Unmarshals `wire` as `structure` and marshals the result again. Empty input is not possible here. */
  convert(structure: MuStructure, wire: Uint8Array): MuAnswer
}

function marshal(write: Write, value: Uint8Array): Uint8Array | null {
  const wire = Buffer.alloc(8192)
  const offset = Buffer.alloc(8)
  const code = write(value, wire, wire.length, offset)
  if (code !== 0) return null
  return new Uint8Array(wire.subarray(0, Number(offset.readBigUInt64LE(0))))
}

function convert(read: Read, write: Write, size: number, wire: Uint8Array): MuAnswer {
  const value = Buffer.alloc(size + canarySize)
  value.fill(canary, size)
  const offset = Buffer.alloc(8)
  const code = read(wire, wire.length, offset, value)
  if (!value.subarray(size).every((byte) => byte === canary)) throw new Error('libtss2-mu wrote past its structure')
  if (code !== 0) return { accepted: false, code }
  return { accepted: true, consumed: Number(offset.readBigUInt64LE(0)), marshalled: marshal(write, value) }
}

/**
 * Opens libtss2-mu; throws `NATIVE_LIBRARY_MISSING` where it is not installed. Functions are bound when first used.
 * The library would print a line for every refusal: an operator's setting of `TSS2_LOG` is kept.
 */
export function openMuLibrary(): MuLibrary {
  process.env['TSS2_LOG'] ??= 'all+NONE'
  const library = openLibrary('libtss2-mu.so.0')
  const bound = new Map<MuStructure, readonly [Read, Write]>()
  const functionsFor = (structure: MuStructure): readonly [Read, Write] => {
    const known = bound.get(structure)
    if (known) return known
    const functions = [
      library.bind(`Tss2_MU_${structure}_Unmarshal`, 'u32', ['buffer', 'size', 'buffer', 'buffer']),
      library.bind(`Tss2_MU_${structure}_Marshal`, 'u32', ['buffer', 'buffer', 'size', 'buffer']),
    ] as const
    bound.set(structure, functions)
    return functions
  }
  return {
    convert: (structure, wire) => convert(...functionsFor(structure), muStructures[structure], wire),
  }
}
