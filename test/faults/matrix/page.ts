import { brokenBy, type FaultAbout, type Probe } from './fault.ts'

export interface Row {
  readonly fault: FaultAbout
  /** Null: it was not run. */
  readonly probe: Probe | null
}

const introduction = `# Fault matrix

Written by \`npm run fault-matrix\`; \`npm test\` runs those of them that take no more than
seconds. \`attestd fault-matrix\` repeats, with the installed package alone, those that need no process of their own. An observer beside the agent judges every answer by what the issuers gave and what the clocks say. *Expired*: tokens served at or after their end, or with less left than the floor. *Wrong*:
for another audience, unverified, or from before an invalidation. *Blocked*: readers who waited although a token was there that
satisfied them. *Recovery*: the bound that the longest recovery kept, from the end of the fault to the next token.

| # | fault | what is done, and must hold | expired | wrong | blocked | recovery | result |
|---|---|---|---|---|---|---|---|
`

export function renderRow({ fault, probe }: Row): string {
  const { id, fault: name, done, notRun, recoveryS } = fault
  if (probe === null) return `| ${id} | ${name} | ${done} | – | – | – | – | not run: ${notRun} |`
  const broken = brokenBy(fault, probe)
  const verdict = broken.length === 0 ? 'held' : `broken: ${broken.join('; ')}`
  const result = notRun === undefined ? verdict : `${verdict}; not run: ${notRun}`
  const counts = [probe.expired, probe.wrong, probe.blocked].join(' | ')
  return `| ${id} | ${name} | ${done} | ${counts} | ${recoveryS === undefined ? '–' : `≤ ${recoveryS} s`} | ${result} |`
}

/** The page docs/fault-matrix.md. */
export function renderPage(rows: readonly Row[]): string {
  return `${introduction}${rows.map(renderRow).join('\n')}\n`
}
