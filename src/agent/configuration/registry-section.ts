import { z } from 'zod'
import { path } from './value-forms.ts'

/** Where the bundled verifier keeps what it knows of TPMs. */
export const registry = z
  .strictObject({
    store: z
      .enum(['memory', 'embedded', 'postgresql'])
      .default('memory')
      .describe(
        '`memory`: enrolments and checkpoints last as long as the process; `embedded`: in a database of its own; `postgresql`: on a server',
      ),
    directory: path
      .optional()
      .describe('of the embedded database, 0700, for one process; default: `registry` in the state directory'),
    url_file: path
      .optional()
      .describe('file with the URL of the server, 0600: postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full'),
  })
  .prefault({})
