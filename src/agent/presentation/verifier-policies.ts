import { counted } from './counted.ts'
import { renderDiagnostics } from './policy-check.ts'
import { renderTable } from './table.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'
import type {
  ComparedPolicies,
  ListedPolicy,
  ListedVersion,
  PolicyHistory,
  PolicyOutcomeAnswer,
  ShownPolicy,
} from './verifier-answers.ts'

export const shownTime = (at: number): string => new Date(1000 * at).toISOString().replace('.000Z', 'Z')
export const row = (title: string, text: string): string => `${title.padEnd(13)}${text}\n`

/** So much of a hash tells versions apart for a person; programs get all of it. */
const shortHash = 16
const cutHash = (hash: string, { terminal }: Pick<CommandIo, 'terminal'>) =>
  terminal ? hash.slice(0, shortHash) : hash

/** A type has a shipped default; an id without a policy stands for none. */
const withoutPolicy = (slot: string) => (slot.startsWith('type:') ? 'shipped default' : 'none')

function versionCells(version: ListedVersion, io: Pick<CommandIo, 'terminal'>): string[] {
  const { number, form, signerKeySha256, at, by, policyHash } = version
  const signer = signerKeySha256 === null ? '-' : cutHash(signerKeySha256, io)
  return [String(number), form, shownTime(at), cutHash(policyHash, io), signer, by]
}

const versionHead = ['VERSION', 'FORM', 'SET', 'POLICY HASH', 'SIGNER', 'BY']

/** One line a policy, with its active version. */
export function renderPolicies(policies: readonly ListedPolicy[], io: CommandIo): string {
  if (policies.length === 0) return 'no policy was ever set; `attestd verifier status` shows which decide\n'
  const rows = policies.map(({ slot, active }) => [
    slot,
    ...(active === null ? [withoutPolicy(slot), '-', '-', '-', '-', '-'] : versionCells(active, io)),
  ])
  const untrusted = policies.filter(({ signerTrusted }) => signerTrusted === false).map(({ slot }) => slot)
  return renderTable(['POLICY', ...versionHead], rows) + renderUntrusted(untrusted, io)
}

/** Policies that stay active without the signature of anybody who is trusted, a line each, and what to do. */
export function renderUntrusted(slots: readonly string[], io: Pick<CommandIo, 'colour'>): string {
  if (slots.length === 0) return ''
  const says = painted(io, 'yellow', 'is active, and nobody who is trusted now has signed it')
  const remedy = '`policies set` it again, signed by one who is trusted, or take it out of use by `policies reset`'
  return `${slots.map((slot) => `${slot} ${says}\n`).join('')}${remedy}\n`
}

function lintsText({ lints }: ListedVersion): string {
  const { error, warning, info } = lints
  const found = [counted(error, 'error'), counted(warning, 'warning'), counted(info, 'remark')]
  return error + warning + info === 0 ? 'nothing doubtful' : found.slice(error === 0 ? 1 : 0).join(', ')
}

/** Everything about one version but its text. */
export function renderVersion({ slot, version, signerTrusted }: Omit<ShownPolicy, 'text' | 'upload'>): string {
  const { number, at, by, form, policyHash, policyTokenHash, digest, signerKeySha256 } = version
  return [
    row('policy', slot),
    row('version', `${number}, ${form}`),
    row('set', `${shownTime(at)} by ${by}`),
    row('policy hash', policyHash),
    ...(policyTokenHash === null ? [] : [row('token hash', policyTokenHash)]),
    row('sha-256', digest),
    row('signer', `${signerKeySha256 ?? 'nobody signed it'}${signerTrusted === false ? ', not trusted now' : ''}`),
    row('before', version.previousDigest ?? withoutPolicy(slot)),
    row('lint', lintsText(version)),
  ].join('')
}

/** For people: what stands in a text cannot write on their terminal. Programs get the text as it is. */
export function shownPolicyText(text: string, { terminal }: Pick<CommandIo, 'terminal'>): string {
  if (!terminal) return text
  const lines = text.split('\n').map((line) => line.split('\t').map(escaped).join('\t'))
  return text.endsWith('\n') ? lines.join('\n') : `${lines.join('\n')}\n`
}

function activationLine(slot: string, { at, by, action, number, previous }: PolicyHistory['activations'][number]) {
  const named = (version: number | null) => (version === null ? withoutPolicy(slot) : `version ${version}`)
  return `  ${shownTime(at)}  ${action.padEnd(8)}  ${named(previous)} -> ${named(number)}  by ${by}\n`
}

/** The versions of a policy and what was active when, newest first. */
export function renderPolicyHistory({ slot, active, versions, next, activations }: PolicyHistory, io: CommandIo) {
  const head = row('policy', slot) + row('active', active === null ? withoutPolicy(slot) : `version ${active}`)
  if (versions.length === 0) return `${head}no version was ever set\n`
  const table = renderTable(
    versionHead,
    versions.map((version) => versionCells(version, io)),
    (padded, at, column) => (column === 0 && versions[at]?.number === active ? painted(io, 'green', padded) : padded),
  )
  const more = next === null ? '' : `older versions: --before ${next}\n`
  return `${head}${table}${more}changes, newest first\n${activations.map((one) => activationLine(slot, one)).join('')}`
}

/** What became of a policy that was set or restored, below what the lint says of it. `file` is as the command line names it. */
export function renderOutcome(
  outcome: PolicyOutcomeAnswer,
  source: { file: string; bytes: Uint8Array },
  io: CommandIo,
) {
  const { slot, version, signer, changed } = outcome
  const signed = signer === null ? '' : `, signed by ${escaped(signer.subject ?? signer.keySha256)}`
  const is = changed ? 'is active now' : 'was active already: nothing was changed'
  const says = `${slot}: ${painted(io, 'green', `version ${version.number}`)} ${is}; policy hash ${version.policyHash}${signed}\n`
  return renderDiagnostics(version.diagnostics, source, io) + says
}

export function renderReset(slot: string, changed: boolean): string {
  const is = changed ? 'is active now' : 'was active already: nothing was changed'
  if (slot.startsWith('type:')) return `${slot}: the shipped default ${is}\n`
  return `${slot}: ${changed ? 'no policy is active any more' : 'no policy was active: nothing was changed'}\n`
}

const context = 3

/** What two texts do not share, line by line, with some lines around it. */
export function renderLineDifferences({ lines }: Pick<ComparedPolicies, 'lines'>, io: CommandIo): string {
  if (lines.every(({ is }) => is === 'same')) return 'the texts are the same\n'
  const near = lines.map((_, at) =>
    lines.slice(Math.max(0, at - context), at + context + 1).some(({ is }) => is !== 'same'),
  )
  const shown = lines.flatMap(({ is, line }, at) => {
    const text = shownPolicyText(line.replace(/\r$/, ''), { terminal: true }).replace(/\n$/, '')
    if (is === 'removed') return [painted(io, 'red', `- ${text}`)]
    if (is === 'added') return [painted(io, 'green', `+ ${text}`)]
    if (near[at]) return [`  ${text}`]
    return (near[at - 1] ?? true) ? ['  …'] : []
  })
  return `${shown.join('\n')}\n`
}
