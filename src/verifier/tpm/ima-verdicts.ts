import type { BootAggregateMatch } from '../ima/boot-aggregate.ts'
import type { ImaLogVerdict } from '../ima/judge-ima-log.ts'
import type { TpmImaCheckId } from './ima-checks.ts'
import type { ImaPolicy } from './ima-policy.ts'
import { type ImaReport, namesOf } from './ima-report.ts'
import type { LogVerdict } from './log-replay.ts'

/** `waived` names the policy value that does without the check. */
export type ImaVerdict = LogVerdict | { readonly waived: string }

export type ImaVerdicts = readonly (readonly [TpmImaCheckId, ImaVerdict])[]

const pass = (detail: string): LogVerdict => ({ ok: true, detail })
const fail = (detail: string): LogVerdict => ({ ok: false, detail })
const unless = (problem: string | null, detail: string): LogVerdict => (problem === null ? pass(detail) : fail(problem))

/** More than the name of a number: `3 files`, `1 file`. */
const counted = (count: number, thing: string) => `${count} ${thing}${count === 1 ? '' : 's'}`

function replayVerdict({ covered, records, pending }: ImaLogVerdict, mismatch: string | null): LogVerdict {
  if (covered === null) {
    const says = `none of the prefixes of ${records} records leads to the quoted PCR`
    return fail(mismatch === null ? says : `${says}; ${mismatch}`)
  }
  return pass(`${covered} records are covered by the quote, ${pending?.records ?? records - covered} are pending`)
}

function sha1Verdict({ isSha1Padded, progress }: ImaLogVerdict): ImaVerdict {
  if (!isSha1Padded) return pass('every bank has values of its own hash')
  const accepted = progress !== null
  return accepted
    ? { waived: 'requirements.acceptSha1Padded takes values with the strength of SHA-1' }
    : fail('the kernel extends SHA-1 values padded with zeros')
}

function bootAggregateVerdict(match: BootAggregateMatch | null, policy: ImaPolicy): ImaVerdict {
  if (match === null) return fail('there is no boot_aggregate')
  const { pcrs, problem, lack } = match
  if (pcrs !== null) return pass(`over PCR ${pcrs}`)
  if (problem !== null || policy.bootAggregate === 'required') return fail(problem ?? lack ?? '')
  return { waived: `imaPolicy.bootAggregate is if-quoted; ${lack}` }
}

/** Of a log that leads nowhere: is it that of another boot? Where the quote does not tell, nothing is judged. */
function otherBootVerdict({ pcrs, problem }: BootAggregateMatch): ImaVerdicts {
  if (pcrs === null && problem === null) return []
  return [
    [
      'tpm.ima.bootAggregate',
      pcrs === null ? fail(`${problem}: the log may be of another boot`) : pass(`over PCR ${pcrs}`),
    ],
  ]
}

/**
 * The checks of the log itself (failure class F): where one fails nothing is claimed. Checks that have nothing to judge,
 * because no prefix of the log is covered, are left out. `mismatch` is what else is known of such a log.
 */
export function structureVerdicts(
  verdict: ImaLogVerdict,
  bootAggregate: BootAggregateMatch | null,
  policy: ImaPolicy,
  mismatch: string | null,
): ImaVerdicts {
  const { wrongColumn, progress } = verdict
  const column = wrongColumn === null ? null : `the template hash of record ${wrongColumn} is not that of its data`
  const always: ImaVerdicts = [
    ['tpm.ima.replay', replayVerdict(verdict, mismatch)],
    ['tpm.ima.column', unless(column, `${verdict.records} records`)],
    ...(verdict.covered === null ? [] : [['tpm.ima.sha1', sha1Verdict(verdict)] as const]),
  ]
  if (progress === null) return [...always, ...(bootAggregate === null ? [] : otherBootVerdict(bootAggregate))]
  return [
    ...always,
    ['tpm.ima.template', unless(verdict.templateProblem, `${progress.counts.unknownTemplates} of unknown templates`)],
    ['tpm.ima.pending', unless(verdict.pendingProblem, 'nothing that was pending has changed')],
    ['tpm.ima.registers', unless(verdict.registerProblem, counted(progress.counts.unquoted, 'record') + notCovered)],
    ['tpm.ima.firstRecord', unless(verdict.firstProblem, 'boot_aggregate')],
    ['tpm.ima.bootAggregate', bootAggregateVerdict(bootAggregate, policy)],
    ['tpm.ima.buffers', unless(verdict.bufferProblem, counted(progress.counts.buffers, 'buffer'))],
  ]
}

const notCovered = ' of PCRs that are not quoted'

/** Things that policy refuses or only reports. */
function bounded(
  count: number,
  value: 'refuse' | 'report' | 'allow',
  { name, things, names }: { readonly name: keyof ImaPolicy; readonly things: string; readonly names: string },
): ImaVerdict {
  const detail = `${things}: ${count}${names === '' ? '' : ` (${names})`}`
  if (count === 0) return pass(`no ${things}`)
  return value === 'refuse' ? fail(detail) : { waived: `imaPolicy.${name} is ${value}; ${detail}` }
}

function violationsVerdict(report: ImaReport, { maxViolations }: ImaPolicy): LogVerdict {
  const { violations } = report.counts
  const names = violations === 0 ? '' : `: ${namesOf(report, 'violation')}`
  const detail = `${counted(violations, 'violation')}, at most ${maxViolations} allowed${names}`
  return violations > maxViolations ? fail(detail) : pass(detail)
}

function filesVerdict(report: ImaReport, { unlistedFiles }: ImaPolicy): ImaVerdict {
  if (report.notAllowed === null) return { waived: 'inputs.references has no files to compare with' }
  const names = namesOf(report, 'changed', 'unlisted', 'unknown-template', 'unjudged')
  return bounded(report.notAllowed, unlistedFiles, {
    name: 'unlistedFiles',
    things: 'files that are not allowed',
    names,
  })
}

function kexecVerdict({ counts }: ImaReport, { kexec }: ImaPolicy): ImaVerdict {
  return bounded(counts.kexec, kexec, { name: 'kexec', things: 'further boot_aggregate records', names: '' })
}

/** The checks of what the covered records say (failure class "policy"): claims stand where they are only reported. */
export function contentVerdicts(report: ImaReport, policy: ImaPolicy): ImaVerdicts {
  const { counts } = report
  return [
    ['tpm.ima.violations', violationsVerdict(report, policy)],
    [
      'tpm.ima.templates',
      bounded(counts.unknownTemplates, policy.unknownTemplates, {
        ...{ name: 'unknownTemplates', things: 'records of unknown templates' },
        names: namesOf(report, 'unknown-template'),
      }),
    ],
    ['tpm.ima.files', filesVerdict(report, policy)],
    [
      'tpm.ima.signatures',
      bounded(counts.signatureInvalid, policy.invalidSignatures, {
        ...{ name: 'invalidSignatures', things: 'invalid signatures' },
        names: namesOf(report, 'signature-invalid'),
      }),
    ],
    [
      'tpm.ima.keys',
      bounded(counts.buffersNotAllowed, policy.unlistedKeys, {
        ...{ name: 'unlistedKeys', things: 'keys or buffers that are not listed' },
        names: namesOf(report, 'buffer-not-allowed'),
      }),
    ],
    ['tpm.ima.kexec', kexecVerdict(report, policy)],
  ]
}
