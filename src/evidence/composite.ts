import { parseText, toBase64 } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject } from '../base/json.ts'
import type { DeviceEvidence } from './binding.ts'
import type { TdxEvidence } from './tdx/evidence.ts'
import { encodeTdxEvidence, parseTdxEvidence } from './tdx/evidence-json.ts'
import type { TpmEvidence } from './tpm/evidence.ts'
import { encodeTpmEvidence, parseTpmEvidence } from './tpm/evidence-json.ts'

/** TPM evidence beside a TD quote. */
export interface TpmPart {
  readonly evidence: TpmEvidence
  /**
   * UTF-8 JSON of the container, exactly the bytes that travel: the TD quote covers their digest (BRK-92). Null where there
   * is no TD quote.
   */
  readonly container: Uint8Array | null
}

/** What one guest says, unverified; at least one part is there. */
export interface GuestEvidence {
  readonly tdx: TdxEvidence | null
  readonly tpm: TpmPart | null
}

export const compositeFormat = 'attestd.composite'
const compositeVersion = 1
const mebibyte = 1024 * 1024

/** Bytes of a TPM container inside of a composite; its base64 fits into a document of 32 MiB (SVC-40). */
export const largestTpmContainer = 20 * mebibyte

/** Fixes the bytes of the container: from here on they are what is digested, and what is sent. */
export function tpmPartOf(evidence: TpmEvidence): TpmPart & { readonly container: Uint8Array } {
  return { evidence, container: new TextEncoder().encode(JSON.stringify(encodeTpmEvidence(evidence))) }
}

/** The devices of BRK-92 beside the TD, for `digestDevices`. A part whose bytes were never fixed is covered by nothing. */
export function devicesOf({ tpm }: GuestEvidence): readonly DeviceEvidence[] {
  return tpm === null || tpm.container === null ? [] : [{ kind: 'tpm', index: 0, evidence: tpm.container }]
}

/** Writes a composite of a TD and a TPM; the TPM's container travels as base64, so that its bytes arrive as they were. */
export function encodeComposite(tdx: TdxEvidence, tpm: { readonly container: Uint8Array }): JsonObject {
  return {
    format: compositeFormat,
    version: compositeVersion,
    tdx: encodeTdxEvidence(tdx),
    tpm: toBase64(tpm.container),
  }
}

function requireShape(document: JsonObject): { tdx: JsonObject; tpm: string } {
  const refuse = (member: string, problem: string) => new MalformedError({ path: `evidence.${member}` }, problem)
  const known = new Set(['format', 'version', 'tdx', 'tpm'])
  const unknown = Object.keys(document).find((name) => !known.has(name))
  if (unknown !== undefined) throw refuse(JSON.stringify(unknown.slice(0, 64)), 'is not a member of a composite')
  const { format, version, tdx, tpm } = document
  if (format !== compositeFormat) throw refuse('format', `must be "${compositeFormat}"`)
  if (version !== compositeVersion) throw refuse('version', `must be ${compositeVersion}`)
  if (!isJsonObject(tdx)) throw refuse('tdx', 'is not an object')
  if (typeof tpm !== 'string') throw refuse('tpm', 'is not a string')
  if (tpm.length > 4 * Math.ceil(largestTpmContainer / 3)) throw refuse('tpm', 'is too long')
  return { tdx, tpm }
}

/**
 * Reads what `encodeComposite` wrote. Strict like its parts: no unknown member, canonical base64, sizes. Nothing is
 * verified, in particular not that the parts belong together. Throws `MalformedError`.
 */
export function parseComposite(document: JsonObject): GuestEvidence {
  const { tdx, tpm } = requireShape(document)
  const container = parseText(tpm, 'base64', 'evidence.tpm')
  return { tdx: parseTdxEvidence(tdx), tpm: { evidence: parseTpmEvidence(container), container } }
}
