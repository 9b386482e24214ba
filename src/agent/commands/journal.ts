import { stat } from 'node:fs/promises'
import { Command } from 'commander'
import type { JsonObject, JsonValue } from '../../base/json.ts'
import { isFileName } from '../../passport/journal/journal-files.ts'
import { readJournal } from '../../passport/journal/read-journal.ts'
import { type JournalVerdict, verifyJournal } from '../../passport/journal/verify-journal.ts'
import { journalFolder } from '../../platform/journal-folder.ts'
import { defaultConfigurationFile, readConfiguration } from '../configuration/read.ts'
import { agentErrors } from '../errors.ts'
import { type CommandIo, escaped } from '../presentation/terminal.ts'
import { journalPath } from '../wiring/journal.ts'
import { integerOption } from './options.ts'

interface JournalOptions {
  readonly config: string
  readonly json?: boolean
}

/** The files, of whoever owns the folder: the agent's user wrote them, and root may look at them. */
async function filesOf({ config }: JournalOptions) {
  const { configuration } = await readConfiguration(config)
  const path = journalPath(configuration.agent.state_directory)
  const owner = await stat(path).catch(({ code }: NodeJS.ErrnoException) => {
    throw agentErrors.error('JOURNAL_ABSENT', `${path}: ${code}`)
  })
  return journalFolder(path, isFileName, { owners: [owner.uid] })
}

function renderAnchors({ anchors, anchored }: JournalVerdict): string {
  if (anchored === null) return ''
  const { register, headSeq, headHash } = anchored
  return escaped(`anchored ${anchors} times, last in ${register}: record ${headSeq} ${headHash}`).concat('\n')
}

function renderVerdict(verdict: JournalVerdict): string {
  const { records, first, head, broken, tornBytes } = verdict
  const range = head === null ? 'no records' : `${records} records, ${first} to ${head.seq}\nhead ${head.hash}`
  const torn = tornBytes > 0 ? `\n${tornBytes} bytes of a record that is not whole yet stand behind it` : ''
  if (broken === null) return `${range}${torn}\n${renderAnchors(verdict)}`
  return `${range}\n${renderAnchors(verdict)}BROKEN ${broken.file} line ${broken.line}: the record ${broken.says}\n`
}

async function verify(io: CommandIo, options: JournalOptions): Promise<void> {
  const verdict = await verifyJournal(await filesOf(options))
  io.out(options.json ? `${JSON.stringify(verdict)}\n` : renderVerdict(verdict))
  if (verdict.broken === null) return
  const { file, line, says } = verdict.broken
  throw agentErrors.error('JOURNAL_BROKEN', `${file} line ${line}: the record ${says}`)
}

const places = ['seq', 'boot_id', 'wall', 'boot_ms', 'event', 'prev', 'hash']

/** A number that no calendar has stands as it is: whoever wrote it had no believable clock, or was not the agent. */
function shownTime(wall: JsonValue | undefined): string {
  const time = new Date(Number(wall))
  return Number.isNaN(time.getTime()) ? String(wall) : time.toISOString()
}

export function renderRecord(line: string): string {
  const record = JSON.parse(line) as JsonObject
  const { seq, wall, event } = record
  const facts = Object.entries(record).filter(([name]) => !places.includes(name))
  const shown = facts.map(([name, value]) => `${name}=${typeof value === 'string' ? value : JSON.stringify(value)}`)
  return `${escaped([seq, shownTime(wall), event, ...shown].join(' '))}\n`
}

async function show(io: CommandIo, options: JournalOptions & { readonly since: number }): Promise<void> {
  const files = await filesOf(options)
  for (let since = options.since; ; ) {
    const { lines, next, broken } = await readJournal(files, since)
    for (const line of lines) io.out(options.json ? `${line}\n` : renderRecord(line))
    if (broken) throw agentErrors.error('JOURNAL_BROKEN', `the line behind record ${next} is not a record`)
    if (lines.length === 0) return
    since = next
  }
}

const subcommand = (name: string, description: string) =>
  new Command(name)
    .description(description)
    .option('--config <file>', 'configuration file', defaultConfigurationFile)
    .option('--json', 'print JSON')

/** `attestd journal`: the journal of the agent on this machine, read from its files, also while the agent is down. */
export function journalCommand(io: CommandIo): Command {
  return new Command('journal')
    .description('the journal of the agent: what it did, in a chain of hashes')
    .addCommand(
      subcommand('verify', 'follow the chain and name the first record that is broken').action(
        (options: JournalOptions) => verify(io, options),
      ),
    )
    .addCommand(
      subcommand('show', 'print the records, oldest first')
        .option('--since <number>', 'only records behind this one', integerOption(0, 999_999_999_999_999), 0)
        .action((options: JournalOptions & { readonly since: number }) => show(io, options)),
    )
}
