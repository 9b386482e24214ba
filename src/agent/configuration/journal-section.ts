import { z } from 'zod'

/** The journal of what the agent did (broker.md section 12), in the folder `journal` of the state directory. */
export const journal = z
  .strictObject({
    enabled: z.boolean().default(false).describe('keeps a chained journal of tokens, denials and events'),
    required: z
      .boolean()
      .default(false)
      .describe('serves no tokens while the journal cannot be written; a full disk then stops serving'),
    keep: z.int().min(2).max(1024).default(8).describe('files of 16 MiB that are kept'),
    anchor_every: z
      .int()
      .min(0)
      .max(1_000_000)
      .refine((records) => records === 0 || records >= 64, 'must be 0, or 64 and more')
      .default(0)
      .describe('puts the hash of the newest record into a register each time that so many were written; 0: never'),
    anchor_register: z
      .enum(['rtmr3', 'pcr23'])
      .default('rtmr3')
      .describe('the register for that: of a TD, or a PCR of a TPM that has to be among `tpm.pcrs`'),
  })
  .prefault({})
