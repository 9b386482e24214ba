import { parseText, toBase64url } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import { isJsonObject, type JsonObject, type JsonValue, parseJsonObject } from '../base/json.ts'
import { encodeComposite, type GuestEvidence, largestTpmContainer, parseComposite } from '../evidence/composite.ts'
import { encodeTdxEvidence, parseTdxEvidence, tdxEvidenceLimits } from '../evidence/tdx/evidence-json.ts'
import { encodeTpmEvidence, parseTpmEvidence, tpmEvidenceLimits } from '../evidence/tpm/evidence-json.ts'
import { agentErrors } from './errors.ts'

/** Evidence as it was found in a file. */
export interface EvidenceDocument extends GuestEvidence {
  /** `quote`: the bytes of a quote and nothing else, of a TD or of an SGX enclave; the others are about TDs and TPMs. */
  readonly form: 'quote' | 'container' | 'document'
  /**
   * How the challenge went into what was signed, as the document says: through the transcript of BRK-90, or null for as it
   * is. Whoever judges derives everything from the challenge and the verifier that he knows himself (BRK-93).
   */
  readonly transcript: StatedTranscript | null
}

/** What of a transcript somebody else has to know as well, and be told if it is not what he thinks. */
export interface StatedTranscript {
  /** '' for nobody in particular. */
  readonly verifier: string
}

interface Measured {
  readonly what: string
  readonly size: number
  readonly limit: number
}

const utf8 = (object: JsonObject) => new TextEncoder().encode(JSON.stringify(object))

function requireFits(parts: readonly Measured[]): void {
  const largest = parts.find(({ size, limit }) => size > limit)
  if (!largest) return
  const { what, size, limit } = largest
  throw agentErrors.error('EVIDENCE_TOO_LARGE', `${what} has ${size} bytes, and may have ${limit}`)
}

function measureTpm({ tpm }: GuestEvidence): Measured[] {
  if (tpm === null) return []
  const { eventLog, ima } = tpmEvidenceLimits
  const { evidence, container } = tpm
  return [
    { what: 'the event log of the TPM', size: evidence.eventLog?.length ?? 0, limit: eventLog },
    { what: 'the IMA log', size: evidence.ima?.data.length ?? 0, limit: ima },
    { what: 'the TPM container', size: container?.length ?? 0, limit: largestTpmContainer },
  ]
}

function measureTd({ tdx }: GuestEvidence): Measured[] {
  if (tdx === null) return []
  const { quote, ccEventLog } = tdxEvidenceLimits
  return [
    { what: 'the quote', size: tdx.quote.length, limit: quote },
    { what: 'the event log of the TD', size: tdx.ccEventLog?.length ?? 0, limit: ccEventLog },
  ]
}

function innerOf({ tdx, tpm }: GuestEvidence): { readonly tee: 'tdx' | 'tpm'; readonly container: JsonObject } {
  if (tdx === null && tpm !== null) return { tee: 'tpm', container: encodeTpmEvidence(tpm.evidence) }
  if (tdx === null) throw new TypeError('evidence has at least one part')
  if (tpm === null) return { tee: 'tdx', container: encodeTdxEvidence(tdx) }
  if (tpm.container === null) throw new TypeError('TPM evidence beside a TD has fixed bytes')
  return { tee: 'tdx', container: encodeComposite(tdx, { container: tpm.container }) }
}

/**
 * Writes the body of `POST /v1/attestation` (attestation-service.md 1.1): the container of the kind in base64url, and as
 * raw runtime data what the evidence was made over (SVC-25): the nonce, or for a TD beside a TPM its report data. `tee` is
 * `tdx` wherever there is a TD. One line of JSON. `transcript`: what the runtime data was derived from, for those who
 * derive it again (BRK-93). Throws `EVIDENCE_TOO_LARGE` for evidence that no verifier would read.
 */
export function encodeEvidenceDocument(
  evidence: GuestEvidence,
  runtimeData: Uint8Array,
  transcript: JsonObject | null = null,
): string {
  requireFits([...measureTd(evidence), ...measureTpm(evidence)])
  const { tee, container } = innerOf(evidence)
  const bytes = utf8(container)
  requireFits([{ what: 'the container', size: bytes.length, limit: tpmEvidenceLimits.document }])
  const document = { tee, evidence: toBase64url(bytes), runtime_data: { raw: toBase64url(runtimeData) } }
  return JSON.stringify(transcript === null ? document : { ...document, transcript })
}

/** A quote begins with its version, 3 to 5, in two bytes; no JSON text begins with such a byte. */
const isQuote = ([low = 0, high]: Uint8Array) => low >= 3 && low <= 5 && high === 0

/** What is inside a container of a TD: alone, or with the TPM of the same guest. */
function parseTdContainer(container: JsonObject): GuestEvidence {
  return 'format' in container ? parseComposite(container) : { tdx: parseTdxEvidence(container), tpm: null }
}

const tpmAlone = (container: Uint8Array | JsonObject): GuestEvidence => ({
  tdx: null,
  tpm: { evidence: parseTpmEvidence(container), container: null },
})

/** By its members; one that has none of them is taken for that of a TPM, and refused as such. */
function parseContainer(container: JsonObject): GuestEvidence {
  return 'format' in container || 'quote' in container ? parseTdContainer(container) : tpmAlone(container)
}

function containerObject(bytes: Uint8Array): JsonObject {
  const { document, values } = tpmEvidenceLimits
  if (bytes.length > document) throw new MalformedError({ path: 'evidence' }, `is longer than ${document} bytes`)
  return parseJsonObject(bytes, 'evidence', { maxDepth: 8, maxValues: values })
}

function parseWrapped({ tee, evidence }: JsonObject): GuestEvidence {
  if (tee !== 'tpm' && tee !== 'tdx') {
    const kind = typeof tee === 'string' ? tee.slice(0, 32) : 'none'
    throw agentErrors.error('EVIDENCE_UNSUPPORTED', `the document names the kind ${JSON.stringify(kind)}`)
  }
  const bytes = parseText(typeof evidence === 'string' ? evidence : '', 'base64url', 'document.evidence')
  return tee === 'tpm' ? tpmAlone(bytes) : parseTdContainer(containerObject(bytes))
}

const stated = { maxVerifier: 256, profiles: ['attestd/1', 'raw'] }

function parseTranscript(transcript: JsonValue | undefined): StatedTranscript | null {
  if (transcript === undefined || transcript === null) return null
  const path = 'document.transcript'
  if (!isJsonObject(transcript)) throw new MalformedError({ path }, 'is no object')
  const { profile, purpose, verifier } = transcript
  if (typeof profile !== 'string' || !stated.profiles.includes(profile)) {
    throw agentErrors.error('EVIDENCE_UNSUPPORTED', 'the document names another profile than attestd/1 and raw')
  }
  if (profile === 'raw') return null
  if (purpose !== 'evidence') throw new MalformedError({ path: `${path}.purpose` }, 'is not "evidence"')
  if (typeof verifier === 'string' && verifier.length <= stated.maxVerifier) return { verifier }
  throw new MalformedError({ path: `${path}.verifier` }, `is no text of at most ${stated.maxVerifier} characters`)
}

/**
 * Reads evidence in every form that it is kept in: the bytes of a quote; a bare container of a TPM (SVC-23), of a TD
 * (SVC-20) or of both; the document around one of them. Of what stands beside the evidence only the profile of the
 * transcript and its verifier are looked at, not `runtime_data`: what a message says of itself proves nothing about it. A quote in bytes is not read. Throws
 * `EVIDENCE_UNSUPPORTED` for another kind of evidence, and `MalformedError`.
 */
export function parseEvidenceDocument(bytes: Uint8Array): EvidenceDocument {
  if (isQuote(bytes)) {
    return { tdx: { quote: bytes, ccEventLog: null, simulated: false }, tpm: null, form: 'quote', transcript: null }
  }
  const document = parseJsonObject(bytes, 'document')
  const isBare = document['tee'] === undefined && document['evidence'] === undefined
  if (isBare) return { ...parseContainer(document), form: 'container', transcript: null }
  return { ...parseWrapped(document), form: 'document', transcript: parseTranscript(document['transcript']) }
}
