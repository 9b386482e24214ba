import { z } from 'zod'
import type { JsonObject } from '../../base/json.ts'
import { clientErrors } from '../../client/errors.ts'
import { renderTable } from './table.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

const seconds = z.int().min(0).max(253_402_300_799)
const name = z.string().regex(/^[0-9a-f]{44,132}$/)
const word = z.string().regex(/^[\w.-]{1,64}$/)
const counters = z.object({ resetCount: z.int(), restartCount: z.int(), clock: z.string(), safe: z.boolean() })

const enrolment = z.object({
  akName: name,
  ekName: name,
  state: word,
  reason: word.nullable(),
  since: seconds.nullable(),
  trust: word,
  anchor: z.string().nullable(),
  identity: z.string().nullable(),
  instanceId: z.string().nullable(),
  simulated: z.boolean(),
  ekNotAfter: seconds.nullable(),
  crlStatus: word.nullable(),
  created: seconds,
  lastSeen: seconds,
  counters: counters.nullable(),
  firmwareVersion: word.nullable(),
  checkpoint: z.object({ records: z.int(), resetCount: z.int(), restartCount: z.int() }).nullable(),
})

const appraisal = z.object({
  at: seconds,
  affirmed: z.boolean(),
  failed: z.array(word),
  changes: z.array(word),
  counters: counters.nullable(),
  firmwareVersion: word.nullable(),
})

/** Answers of the registry; the agent may be of another version, so further members are let be. */
export const registryAnswers = {
  page: z.object({ enrolments: z.array(enrolment), next: name.nullable() }),
  history: z.object({ enrolment, history: z.array(appraisal) }),
  decided: z.object({ enrolment, tokens: z.int().min(0) }),
  released: z.object({ released: z.int().min(0), tokens: z.int().min(0) }),
}

export type ListedEnrolment = z.infer<typeof enrolment>
type Appraisal = z.infer<typeof appraisal>

/** Reads what the admin socket answered; throws `AGENT_ANSWER` for anything else than this answer. */
export function parseRegistryAnswer<T>(form: z.ZodType<T>, answer: JsonObject): T {
  const result = form.safeParse(answer)
  if (result.success) return result.data
  const path = result.error.issues[0]?.path.join('.') ?? ''
  throw clientErrors.error('AGENT_ANSWER', `the answer has another form than one of the registry: ${path}`)
}

const time = (at: number) => new Date(1000 * at).toISOString().replace('.000Z', 'Z')
const row = (title: string, text: string) => `${title.padEnd(11)}${text}\n`
const colours = { active: 'green', suspended: 'yellow', revoked: 'red' } as const

function stateText({ state, reason }: ListedEnrolment): string {
  return reason === null ? state : `${state} (${reason})`
}

function paintedState(io: Pick<CommandIo, 'colour'>, state: string, text: string): string {
  return Object.hasOwn(colours, state) ? painted(io, colours[state as keyof typeof colours], text) : text
}

/** So many digits of a name tell keys apart for a person; the commands take them for the whole name. */
const shortName = 20

function cells(one: ListedEnrolment, io: Pick<CommandIo, 'terminal'>): string[] {
  const of = one.identity ?? one.instanceId
  return [
    io.terminal ? one.akName.slice(0, shortName) : one.akName,
    stateText(one),
    one.trust,
    time(one.lastSeen),
    one.counters === null ? '-' : `${one.counters.resetCount}/${one.counters.restartCount}`,
    `${of === null ? '-' : escaped(of)}${one.simulated ? ' SIMULATED' : ''}`,
  ]
}

const head = ['AK', 'STATE', 'TRUST', 'LAST SEEN', 'BOOT', 'IDENTITY']

/** One line an enrolment; whole names where the reader is a program. `BOOT` is resetCount/restartCount. */
export function renderEnrolments(all: readonly ListedEnrolment[], io: Pick<CommandIo, 'terminal' | 'colour'>): string {
  const rows = all.map((one) => cells(one, io))
  return renderTable(head, rows, (padded, row, column) =>
    column === 1 ? paintedState(io, all[row]?.state ?? '', padded) : padded,
  )
}

function countersText(of: ListedEnrolment['counters']): string {
  if (of === null) return 'no quote was accepted yet'
  const { resetCount, restartCount, clock, safe } = of
  return `reset ${resetCount}, restart ${restartCount}, clock ${escaped(clock)} ms${safe ? '' : ', not safe'}`
}

function checkpointText(of: ListedEnrolment['checkpoint']): string {
  if (of === null) return 'none: the next IMA log is judged whole'
  return `${of.records} records of boot ${of.resetCount}/${of.restartCount} judged`
}

function trustText({ trust, anchor, simulated }: ListedEnrolment): string {
  const through = anchor === null ? '' : `, anchor ${escaped(anchor)}`
  return `${trust}${through}${simulated ? ', SIMULATED: protects nothing' : ''}`
}

/** All that is known of one enrolment. */
export function renderEnrolment(one: ListedEnrolment, io: Pick<CommandIo, 'colour'>): string {
  const { akName, ekName, since, identity, instanceId, ekNotAfter, crlStatus, created, lastSeen, firmwareVersion } = one
  const state = paintedState(io, one.state, stateText(one))
  const until = ekNotAfter === null ? [] : [`valid until ${time(ekNotAfter)}`]
  const lists = crlStatus === null ? [] : [`revocation lists ${crlStatus}`]
  const certificate = [...until, ...lists]
  return [
    row('AK', akName),
    row('EK', ekName),
    row('state', since === null ? state : `${state} since ${time(since)}`),
    row('trust', trustText(one)),
    ...(identity === null ? [] : [row('identity', escaped(identity))]),
    ...(instanceId === null ? [] : [row('instance', escaped(instanceId))]),
    ...(certificate.length === 0 ? [] : [row('EK cert', certificate.join(', '))]),
    row('enrolled', time(created)),
    row('last seen', time(lastSeen)),
    row('counters', countersText(one.counters)),
    row('firmware', firmwareVersion ?? 'not known'),
    row('IMA', checkpointText(one.checkpoint)),
  ].join('')
}

function appraisalLine(
  { at, affirmed, failed, changes, counters: of }: Appraisal,
  io: Pick<CommandIo, 'colour'>,
): string {
  const verdict = affirmed ? painted(io, 'green', 'affirmed') : painted(io, 'red', 'REFUSED ')
  const boot = of === null ? '-' : `${of.resetCount}/${of.restartCount}`
  const told = [changes.join(', '), failed.length === 0 ? '' : `failed: ${failed.join(', ')}`]
    .filter(Boolean)
    .join('; ')
  return `  ${time(at)}  ${verdict}  boot ${boot}${told === '' ? '' : `  ${told}`}\n`
}

/** What became of the last appraisals, newest first: verdict, what changed at the machine, what stood against it. */
export function renderHistory(history: readonly Appraisal[], io: Pick<CommandIo, 'colour'>): string {
  if (history.length === 0) return row('history', 'no appraisal yet')
  return (
    row('history', `${history.length} appraisals, newest first`) + history.map((one) => appraisalLine(one, io)).join('')
  )
}
