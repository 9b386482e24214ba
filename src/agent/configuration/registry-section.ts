import { z } from 'zod'
import { path } from './value-forms.ts'

/**
 * Where the bundled verifier keeps what it knows of TPMs. Without the section it lasts as long as the process: a registry
 * inside the guest proves nothing to others (ENR-11), and is the only part of the agent that would need a database.
 */
export const registry = z
  .strictObject({
    store: z
      .enum(['memory', 'embedded', 'postgresql'])
      .exactOptional()
      .describe(
        '`embedded`: a database of its own; `postgresql`: a server; `memory`: as long as the process, as without this section. Default: `postgresql` with `url_file`, else `embedded`',
      ),
    directory: path
      .exactOptional()
      .describe('of the embedded database, 0700, for one process; default: `registry` in the state directory'),
    url_file: path
      .exactOptional()
      .describe('file with the URL of the server, 0600: postgresql://USER:PASSWORD@HOST/DATABASE?sslmode=verify-full'),
  })
  .exactOptional()
