import { toHex } from '../../base/bytes.ts'
import { sha256Hex } from '../../base/pki/signed-object.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import { eventTypeName, evNoAction } from '../../evidence/event-log/event-types.ts'
import type { LoggedEvent } from '../../evidence/event-log/logged-event.ts'
import { evEventTag, isAaelData, parseAaelData } from '../../evidence/tdx/aael.ts'
import { parseCcEventLog } from '../../evidence/tdx/cc-event-log.ts'
import { type HashName, hashNameOf } from '../../evidence/tpm/algorithms.ts'
import { type BootChain, bootChainOf, type MeasuredItem } from '../../verifier/event-log/boot-chain.ts'
import { bindEvent, coveredBytes, type EventBinding, LoadOptionsHint } from '../../verifier/event-log/event-binding.ts'
import { payloadProblems, separatorProblems, typeProblems } from '../../verifier/event-log/event-log-rules.ts'
import { bindEventLog, type JudgedEventLog, provingBanks } from '../../verifier/event-log/judged-event-log.ts'
import { type EventLogReplay, replayEventLog } from '../../verifier/event-log/replay-event-log.ts'
import { judgeSecureBoot, type SecureBoot } from '../../verifier/event-log/secure-boot.ts'
import { replayCcEventLog } from '../../verifier/tdx/replay-cc-event-log.ts'
import { contentText, databaseOf, ifReadable, subjectOf, textOf } from './event-content.ts'
import { heading, type InspectedField, type Inspection, type InspectionView, shownValue } from './inspection.ts'

/** How the table of one kind of log is made. */
interface Table {
  readonly registerName: (register: number) => string
  readonly boundOf: (event: LoggedEvent) => EventBinding
  readonly view: InspectionView
}

/** Lines of one register, where not all are shown. */
const shownOfRegister = 200

const markWidth = 'variable-data'.length

function textFields(event: LoggedEvent, bound: EventBinding): InspectedField[] {
  const bytes = bound === 'grub' || bound === 'utf16' || bound === 'section-name' ? coveredBytes(event, bound) : null
  const text = bytes && textOf(bytes)
  return text === null ? [] : [heading('(measured text)', 2, text)]
}

function recordFields({ type, data }: LoggedEvent): InspectedField[] {
  const record = type === evEventTag && isAaelData(data) ? ifReadable(() => parseAaelData(data)) : null
  return record ? [heading('(runtime record)', 2, `${record.domain} ${record.operation} ${record.content}`)] : []
}

/** `(bound)` says what of the data the digest covers; anything else in it is only what the log says. */
function detailFields(event: LoggedEvent, bound: EventBinding): InspectedField[] {
  const { digests, data } = event
  return [
    ...[...digests].map(([id, digest]) => heading(hashNameOf(id) ?? `0x${id.toString(16)}`, 2, toHex(digest))),
    heading('data', 2, shownValue(data)),
    heading('(bound)', 2, bound),
    ...textFields(event, bound),
    ...recordFields(event),
  ]
}

function eventFields(event: LoggedEvent, { boundOf, view }: Table): InspectedField[] {
  const { index, offset, type } = event
  const bound = boundOf(event)
  const mark = type === evNoAction ? 'not extended' : bound
  const line = `${eventTypeName(type).padEnd(32)} ${mark.padEnd(markWidth)}  ${contentText(event, bound)}`
  const head = heading(`event ${index}`, 1, line.trimEnd(), offset)
  return view.whole ? [head, ...detailFields(event, bound)] : [head]
}

function registerTable(register: number, events: readonly LoggedEvent[], table: Table): InspectedField[] {
  const { view, registerName } = table
  const shown = view.whole ? events : events.slice(0, shownOfRegister)
  const left = events.length - shown.length
  return [
    heading(registerName(register), 0, `${events.length} ${events.length === 1 ? 'event' : 'events'}`),
    ...shown.flatMap((event) => eventFields(event, table)),
    ...(left === 0 ? [] : [heading(`(${left} events not shown)`, 1, '--json shows all')]),
  ]
}

/** All events, register by register: order between registers means nothing (ELOG-16). */
function tableFields(events: readonly LoggedEvent[], table: Table): InspectedField[] {
  const byRegister = new Map<number, LoggedEvent[]>()
  for (const event of events) {
    const register = byRegister.get(event.pcr)
    if (register) register.push(event)
    else byRegister.set(event.pcr, [event])
  }
  const ascending = [...byRegister].sort(([left], [right]) => left - right)
  return ascending.flatMap(([register, found]) => registerTable(register, found, table))
}

const registerNames = ['MRTD', 'RTMR0', 'RTMR1', 'RTMR2', 'RTMR3']
const ccRegisterName = (register: number) => registerNames[register] ?? `register ${register}`

/** An event log of a TD up to its end marker, and the registers to which it leads. Unverified as any log. */
export function inspectCcEventLog(bytes: Uint8Array, view: InspectionView = { whole: true }): Inspection {
  const log = parseCcEventLog(bytes)
  const boundOf = (event: LoggedEvent) => bindEvent(event, 'sha384')
  const replayed = replayCcEventLog(log).registers.map(({ value }, index) => heading(`RTMR${index}`, 1, toHex(value)))
  const fields = [
    heading('header', 0, registerNames[log.headerRegister], 0),
    ...tableFields(log.events, { registerName: ccRegisterName, boundOf, view }),
    heading('(end marker)', 0, log.end, log.logBytes),
    heading('(replayed)', 0),
    ...replayed,
  ]
  return { kind: `CC event log (${log.events.length} events)`, fields }
}

function replayFields({ registers, startupLocality, localityProblem }: EventLogReplay): InspectedField[] {
  const problem = localityProblem === null ? '' : `  (${localityProblem})`
  const locality =
    startupLocality === null && localityProblem === null
      ? []
      : [heading('startup locality', 0, `${startupLocality ?? 'not stated'}${problem}`)]
  const banks = [...registers].flatMap(([bank, values]) => [
    heading(`(replayed ${bank})`, 0),
    ...[...values].sort(([a], [b]) => a - b).map(([pcr, value]) => heading(`PCR ${pcr}`, 1, toHex(value))),
  ])
  return [...locality, ...banks]
}

/** Digests of a list that are shown one by one, where not all are. */
const shownDigests = 8

function databaseFields(name: string, value: Uint8Array, { whole }: InspectionView): InspectedField[] {
  const entries = databaseOf(value)
  if (entries === null) return [heading(name, 1, `${value.length} bytes, which are no list of signatures`)]
  const certificates = entries.filter(({ kind }) => kind === 'x509')
  const others = entries.filter(({ kind }) => kind !== 'x509')
  const shown = whole ? others : others.slice(0, shownDigests)
  const left = others.length - shown.length
  return [
    heading(name, 1, `${certificates.length} certificates, ${others.length} digests; sha256 ${sha256Hex(value)}`),
    ...certificates.map(({ data }) => heading('certificate', 2, `${sha256Hex(data)}  ${subjectOf(data)}`)),
    ...shown.map(({ kind, data }) => heading(kind, 2, shownValue(data))),
    ...(left === 0 ? [] : [heading(`(${left} digests not shown)`, 2, '--json shows all')]),
  ]
}

function authorityFields({ authorities }: SecureBoot): InspectedField[] {
  return authorities.map(({ event, name, value, bound }) => {
    const who =
      name === null
        ? 'not bound to a known variable'
        : (textOf(value) ?? subjectOf(value.subarray(name === 'db' ? 16 : 0)))
    return heading('authority', 1, `event ${event.index}  ${bound}  ${name ?? ''}  ${who}`)
  })
}

function secureBootFields(secureBoot: SecureBoot, view: InspectionView): InspectedField[] {
  const { state, setupMode, variables, unbound, missing, problems } = secureBoot
  const mode = setupMode === true ? ', in setup mode' : ''
  const why = [...missing.map((name) => `${name} is missing`), ...unbound.map((name) => `${name} is not bound`)]
  const reason = state === 'unknown' && why.length > 0 ? `: ${why.join(', ')}` : ''
  return [
    heading('(secure boot)', 0, `${state}${mode}${reason}`),
    ...problems.map((problem) => heading('problem', 1, problem)),
    ...[...variables].flatMap(([name, value]) => (name === 'SecureBoot' ? [] : databaseFields(name, value, view))),
    ...authorityFields(secureBoot),
  ]
}

const itemFields = (name: string, items: readonly MeasuredItem[]): InspectedField[] =>
  items.map(({ event, bank, digest, unboundName }) => {
    const about = unboundName === null ? '' : `  ${unboundName} (name not measured)`
    return heading(name, 1, `event ${event.index}  ${bank}:${toHex(digest)}${about}`)
  })

function chainFields(chain: BootChain): InspectedField[] {
  const { images, drivers, files, mokLists, sections, labelledCommandLines, loadOptions } = chain
  return [
    heading('(boot chain)', 0),
    ...itemFields('driver', drivers),
    ...itemFields('image', images),
    ...itemFields('list of owner keys', mokLists),
    ...sections.map(({ name, bank, digest }) =>
      heading(name === null ? 'section without a name' : `section ${name}`, 1, `${bank}:${toHex(digest)}`),
    ),
    ...itemFields('file', files),
    ...labelledCommandLines.map(({ text }) => heading('command line', 1, text ?? '(not bound in PCR 8)')),
    ...loadOptions.map(({ text }) => heading('load options of the kernel', 1, text ?? '(not in the log)')),
  ]
}

/** What the rules of the events find, before any quote is compared (ELOG-12, ELOG-14, ELOG-15). */
function problemFields(judged: JudgedEventLog, banks: Iterable<HashName>): InspectedField[] {
  const problems = [...payloadProblems(judged), ...separatorProblems(judged), ...typeProblems(judged, banks)]
  const shown = problems.slice(0, shownOfRegister)
  return problems.length === 0
    ? []
    : [heading('(problems)', 0, `${problems.length}`), ...shown.map((one) => heading('problem', 1, one))]
}

/**
 * A TCG event log as a table, register by register, with what each digest covers; then the registers to which it leads,
 * secure boot and the boot chain, as they hold if these registers are quoted. `kernelCmdline` is the hint beside the log
 * (ELOG-20). Unverified: compare the registers with a quote.
 */
export function inspectEventLog(
  bytes: Uint8Array,
  view: InspectionView = { whole: true },
  kernelCmdline?: string,
): Inspection {
  const log = parseEventLog(bytes)
  const replay = replayEventLog(log)
  const banks = [...replay.registers.keys()]
  const loadOptions = kernelCmdline === undefined ? null : new LoadOptionsHint(kernelCmdline)
  const judged = bindEventLog(log, { banks: provingBanks(replay, replay.registers), present: banks }, { loadOptions })
  const boundOf = ({ index }: LoggedEvent) => judged.bounds[index] ?? 'none'
  const fields = [
    ...tableFields(log.events, { registerName: (pcr) => `PCR ${pcr}`, boundOf, view }),
    ...replayFields(replay),
    ...secureBootFields(judgeSecureBoot(judged), view),
    ...chainFields(bootChainOf(judged)),
    ...problemFields(judged, banks),
  ]
  return { kind: `event log (${log.format}, ${log.events.length} events)`, fields }
}
