import { z } from 'zod'
import type { JsonObject } from '../../base/json.ts'
import { clientErrors } from '../../client/errors.ts'
import type { Finding, Outcome } from '../../results/appraisal.ts'
import { type CheckCatalogue, renderFindings, renderVerdict } from './findings.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

const seconds = z.int().min(0).max(253_402_300_799)
const finding = z.object({
  id: z.string().regex(/^[\w.]+$/),
  outcome: z.enum(['passed', 'failed', 'waived', 'unreached']),
  detail: z.string().exactOptional(),
})
const policyReport = z.object({
  id: z.string(),
  verdict: z.string(),
  lines: z.array(z.number()),
  missed: z.array(z.object({ rule: z.number(), condition: z.number() })),
  opposed: z.array(z.object({ name: z.string(), tier: z.string() })).default([]),
  rule: z.string().nullable(),
  message: z.string().nullable(),
})
const appraisal = z.object({
  affirmed: z.boolean(),
  at: seconds,
  findings: z.array(finding),
  policies: z.array(policyReport).default([]),
})
const entry = z.object({
  issuer: z.string(),
  audience: z.array(z.string()),
  warm: z.boolean(),
  sink: z.boolean().default(false),
  state: z.string(),
  expiresAt: seconds.nullable(),
  refreshAt: seconds.nullable(),
  lastError: z.object({ code: z.string(), at: seconds }).nullable(),
})

/** What is shown of an `AgentStatus`; the agent may be of another version, so further members are let be. */
const shownStatus = z.object({
  version: z.string(),
  testMode: z.boolean().default(false),
  pid: z.number(),
  startedAt: seconds,
  ready: z.boolean(),
  reasons: z.array(z.string()),
  tpm: z
    .object({
      place: z.string(),
      simulated: z.boolean(),
      connection: z.object({ open: z.boolean(), lastError: z.string().nullable() }).nullable(),
    })
    .nullable(),
  td: z
    .object({
      place: z.string(),
      simulated: z.boolean(),
      quotes: z.object({ queued: z.number(), stuck: z.boolean() }),
      collateral: z.array(z.object({ item: z.string(), expiresAt: seconds, failures: z.number() })),
    })
    .nullable(),
  identity: z.string(),
  issuer: z.object({
    url: z.string(),
    keys: z.array(z.object({ kid: z.string(), alg: z.string(), state: z.string(), since: seconds })),
  }),
  appraisals: z.object({ enrolment: appraisal.nullable(), evidence: appraisal.nullable() }),
  broker: z.object({ clock: z.string(), entries: z.array(entry) }),
  configurationError: z.string().nullable(),
  policies: z
    .array(z.object({ id: z.string(), hash: z.string(), engine: z.string().default('text'), usual: z.boolean() }))
    .default([]),
  /** Null: configured a moment ago. */
  sinks: z
    .array(
      z
        .object({
          name: z.string(),
          path: z.string(),
          state: z.string(),
          expiresAt: seconds.nullable(),
          error: z.object({ code: z.string(), detail: z.string() }).nullable(),
        })
        .nullable(),
    )
    .default([]),
})

export type ShownStatus = z.infer<typeof shownStatus>

/** Reads what the admin socket answered; throws `AGENT_ANSWER` for anything but the state of an agent. */
export function parseStatus(answer: JsonObject): ShownStatus {
  const result = shownStatus.safeParse(answer)
  if (result.success) return result.data
  const path = result.error.issues[0]?.path.join('.') ?? ''
  throw clientErrors.error('AGENT_ANSWER', `the answer has another form than the state of an agent: ${path}`)
}

const time = (at: number) => new Date(1000 * at).toISOString().replace('.000Z', 'Z')
const row = (name: string, text: string) => `${name.padEnd(11)}${text}\n`

const simulation = (simulated: boolean) => (simulated ? ', SIMULATED: protects nothing' : '')

function tpmRows(tpm: ShownStatus['tpm']): string[] {
  if (tpm === null) return []
  const { place, simulated, connection } = tpm
  const state = connection === null ? 'not used yet' : connection.open ? 'open' : 'closed'
  const failed = connection?.lastError ? `, last error ${escaped(connection.lastError)}` : ''
  return [row('TPM', `${escaped(place)}, ${state}${failed}${simulation(simulated)}`)]
}

function tdRows(td: ShownStatus['td']): string[] {
  if (td === null) return []
  const { place, simulated, quotes, collateral } = td
  const state = quotes.stuck
    ? ', a quote is STUCK in the kernel'
    : quotes.queued > 0
      ? `, ${quotes.queued} waiting`
      : ''
  const items = collateral.map(({ item, expiresAt, failures }) => {
    const failed = failures > 0 ? `, ${failures} refreshes failed` : ''
    return `  ${escaped(item)}  expires ${time(expiresAt)}${failed}\n`
  })
  return [row('TD', `${escaped(place)}${state}${simulation(simulated)}`), ...items]
}

const urgency: Readonly<Record<Outcome, number>> = { failed: 0, unreached: 1, waived: 2, passed: 3 }

/** What failed comes first with its remedy; what passed is only counted. */
function appraisalLines(
  name: string,
  record: ShownStatus['appraisals']['evidence'],
  catalogue: CheckCatalogue,
  io: CommandIo,
): string {
  if (record === null) return row(name, 'not yet')
  const { affirmed, at } = record
  const findings: readonly Finding[] = record.findings
  const told = findings
    .filter(({ outcome }) => outcome !== 'passed')
    .sort((a, b) => urgency[a.outcome] - urgency[b.outcome])
  const list = told.length === 0 ? '' : indented(renderFindings(told, catalogue, io))
  return `${row(name, `${time(at)}  ${renderVerdict({ affirmed, findings }, io).trimEnd()}`)}${list}`
}

/** Why a policy said what it said, by the lines of its rules; its claims are nobody's to see here. */
function policyReason({ verdict, lines, missed, opposed, rule, message }: z.infer<typeof policyReport>): string {
  if (verdict === 'permit') return 'permits'
  if (verdict === 'error') return `ERROR ${rule}: ${message}${placeOf(lines)}`
  const near = missed.map(({ rule: at, condition }) => `the rule of line ${at} stops at line ${condition}`)
  const because = [...near, ...opposed.map(({ name, tier }) => `${name} is ${tier}`)].join(', ')
  return `DENIES: ${verdict}${placeOf(lines)}${because === '' ? '' : `; ${because}`}`
}

const placeOf = (lines: readonly number[]) => (lines.length === 0 ? '' : `, line ${lines.join(', ')}`)

function policyRows({ policies, appraisals }: ShownStatus): string[] {
  if (policies.length === 0) return []
  const said = new Map(appraisals.evidence?.policies.map((report) => [report.id, policyReason(report)]))
  const lines = policies.map(({ id, hash, engine, usual }) => {
    const parts = [
      said.get(id) ?? 'not asked yet',
      ...(engine === 'rego-wasm' ? ['Rego bundle'] : []),
      `sha256 ${hash}`,
      ...(usual ? [] : ['only where it is named']),
    ]
    return `  ${escaped(`${id}  ${parts.join(', ')}`)}\n`
  })
  return [row('policies', `${policies.length} configured`), ...lines]
}

const indented = (text: string) => text.replace(/^(?=.)/gm, '  ')

function entryLine({
  audience,
  warm,
  sink,
  state,
  expiresAt,
  refreshAt,
  lastError,
}: ShownStatus['broker']['entries'][0]) {
  const parts = [
    state,
    ...(expiresAt === null ? [] : [`expires ${time(expiresAt)}`]),
    ...(refreshAt === null ? [] : [`refresh ${time(refreshAt)}`]),
    ...(lastError === null ? [] : [`last error ${lastError.code} at ${time(lastError.at)}`]),
    ...(warm ? ['kept warm'] : []),
    ...(sink ? ['token file'] : []),
  ]
  return `  ${escaped(audience.join(' '))}  ${escaped(parts.join(', '))}\n`
}

function sinkRows(sinks: ShownStatus['sinks']): string[] {
  if (sinks.length === 0) return []
  const lines = sinks.flatMap((sink) => {
    if (sink === null) return []
    const { name, path, state, expiresAt, error } = sink
    const end = expiresAt === null ? '' : `, expires ${time(expiresAt)}`
    const problem = error === null ? '' : `, ${error.code}: ${error.detail}`
    return [`  ${escaped(`${name}  ${path}  ${state}${end}${problem}`)}\n`]
  })
  return [row('files', `${sinks.length} kept`), ...lines]
}

/** The state of an agent for a person: ready or why not first, then what it rests on. */
export function renderStatus(status: ShownStatus, catalogue: CheckCatalogue, io: CommandIo): string {
  const { version, pid, startedAt, ready, reasons, issuer, appraisals, broker, configurationError } = status
  const head = ready
    ? painted(io, 'green', 'ready')
    : `${painted(io, 'red', 'NOT ready')}: ${escaped(reasons.join(', '))}`
  const keys = issuer.keys.map(
    ({ kid, alg, state, since }) => `  ${escaped(`${alg} ${state} since ${time(since)}  ${kid}`)}\n`,
  )
  const test = `${painted(io, 'red', 'TEST MODE')}: others move its clocks, its tokens protect nothing\n`
  return [
    `${head}\n`,
    ...(status.testMode ? [test] : []),
    row('agent', `attestd ${escaped(version)}, process ${pid}, since ${time(startedAt)}`),
    ...(configurationError === null ? [] : [row('refused', escaped(`the last reload: ${configurationError}`))]),
    ...tpmRows(status.tpm),
    ...tdRows(status.td),
    row('callers', `known by ${escaped(status.identity)}`),
    ...(broker.clock === 'safe' ? [] : [row('clock', escaped(broker.clock))]),
    row('issuer', escaped(issuer.url)),
    ...keys,
    appraisalLines('enrolment', appraisals.enrolment, catalogue, io),
    appraisalLines('evidence', appraisals.evidence, catalogue, io),
    ...policyRows(status),
    row('tokens', broker.entries.length === 0 ? 'none asked for yet' : `${broker.entries.length} kept`),
    ...broker.entries.map(entryLine),
    ...sinkRows(status.sinks),
  ].join('')
}
