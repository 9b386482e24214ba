/**
 * TPM response codes (TPM 2.0 Part 2, section 6.6), decoded by NAT 3.5. Format-one codes (bit 7) say which
 * parameter, session or handle was refused; format-zero codes are errors and warnings about the TPM as a whole.
 */
const formatOne = new Map<number, string>([
  [0x81, 'ASYMMETRIC'],
  [0x82, 'ATTRIBUTES'],
  [0x83, 'HASH'],
  [0x84, 'VALUE'],
  [0x85, 'HIERARCHY'],
  [0x87, 'KEY_SIZE'],
  [0x88, 'MGF'],
  [0x89, 'MODE'],
  [0x8a, 'TYPE'],
  [0x8b, 'HANDLE'],
  [0x8c, 'KDF'],
  [0x8d, 'RANGE'],
  [0x8e, 'AUTH_FAIL'],
  [0x8f, 'NONCE'],
  [0x90, 'PP'],
  [0x92, 'SCHEME'],
  [0x95, 'SIZE'],
  [0x96, 'SYMMETRIC'],
  [0x97, 'TAG'],
  [0x98, 'SELECTOR'],
  [0x9a, 'INSUFFICIENT'],
  [0x9b, 'SIGNATURE'],
  [0x9c, 'KEY'],
  [0x9d, 'POLICY_FAIL'],
  [0x9f, 'INTEGRITY'],
  [0xa0, 'TICKET'],
  [0xa1, 'RESERVED_BITS'],
  [0xa2, 'BAD_AUTH'],
  [0xa3, 'EXPIRED'],
  [0xa4, 'POLICY_CC'],
  [0xa5, 'BINDING'],
  [0xa6, 'CURVE'],
  [0xa7, 'ECC_POINT'],
])

const formatZero = new Map<number, string>([
  [0x01e, 'BAD_TAG'],
  [0x100, 'INITIALIZE'],
  [0x101, 'FAILURE'],
  [0x103, 'SEQUENCE'],
  [0x10b, 'PRIVATE'],
  [0x119, 'HMAC'],
  [0x120, 'DISABLED'],
  [0x121, 'EXCLUSIVE'],
  [0x124, 'AUTH_TYPE'],
  [0x125, 'AUTH_MISSING'],
  [0x126, 'POLICY'],
  [0x127, 'PCR'],
  [0x128, 'PCR_CHANGED'],
  [0x12d, 'UPGRADE'],
  [0x12e, 'TOO_MANY_CONTEXTS'],
  [0x12f, 'AUTH_UNAVAILABLE'],
  [0x130, 'REBOOT'],
  [0x131, 'UNBALANCED'],
  [0x142, 'COMMAND_SIZE'],
  [0x143, 'COMMAND_CODE'],
  [0x144, 'AUTHSIZE'],
  [0x145, 'AUTH_CONTEXT'],
  [0x146, 'NV_RANGE'],
  [0x147, 'NV_SIZE'],
  [0x148, 'NV_LOCKED'],
  [0x149, 'NV_AUTHORIZATION'],
  [0x14a, 'NV_UNINITIALIZED'],
  [0x14b, 'NV_SPACE'],
  [0x14c, 'NV_DEFINED'],
  [0x150, 'BAD_CONTEXT'],
  [0x151, 'CPHASH'],
  [0x152, 'PARENT'],
  [0x153, 'NEEDS_TEST'],
  [0x154, 'NO_RESULT'],
  [0x155, 'SENSITIVE'],
  [0x901, 'CONTEXT_GAP'],
  [0x902, 'OBJECT_MEMORY'],
  [0x903, 'SESSION_MEMORY'],
  [0x904, 'MEMORY'],
  [0x905, 'SESSION_HANDLES'],
  [0x906, 'OBJECT_HANDLES'],
  [0x907, 'LOCALITY'],
  [0x908, 'YIELDED'],
  [0x909, 'CANCELED'],
  [0x90a, 'TESTING'],
  [0x910, 'REFERENCE_H0'],
  [0x911, 'REFERENCE_H1'],
  [0x912, 'REFERENCE_H2'],
  [0x913, 'REFERENCE_H3'],
  [0x914, 'REFERENCE_H4'],
  [0x915, 'REFERENCE_H5'],
  [0x916, 'REFERENCE_H6'],
  [0x918, 'REFERENCE_S0'],
  [0x919, 'REFERENCE_S1'],
  [0x91a, 'REFERENCE_S2'],
  [0x91b, 'REFERENCE_S3'],
  [0x91c, 'REFERENCE_S4'],
  [0x91d, 'REFERENCE_S5'],
  [0x91e, 'REFERENCE_S6'],
  [0x920, 'NV_RATE'],
  [0x921, 'LOCKOUT'],
  [0x922, 'RETRY'],
  [0x923, 'NV_UNAVAILABLE'],
])

/** What of a command was refused; `number` counts from 1. */
interface RefusedPart {
  readonly kind: 'handle' | 'session' | 'parameter'
  readonly number: number
}

/** What the sender of a command does about a refusal (NAT 3.5). `give-up`: nothing but reporting it helps. */
export type Reaction =
  | 'repeat'
  | 'repeat-later'
  | 'free-slots'
  | 'restart'
  | 'start'
  | 'locked-out'
  | 'failed'
  | 'wrong-password'
  | 'give-up'

export interface TpmResponseCode {
  /** As received. */
  readonly rc: number
  /** Who refused: 0 the TPM, 11 the resource manager, 12 the resource manager in the TPM's words. */
  readonly layer: number
  /** Name without the prefix TPM_RC_; hexadecimal where the code is not known. */
  readonly name: string
  readonly part: RefusedPart | null
  readonly reaction: Reaction
}

const reactions: Readonly<Record<string, Reaction>> = {
  RETRY: 'repeat',
  YIELDED: 'repeat',
  TESTING: 'repeat',
  NV_RATE: 'repeat-later',
  NV_UNAVAILABLE: 'repeat-later',
  OBJECT_MEMORY: 'free-slots',
  SESSION_MEMORY: 'free-slots',
  MEMORY: 'free-slots',
  SESSION_HANDLES: 'free-slots',
  OBJECT_HANDLES: 'free-slots',
  CONTEXT_GAP: 'restart',
  INITIALIZE: 'start',
  LOCKOUT: 'locked-out',
  FAILURE: 'failed',
  AUTH_FAIL: 'wrong-password',
  BAD_AUTH: 'wrong-password',
}

function partOf(rc: number): RefusedPart | null {
  if (rc & 0x40) return part('parameter', (rc >>> 8) & 15)
  return part(rc & 0x800 ? 'session' : 'handle', (rc >>> 8) & 7)
}

function part(kind: RefusedPart['kind'], number: number): RefusedPart | null {
  return number === 0 ? null : { kind, number }
}

function reactionTo(name: string): Reaction {
  return name.startsWith('REFERENCE_') ? 'restart' : (reactions[name] ?? 'give-up')
}

/** Decodes a response code other than 0. Every 32-bit number has an answer: the device may send any. */
export function decodeResponseCode(rc: number): TpmResponseCode {
  const low = rc & 0xffff
  const isFormatOne = (low & 0x80) !== 0
  const base = isFormatOne ? low & 0xbf : low & 0x97f
  const name = (isFormatOne ? formatOne : formatZero).get(base) ?? `0x${base.toString(16)}`
  return { rc, layer: rc >>> 16, name, part: isFormatOne ? partOf(low) : null, reaction: reactionTo(name) }
}

/** `INTEGRITY, parameter 1 (rc 0x1df)`, for messages. */
export function describeResponseCode({ rc, name, part: refused }: TpmResponseCode): string {
  const where = refused === null ? '' : `, ${refused.kind} ${refused.number}`
  return `${name}${where} (rc 0x${rc.toString(16)})`
}
