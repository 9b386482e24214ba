import { z } from 'zod'

/** Of the PCRs those that no firmware, boot loader or kernel uses: records of workloads must not pass for theirs. */
const registers = ['rtmr2', 'rtmr3', 'pcr16', 'pcr23'] as const

/** Runtime measurements by workloads (workload-api.md 6.3); who may make them, the caller rules say. */
export const measure = z
  .strictObject({
    registers: z
      .array(z.enum(registers))
      .default(['rtmr3'])
      .describe('registers that callers with a rule for `measure` may extend; a PCR has to be among `tpm.pcrs`'),
  })
  .prefault({})

/** What a measurement does to tokens (broker.md section 8). */
export const onMeasure = z
  .enum(['soft', 'hard'])
  .default('soft')
  .describe('tokens after a measurement: `soft` serves them until new ones are there, `hard` does not')
