import type { Appraisal, CheckDeclaration, Finding, Outcome } from '../../results/appraisal.ts'
import { type CommandIo, escaped, painted } from './terminal.ts'

export type CheckCatalogue = Readonly<Record<string, CheckDeclaration>>

const marks: Readonly<Record<Outcome, { sign: string; colour: 'green' | 'red' | 'yellow' | 'grey' }>> = {
  passed: { sign: 'passed   ', colour: 'green' },
  failed: { sign: 'FAILED   ', colour: 'red' },
  waived: { sign: 'waived   ', colour: 'yellow' },
  unreached: { sign: 'unreached', colour: 'grey' },
}

function findingLines(finding: Finding, catalogue: CheckCatalogue, io: CommandIo, width: number): string[] {
  const { sign, colour } = marks[finding.outcome]
  const declaration = catalogue[finding.id]
  const says = finding.detail ? `: ${escaped(finding.detail)}` : ''
  const line = `${painted(io, colour, sign)}  ${finding.id.padEnd(width)}  ${declaration?.title ?? ''}${says}`
  if (finding.outcome !== 'failed' || !declaration) return [line]
  return [line, `${' '.repeat(11 + width + 2)}${declaration.rule}: ${declaration.remedy}`]
}

/** One line a finding, with the remedy below those that failed. */
export function renderFindings(findings: readonly Finding[], catalogue: CheckCatalogue, io: CommandIo): string {
  const width = Math.max(...findings.map(({ id }) => id.length))
  return `${findings.flatMap((finding) => findingLines(finding, catalogue, io, width)).join('\n')}\n`
}

/** The last line of an appraisal: the verdict and what it rests on. */
export function renderVerdict({ affirmed, findings }: Pick<Appraisal, 'affirmed' | 'findings'>, io: CommandIo): string {
  const count = (outcome: Outcome) => findings.filter((finding) => finding.outcome === outcome).length
  const waived = count('waived') > 0 ? `, ${count('waived')} waived` : ''
  if (affirmed) return `${painted(io, 'green', 'affirmed')}: ${count('passed')} checks passed${waived}\n`
  const unreached = count('unreached') > 0 ? `, ${count('unreached')} unreached` : ''
  return `${painted(io, 'red', 'NOT affirmed')}: ${count('failed')} of ${findings.length} checks failed${unreached}${waived}\n`
}
