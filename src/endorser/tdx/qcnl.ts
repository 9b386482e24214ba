import { MalformedError } from '../../base/errors.ts'
import { type JsonObject, parseJsonObject, parseUtf8 } from '../../base/json.ts'
import { endorserErrors } from '../errors.ts'

/** What `/etc/sgx_default_qcnl.conf` says of collateral for verification. */
export interface QcnlSettings {
  /** Base of the service: `collateral_service` where it is set, else `pccs_url`; null if neither is (TDX-225). */
  readonly url: string | null
  /** False: honoured for this host and the VPC only (PCS-02). Default true. */
  readonly useSecureCertificate: boolean
  /** Null where the file does not say. */
  readonly retryTimes: number | null
  /** Seconds. */
  readonly retryDelay: number | null
  /** Hours. */
  readonly pckCacheExpireHours: number | null
  readonly verifyCollateralCacheExpireHours: number | null
}

const longestFile = 16_384

const invalid = (says: string, cause?: unknown) =>
  endorserErrors.error('qcnl_invalid', `sgx_default_qcnl.conf: ${says}`, cause === undefined ? {} : { cause })

/** Comments in JSON as the file knows them: `//` to the end of the line and between stars, outside of strings. */
const commentOrString = /"(?:[^"\\]|\\.)*"|\/\/[^\n]*|\/\*[\s\S]*?\*\//g

function plainJson(text: string): string {
  // Line ends stay, so that errors name the right line.
  const blank = (found: string) => (found.startsWith('"') ? found : found.replace(/[^\n]/g, ' '))
  return text.replace(commentOrString, blank)
}

function textOf(object: JsonObject, name: string): string | null {
  const value = object[name]
  if (value === undefined || value === null || value === '') return null
  if (typeof value !== 'string') throw invalid(`${name} is not a string`)
  return value
}

function countOf(object: JsonObject, name: string): number | null {
  const value = object[name]
  if (value === undefined || value === null) return null
  if (typeof value !== 'number' || !Number.isInteger(value) || value < 0) throw invalid(`${name} is not a whole number`)
  return value
}

function secureOf(object: JsonObject): boolean {
  const value = object['use_secure_cert'] ?? true
  if (typeof value !== 'boolean') throw invalid('use_secure_cert is neither true nor false')
  return value
}

function parseJsonForm(text: string): QcnlSettings {
  const object = parseJsonObject(plainJson(text), 'sgx_default_qcnl.conf')
  return {
    url: textOf(object, 'collateral_service') ?? textOf(object, 'pccs_url'),
    useSecureCertificate: secureOf(object),
    retryTimes: countOf(object, 'retry_times'),
    retryDelay: countOf(object, 'retry_delay'),
    pckCacheExpireHours: countOf(object, 'pck_cache_expire_hours'),
    verifyCollateralCacheExpireHours: countOf(object, 'verify_collateral_cache_expire_hours'),
  }
}

/** `NAME=value` lines; names that say nothing of collateral are left to the library that owns the file. */
function linesOf(text: string): ReadonlyMap<string, string> {
  const settings = new Map<string, string>()
  for (const [at, raw] of text.split('\n').entries()) {
    const line = raw.trim()
    if (line === '' || line.startsWith('#')) continue
    const [, name, value] = /^([A-Za-z_][A-Za-z0-9_]*)[ \t]*=[ \t]*(.*)$/.exec(line) ?? []
    if (name === undefined || value === undefined) throw invalid(`line ${at + 1} is not of the form NAME=value`)
    if (settings.has(name.toUpperCase())) throw invalid(`line ${at + 1} sets ${name} again`)
    settings.set(name.toUpperCase(), value.replace(/^(["'])(.*)\1$/, '$2'))
  }
  return settings
}

function parseLineForm(text: string): QcnlSettings {
  const lines = linesOf(text)
  const secure = (lines.get('USE_SECURE_CERT') ?? 'TRUE').toUpperCase()
  if (secure !== 'TRUE' && secure !== 'FALSE') throw invalid('USE_SECURE_CERT is neither TRUE nor FALSE')
  return {
    url: lines.get('PCCS_URL') || null,
    useSecureCertificate: secure === 'TRUE',
    retryTimes: null,
    retryDelay: null,
    pckCacheExpireHours: null,
    verifyCollateralCacheExpireHours: null,
  }
}

/**
 * Parses `sgx_default_qcnl.conf` in both of its forms, told apart by the first character: lines of `NAME=value` with
 * `#` comments, or JSON with comments (TDX-225, PCS-02). The URL is not judged here (`parsePccsBase`). Throws
 * `qcnl_invalid`.
 */
export function parseQcnl(bytes: Uint8Array): QcnlSettings {
  if (bytes.length > longestFile) throw invalid(`is longer than ${longestFile} bytes`)
  try {
    const text = parseUtf8(bytes, 'sgx_default_qcnl.conf')
    return /^\s*[{/]/.test(text) ? parseJsonForm(text) : parseLineForm(text)
  } catch (cause) {
    if (!(cause instanceof MalformedError)) throw cause
    throw invalid(cause.message, cause)
  }
}
