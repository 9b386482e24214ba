import { parseText } from '../base/bytes.ts'
import { MalformedError } from '../base/errors.ts'
import type { JsonObject } from '../base/json.ts'
import { invalidRequest } from './errors.ts'
import type { EvidenceRequest } from './evidence-collector.ts'
import { MemberReader } from './members.ts'
import { quoted } from './problem.ts'
import { defaultTimeoutMs } from './token-parameters.ts'

export interface EvidenceParameters extends EvidenceRequest {
  readonly timeoutMs: number
}

const knownDevices = ['tdx', 'tpm', 'ima', 'gpu']

function requireChallenge(text: string | null): Uint8Array {
  if (text === null) throw invalidRequest('challenge', 'is missing')
  try {
    const challenge = parseText(text, 'base64url', 'challenge')
    if (challenge.length >= 8 && challenge.length <= 64) return challenge
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
  }
  throw invalidRequest('challenge', 'is not base64url without padding of 8 to 64 bytes')
}

function requireDevices(devices: readonly string[] | null): readonly string[] | null {
  if (devices === null) return null
  const unknown = devices.find((device) => !knownDevices.includes(device))
  if (unknown !== undefined) throw invalidRequest('devices', `${quoted(unknown)} is not ${knownDevices.join(', ')}`)
  if (devices.length === 0 || new Set(devices).size !== devices.length) {
    throw invalidRequest('devices', 'is empty or names one device twice')
  }
  return devices
}

function requireProfile(profile: string | null): EvidenceRequest['profile'] {
  if (profile === null || profile === 'attestd/1') return 'attestd/1'
  if (profile === 'raw') return 'raw'
  throw invalidRequest('profile', 'is not attestd/1 or raw')
}

function requireVerifier(verifier: string | null): string | null {
  if (verifier === null) return null
  const size = Buffer.byteLength(verifier)
  if (size < 1 || size > 256 || /[\p{Cc}\p{Cs}]/u.test(verifier)) {
    throw invalidRequest('verifier', 'is not 1 to 256 bytes without control characters')
  }
  return verifier
}

/** Reads the members of `POST /v1/evidence` (section 6.2). */
export function parseEvidenceParameters(members: JsonObject): EvidenceParameters {
  const reader = new MemberReader(members, ['challenge', 'profile', 'devices', 'verifier', 'timeout_ms'])
  return {
    challenge: requireChallenge(reader.text('challenge')),
    profile: requireProfile(reader.text('profile')),
    devices: requireDevices(reader.texts('devices')),
    verifier: requireVerifier(reader.text('verifier')),
    timeoutMs: reader.integer('timeout_ms', 1, 60_000) ?? defaultTimeoutMs,
  }
}
