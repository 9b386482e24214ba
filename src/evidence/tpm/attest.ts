import {
  constant,
  type Layout,
  mapped,
  parse,
  rest,
  sizedBytes,
  struct,
  u8,
  u16be,
  u32be,
  u64be,
} from '../../base/layout.ts'
import { type PcrSelection, pcrSelectionList } from './pcr-selection.ts'

/** TPM_GENERATED_VALUE: a restricted key signs nothing that begins with it but what its TPM made. */
export const tpmGenerated = 0xff544347
/** TPM_ST_ATTEST_QUOTE. */
export const attestQuote = 0x8018

/** TPMS_ATTEST of a quote, unverified. Names are those of TPM 2.0 Part 2, section 10.12. */
export interface TpmAttest {
  /** Qualified name of the signing key. */
  readonly qualifiedSigner: Uint8Array
  /** The qualifying data that the caller gave to TPM2_Quote. */
  readonly extraData: Uint8Array
  /** Milliseconds of the TPM's clock. */
  readonly clock: bigint
  readonly resetCount: number
  readonly restartCount: number
  /** 1: the clock did not go back since it was last read; 0: it may have. Other values are kept for the verifier. */
  readonly safe: number
  readonly firmwareVersion: bigint
  readonly pcrSelect: readonly PcrSelection[]
  readonly pcrDigest: Uint8Array
}

/** Magic and type alone: what tells a quote from the other things that a key signs. */
const headLayout = struct({ magic: u32be, type: u16be, rest })

const quoteLayout = struct({
  magic: constant(u32be, tpmGenerated),
  type: constant(u16be, attestQuote),
  qualifiedSigner: sizedBytes(u16be, { max: 68 }),
  extraData: sizedBytes(u16be, { max: 66 }),
  clock: u64be,
  resetCount: u32be,
  restartCount: u32be,
  safe: u8,
  firmwareVersion: u64be,
  pcrSelect: pcrSelectionList,
  pcrDigest: sizedBytes(u16be, { max: 64 }),
})

/** The layout of a quote's TPMS_ATTEST; writes magic and type by itself. */
export const attestLayout: Layout<TpmAttest> = mapped(
  quoteLayout,
  ({ magic: _magic, type: _type, ...attest }) => attest,
  (attest) => ({ magic: tpmGenerated, type: attestQuote, ...attest, pcrSelect: [...attest.pcrSelect] }),
)

/** Reads only magic and type of a TPMS_ATTEST of any kind. */
export function parseAttestHead(bytes: Uint8Array): { magic: number; type: number } {
  const { magic, type } = parse(headLayout, bytes, 'attest')
  return { magic, type }
}

/**
 * Parses the TPMS_ATTEST of a quote to its last byte. Nothing is verified: neither signature, nonce nor digest.
 * Throws `MalformedError` for another magic or type, a cut structure, or bytes left over.
 */
export function parseTpmAttest(bytes: Uint8Array): TpmAttest {
  return parse(attestLayout, bytes, 'attest')
}
