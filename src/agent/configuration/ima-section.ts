import { z } from 'zod'
import { defaultImaPolicy } from '../../verifier/tpm/ima-policy.ts'

const refuseOr = <const Other extends string>(other: Other) => z.enum(['refuse', other])

/** What is asked of the content of an IMA log, beyond that it replays. */
export const imaPolicy = z
  .strictObject({
    max_violations: z
      .int()
      .min(0)
      .max(4_294_967_295)
      .default(defaultImaPolicy.maxViolations)
      .describe('files that may have been open for writing while they were measured, since boot'),
    unlisted_files: refuseOr('report')
      .default(defaultImaPolicy.unlistedFiles)
      .describe('files that the reference values do not have, or have with another digest'),
    signed_files: z
      .enum(['allow', 'report'])
      .default(defaultImaPolicy.signedFiles)
      .describe('`allow`: a valid signature by a listed key stands for the reference value of a file'),
    invalid_signatures: refuseOr('report')
      .default(defaultImaPolicy.invalidSignatures)
      .describe('files whose signature is not over their digest'),
    unlisted_keys: refuseOr('report')
      .default(defaultImaPolicy.unlistedKeys)
      .describe('keys and buffers that are not on the list of their name'),
    unknown_templates: refuseOr('report')
      .default(defaultImaPolicy.unknownTemplates)
      .describe('records whose content cannot be read'),
    kexec: z
      .enum(['allow', 'refuse'])
      .default(defaultImaPolicy.kexec)
      .describe('kernels that were started by another kernel, past the firmware'),
    boot_aggregate: z
      .enum(['required', 'if-quoted'])
      .default(defaultImaPolicy.bootAggregate)
      .describe('`if-quoted` waives the comparison where PCR 0 to 9 are not all quoted in its bank'),
  })
  .prefault({})
