import { join } from 'node:path'
import { AttestdError } from '../../base/errors.ts'
import { runTogether } from '../../base/tasks.ts'
import { Journal } from '../../passport/journal/journal.ts'
import { JournalAnchor } from '../../passport/journal/journal-anchor.ts'
import { isFileName, type JournalFiles } from '../../passport/journal/journal-files.ts'
import { readJournal } from '../../passport/journal/read-journal.ts'
import { Sampler } from '../../passport/journal/sampler.ts'
import { readBootId } from '../../platform/boot-id.ts'
import { journalFolder } from '../../platform/journal-folder.ts'
import { ownDomains } from '../../policies/caller-policy.ts'
import { workloadApiErrors } from '../../workload-api/errors.ts'
import type { AgentCore, AgentService } from '../core.ts'
import { brokerNote, isSampled, workloadNote } from '../journal-entries.ts'
import { extendRegister } from '../measuring.ts'
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
  /** Null: nothing is anchored. */
  readonly anchor: JournalAnchor | null
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

async function keepJournal(
  { journal, sampler, anchor }: OpenJournal,
  { host }: AgentCore,
  signal: AbortSignal,
): Promise<void> {
  const keepCounting = async (running: AbortSignal) => {
    while (!running.aborted) {
      await host.clock.sleep(countsMs, running)
      sampler.flush()
    }
  }
  const keepAnchored = async (running: AbortSignal) => anchor?.keepAnchored(running)
  await runTogether(signal, (running) => journal.keepWriting(running), keepCounting, keepAnchored)
  sampler.flush()
  journal.note('stop', {})
  await journal.flush()
}

/** Why the journal does not do what is wanted of it; null: it does. */
const failingOf = ({ journal, anchor }: OpenJournal) => journal.state.failing ?? anchor?.state.failing ?? null

/** BRK-123, BRK-124. */
function requireJournal(opened: OpenJournal): void {
  const failing = failingOf(opened)
  if (failing !== null) throw workloadApiErrors.error('journal_unavailable', `the journal: ${failing}`)
}

async function pageOf({ files }: OpenJournal, since: number): Promise<string> {
  const { lines, next, broken } = await readJournal(files, since)
  return `{"records":[${lines.join(',')}],"next":${next},"broken":${broken}}`
}

/** Of the log of this boot: some hundred anchors, and room for what workloads measure. */
const anchorBytes = 131_072
const anchorDomain = `${ownDomains}journal`

/**
 * Anchors do not make tokens old, as measurements of workloads do: they say nothing new of the guest, and each renewal would be
 * records that want the next anchor.
 */
function anchorOf({ loaded, host, log, guest, settings, metrics }: AgentCore, journal: Journal): JournalAnchor | null {
  const { anchor_every: every, anchor_register: register } = loaded.configuration.journal
  if (every === 0) return null
  const share = { bytes: anchorBytes, covers: (domain: string) => domain === anchorDomain }
  const extend = (content: string) =>
    extendRegister({ guest, settings }, { register, domain: anchorDomain, operation: 'anchor', content, share })
  const report = (failing: string | null) => {
    if (failing === null) log.info({ event: 'journal_anchored', register }, 'the journal is anchored again')
    else {
      metrics.journalFailed()
      log.error({ event: 'journal_anchor_failed', register, code: failing }, 'the journal cannot be anchored')
    }
  }
  return new JournalAnchor({ journal, clock: host.clock, every, register, extend, report })
}

async function open(core: AgentCore): Promise<OpenJournal> {
  const { host, log, loaded, metrics } = core
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
    written: (head) => anchor?.written(head),
  })
  const anchor = anchorOf(core, journal)
  return { files, journal, sampler: new Sampler(journal), anchor }
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
  if (required) core.gates.add(() => requireJournal(opened))
  return {
    tasks: [(signal) => keepJournal(opened, core, signal)],
    adopt: () => journal.note('reload', {}),
    failing: () => {
      const failing = required ? failingOf(opened) : null
      return failing === null ? [] : [`journal:${failing}`]
    },
    describe: () => ({ journal: { ...journal.state, anchor: opened.anchor?.state ?? null } }),
    admin: { journal: (since) => pageOf(opened, since) },
    support: async () => ({ journal: await recentRecords(opened) }),
  }
}
