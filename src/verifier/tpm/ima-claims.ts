import type { ImaFacts } from './judge-ima.ts'

/**
 * The claim tree `ima` (POL-431, tpm.md section 11). `facts.report` is null where the log does not hold: then only that
 * is said. Counts are over the covered records since the boot; nothing is ever said of those behind them but their number.
 * What was compared with nothing makes no claim: `not_allowed_count` and `excluded_count` without reference values of
 * files, `boot_aggregate_matched` where the PCRs that it needs are not quoted (IMA-13).
 */
export function imaClaims({ report }: ImaFacts): Record<string, unknown> {
  if (report === null) return { verified: false }
  const { counts, notAllowed, bootAggregate } = report
  const pcrs = bootAggregate?.pcrs ?? null
  return {
    verified: true,
    entry_count: report.records,
    pending_count: report.pending,
    violation_count: counts.violations,
    kexec_count: counts.kexec,
    unknown_template_count: counts.unknownTemplates,
    signature_invalid_count: counts.signatureInvalid,
    sha1_padded: report.isSha1Padded,
    ...(notAllowed === null ? {} : { not_allowed_count: notAllowed, excluded_count: counts.excluded }),
    ...(pcrs === null ? {} : { boot_aggregate_matched: true, boot_aggregate_pcrs: pcrs }),
  }
}
