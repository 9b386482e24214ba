import type { Configuration } from './configuration/schema.ts'

/** Texts of the configuration that are choices of ours and never names, addresses or secrets. */
const openTexts: Readonly<Record<string, readonly string[]>> = {
  agent: ['log_level'],
  tpm: ['use', 'transport', 'timeout', 'key', 'banks'],
  tdx: ['use', 'timeout'],
  verifier: ['event_log', 'ima', 'cc_event_log', 'revocation', 'ek_vendors', 'tcb_statuses'],
  issuer: ['algorithm', 'lifetime', 'rotation', 'subject'],
  measure: ['registers'],
  broker: ['on_measure'],
}

/** Keys of tables that an operator names, such as accounts, are texts as well. */
const shownName = (name: string, at: number) => (/^[a-z][a-z0-9_]{0,40}$/.test(name) ? name : `<member ${at}>`)

/**
 * What is shown of a value: numbers and switches as they are, texts by their length alone. A redaction that looks for what is
 * secret misses what nobody thought of; this one shows what is known to be none (API-110).
 */
function redacted(value: unknown, open: boolean): unknown {
  if (typeof value === 'string') return open ? value : `<${value.length} characters>`
  if (Array.isArray(value)) return value.map((item) => redacted(item, open))
  if (typeof value !== 'object' || value === null) return value
  const members = Object.entries(value)
  return Object.fromEntries(members.map(([name, member], at) => [shownName(name, at), redacted(member, open)]))
}

function redactedSection(section: string, value: unknown): unknown {
  const open = openTexts[section] ?? []
  if (typeof value !== 'object' || value === null || Array.isArray(value)) return redacted(value, false)
  return Object.fromEntries(Object.entries(value).map(([key, member]) => [key, redacted(member, open.includes(key))]))
}

/** The configuration without anything that names somebody or lets somebody in. */
function redactConfiguration(configuration: Configuration): Readonly<Record<string, unknown>> {
  const sections = Object.entries(configuration)
  return Object.fromEntries(sections.map(([section, value]) => [section, redactedSection(section, value)]))
}

export interface SupportParts {
  readonly version: string
  /** The status document: it holds no secrets (API-110). */
  readonly status: unknown
  readonly configuration: Configuration
  /** What services add, such as the last records of the journal. */
  readonly more: Readonly<Record<string, unknown>>
}

/** The body of `GET /v1/admin/support`. Nothing of the environment is in it, and of the configuration no text of others. */
export function encodeSupportBundle({ version, status, configuration, more }: SupportParts): string {
  const { platform, arch, versions } = process
  const runtime = { node: versions.node, platform, arch, memory: process.memoryUsage().rss }
  return JSON.stringify({ version, runtime, status, configuration: redactConfiguration(configuration), ...more })
}
