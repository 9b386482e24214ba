import { createHash } from 'node:crypto'
import { concatBytes, equalBytes, parseText } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'

/**
 * What ties evidence to a request (BRK-90 to BRK-96): every value that a device signs for us is derived here,
 * byte for byte as the specification says, by the attester that collects and by the verifier that recomputes.
 * A verifier takes no digest from a message: it puts the transcript's inputs through these functions (BRK-93).
 */

/** The last 16 bytes of our report data: keeps our quotes apart from those with caller-chosen bytes (BRK-93). */
const reportDataTag = new TextEncoder().encode('attestd:rdata:v1')

const noBytes = new Uint8Array(0)

/** UTF-8. Lone surrogates are refused: an encoder would turn different texts into the same bytes. */
function encodeText(text: string, path: string): Uint8Array {
  if (/\p{Surrogate}/u.test(text)) throw new MalformedError({ path }, 'holds half of a surrogate pair')
  return new TextEncoder().encode(text)
}

/**
 * T(name, value) = u16be(length of name) ‖ name ‖ u32be(length of value) ‖ value (broker.md section 9). Text is UTF-8.
 * Both lengths are explicit, so no two lists of fields share an encoding.
 */
export function encodeTranscriptField(name: string, value: string | Uint8Array): Uint8Array {
  const nameBytes = encodeText(name, 'transcript')
  const valueBytes = typeof value === 'string' ? encodeText(value, `transcript.${name}`) : value
  if (nameBytes.length > 0xffff) throw new RangeError('the name of a transcript field takes at most 65535 bytes')
  const head = new Uint8Array(2 + nameBytes.length + 4)
  const view = new DataView(head.buffer)
  view.setUint16(0, nameBytes.length)
  head.set(nameBytes, 2)
  view.setUint32(2 + nameBytes.length, valueBytes.length)
  return concatBytes(head, valueBytes)
}

function compareBytes(left: string, right: string): number {
  return Buffer.compare(Buffer.from(left), Buffer.from(right))
}

/** What of a token request the evidence binds. `TokenRequest` of the broker has this shape. */
export interface BoundRequest {
  /** Any order; a repeated audience counts once. */
  readonly audience: readonly string[]
  /** In the caller's order. */
  readonly nonces: readonly string[]
  readonly tokenType: string
  readonly ttlS: number | null
  readonly policyIds: readonly string[]
  /** `jkt`: RFC 7638 SHA-256 thumbprint, base64url, of the key that the token is to name. */
  readonly cnf: { readonly jkt: string } | null
}

function encodeThumbprint(thumbprint: string | null, path: string): Uint8Array {
  if (thumbprint === null) return noBytes
  const bytes = parseText(thumbprint, 'base64url', path)
  if (bytes.length !== 32) throw new MalformedError({ path }, `is ${bytes.length} bytes, a thumbprint has 32`)
  return bytes
}

function encodeDecimal(value: number, path: string): string {
  if (!Number.isSafeInteger(value) || value < 0) throw new MalformedError({ path }, 'is not a whole number')
  return String(value)
}

/**
 * The request R of BRK-90. `salt` is 16 random bytes of this request alone: it keeps one caller's inclusion proof
 * from revealing another's audience. Throws `MalformedError` for a value that has no encoding.
 */
export function encodeTokenRequest(request: BoundRequest, salt: Uint8Array): Uint8Array {
  if (salt.length !== 16) throw new MalformedError({ path: 'request.salt' }, `is ${salt.length} bytes, must be 16`)
  const field = encodeTranscriptField
  const audience = [...new Set(request.audience)].sort(compareBytes)
  const policyIds = [...request.policyIds].sort(compareBytes)
  return concatBytes(
    field('domain', 'attestd/request/1'),
    ...audience.map((name) => field('aud', name)),
    ...request.nonces.map((nonce) => field('nonce', nonce)),
    field('type', request.tokenType),
    field('ttl', request.ttlS === null ? '' : encodeDecimal(request.ttlS, 'request.ttl_s')),
    ...policyIds.map((id) => field('policy', id)),
    field('cnf', encodeThumbprint(request.cnf?.jkt ?? null, 'request.cnf')),
    field('salt', salt),
  )
}

/** The inputs of the seed (BRK-91). */
export interface SeedInputs {
  /** `token`: requests for tokens; `evidence`: a document for background check. */
  readonly purpose: 'token' | 'evidence'
  /** The verifier that the evidence is for; evidence relayed to another one does not match (BRK-94). */
  readonly verifier: string
  /** The verifier's nonce; null if it gave none, and then freshness is never `challenge`. */
  readonly challenge: Uint8Array | null
  /** Root of the request tree, 32 bytes. */
  readonly root: Uint8Array
  /** Leaves of the request tree. */
  readonly size: number
  /** RFC 7638 SHA-256 thumbprint, base64url, of the agent's key, if it has one. */
  readonly agentKey: string | null
}

function sha256(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(
    createHash('sha256')
      .update(concatBytes(...parts))
      .digest(),
  )
}

function sha384(...parts: readonly Uint8Array[]): Uint8Array {
  return new Uint8Array(
    createHash('sha384')
      .update(concatBytes(...parts))
      .digest(),
  )
}

/** The 48 bytes from which every device's nonce follows (BRK-91). */
export function deriveSeed(inputs: SeedInputs): Uint8Array {
  if (inputs.root.length !== 32) throw new MalformedError({ path: 'transcript.root' }, 'is not 32 bytes')
  const field = encodeTranscriptField
  return sha384(
    field('domain', 'attestd/seed/1'),
    field('purpose', inputs.purpose),
    field('verifier', inputs.verifier),
    field('challenge', inputs.challenge ?? noBytes),
    field('root', inputs.root),
    field('size', encodeDecimal(inputs.size, 'transcript.size')),
    field('key', encodeThumbprint(inputs.agentKey, 'transcript.key')),
  )
}

function requireSeed(seed: Uint8Array): Uint8Array {
  if (seed.length !== 48) throw new RangeError(`a seed has 48 bytes, not ${seed.length}`)
  return seed
}

/** The nonce, 32 bytes, for every GPU and switch of this transcript (BRK-91). */
export function deriveGpuNonce(seed: Uint8Array): Uint8Array {
  return sha256(
    encodeTranscriptField('domain', 'attestd/gpu-nonce/1'),
    encodeTranscriptField('seed', requireSeed(seed)),
  )
}

/** The qualifying data, 32 bytes, for every TPM quote of this transcript (BRK-91, TPM-07). */
export function deriveTpmQualifyingData(seed: Uint8Array): Uint8Array {
  return sha256(encodeTranscriptField('domain', 'attestd/tpm-qd/1'), encodeTranscriptField('seed', requireSeed(seed)))
}

/** Evidence of one device beside the TD quote, exactly the bytes that travel. */
export interface DeviceEvidence {
  /** `gpu`, `tpm`, `switch`. */
  readonly kind: string
  readonly index: number
  readonly evidence: Uint8Array
}

/** Devices of BRK-92: 32 bytes over the evidence of every device, or no bytes if there is none. */
export function digestDevices(devices: readonly DeviceEvidence[]): Uint8Array {
  if (devices.length === 0) return noBytes
  const byLabel = new Map<string, Uint8Array>()
  for (const { kind, index, evidence } of devices) {
    const label = `${kind}:${encodeDecimal(index, 'devices.index')}`
    if (byLabel.has(label)) throw new MalformedError({ path: 'devices' }, `${label} is there twice`)
    byLabel.set(label, sha256(evidence))
  }
  const fields = [...byLabel]
    .sort(([left], [right]) => compareBytes(left, right))
    .map(([label, digest]) => encodeTranscriptField(label, digest))
  return sha256(encodeTranscriptField('domain', 'attestd/devices/1'), ...fields)
}

/**
 * The 64 bytes of report data for a TD quote (BRK-92): a SHA-384 digest and the tag, no padding byte, hence the same
 * under every padding rule. `devices` comes from `digestDevices`.
 */
export function deriveReportData(seed: Uint8Array, devices: Uint8Array): Uint8Array {
  if (devices.length !== 0 && devices.length !== 32) throw new RangeError('a devices digest has 0 or 32 bytes')
  const digest = sha384(
    encodeTranscriptField('domain', 'attestd/report-data/1'),
    encodeTranscriptField('seed', requireSeed(seed)),
    encodeTranscriptField('devices', devices),
  )
  return concatBytes(digest, reportDataTag)
}

/** True if report data has the tag of our form; anything else is refused for this profile (BRK-93). */
export function hasReportDataTag(reportData: Uint8Array): boolean {
  return reportData.length === 64 && equalBytes(reportData.subarray(48), reportDataTag)
}
