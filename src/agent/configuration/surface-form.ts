import { z } from 'zod'

/** Said by each surface: who issues there. Its name is checked with the settings. */
export const surfaceIssuer = z
  .string()
  .min(1)
  .exactOptional()
  .describe('who issues there: `local` or the name of a remote verifier; default: `callers.default_issuer`')
