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
  })
  .prefault({})
