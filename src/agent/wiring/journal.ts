import { join } from 'node:path'
import { AttestdError } from '../../base/errors.ts'
import { runTogether } from '../../base/tasks.ts'
import { Journal } from '../../passport/journal/journal.ts'
import { isFileName, type JournalFiles } from '../../passport/journal/journal-files.ts'
import { readJournal } from '../../passport/journal/read-journal.ts'
import { Sampler } from '../../passport/journal/sampler.ts'
import { readBootId } from '../../platform/boot-id.ts'
import { journalFolder } from '../../platform/journal-folder.ts'
import { workloadApiErrors } from '../../workload-api/errors.ts'
import type { AgentCore, AgentService } from '../core.ts'
import { brokerNote, isSampled, workloadNote } from '../journal-entries.ts'
import { version } from '../version.ts'

/** How often counts of what callers repeat are written. */
const countsMs = 600_000
/** Records in a support bundle. */
const recent = 100

export const journalPath = (stateDirectory: string) => join(stateDirectory, 'journal')

interface OpenJournal {
  readonly journal: Journal
  readonly sampler: Sampler
  readonly files: JournalFiles
}

function observe({ brokerEvents, workloadEvents, measurements }: AgentCore, { journal, sampler }: OpenJournal): void {
  brokerEvents.add((event) => {
    const noted = brokerNote(event)
    if (noted === null) return
    const { facts } = noted
    const kind = `${noted.event} ${facts['issuer']} ${facts['aud_hash']} ${facts['code']}`
    if (isSampled(noted)) sampler.note(kind, noted.event, facts)
    else journal.note(noted.event, facts)
  })
  workloadEvents.add((event) => {
    const noted = workloadNote(event)
    if (noted !== null) sampler.note(noted.kind, noted.event, noted.facts)
  })
  measurements.add(({ register, certain }) => journal.note('measure', { register, certain }))
}

async function keepJournal({ journal, sampler }: OpenJournal, { host }: AgentCore, signal: AbortSignal): Promise<void> {
  const keepCounting = async (running: AbortSignal) => {
    while (!running.aborted) {
      await host.clock.sleep(countsMs, running)
      sampler.flush()
    }
  }
  await runTogether(signal, (running) => journal.keepWriting(running), keepCounting)
  sampler.flush()
  journal.note('stop', {})
  await journal.flush()
}

/** BRK-124. */
function requireWritable({ journal }: OpenJournal): void {
  const { failing } = journal.state
  if (failing !== null) throw workloadApiErrors.error('journal_unavailable', `the journal: ${failing}`)
}

async function pageOf({ files }: OpenJournal, since: number): Promise<string> {
  const { lines, next, broken } = await readJournal(files, since)
  return `{"records":[${lines.join(',')}],"next":${next},"broken":${broken}}`
}

async function open({ host, log, loaded, metrics }: AgentCore): Promise<OpenJournal> {
  const { agent, journal: settings } = loaded.configuration
  const files = journalFolder(journalPath(agent.state_directory), isFileName)
  const report = (failing: string | null) => {
    if (failing === null) log.info({ event: 'journal_written' }, 'the journal is written again')
    else log.error({ event: 'journal_failed', code: failing }, 'the journal cannot be written')
  }
  const bootId = (await readBootId()) ?? 'unknown'
  const journal = await Journal.open({
    files,
    clock: host.clock,
    bootId,
    keep: settings.keep,
    report,
    failed: metrics.journalFailed,
  })
  return { files, journal, sampler: new Sampler(journal) }
}

/** A journal that cannot be read is part of what support is asked about. */
async function recentRecords({
  journal,
  files,
}: OpenJournal): Promise<readonly unknown[] | { readonly failed: string }> {
  try {
    const { lines } = await readJournal(files, Math.max(0, journal.state.seq - recent))
    return lines.map((line) => JSON.parse(line) as unknown)
  } catch (error) {
    if (error instanceof AttestdError) return { failed: error.code }
    throw error
  }
}

/** The journal of this agent (broker.md section 12); nothing where it is not wanted. Throws if it cannot be continued. */
export async function wireJournal(core: AgentCore): Promise<AgentService> {
  const { enabled, required } = core.loaded.configuration.journal
  if (!enabled) return { tasks: [] }
  const opened = await open(core)
  const { journal } = opened
  observe(core, opened)
  journal.note('start', { version })
  if (required) core.gates.add(() => requireWritable(opened))
  return {
    tasks: [(signal) => keepJournal(opened, core, signal)],
    adopt: () => journal.note('reload', {}),
    failing: () => (required && journal.state.failing !== null ? [`journal:${journal.state.failing}`] : []),
    describe: () => ({ journal: journal.state }),
    admin: { journal: (since) => pageOf(opened, since) },
    support: async () => ({ journal: await recentRecords(opened) }),
  }
}
