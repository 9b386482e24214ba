import { z } from 'zod'
import { millisecondsOf } from './duration.ts'

const durationText = z
  .string()
  .refine((text) => millisecondsOf(text) !== undefined, 'must be a number with a unit: 250ms, 30s, 15m, 6h, 90d')

export const duration = (fallback: string) => durationText.default(fallback)

/** How long something may take: under a limit of nothing every device would count as stuck. */
export const timeLimit = (fallback: string) =>
  durationText.refine((text) => millisecondsOf(text) !== 0, 'must be more than nothing').default(fallback)

export const path = z.string().regex(/^\//, 'must be an absolute path')

/** Whether a device is part of the evidence. */
export const use = z.enum(['auto', 'required', 'off']).default('auto')

export const audience = z
  .string()
  .regex(/^[\x21-\x7e]{1,256}$/, 'must be 1 to 256 printable ASCII characters without space')

/** POL-442. */
export const policyId = z
  .string()
  .regex(/^[A-Za-z0-9._-]{1,128}$/, 'must be 1 to 128 letters, digits, dots, underscores and hyphens')

const addressForm = /^(?:\d{1,3}(?:\.\d{1,3}){3}|\[[0-9a-fA-F:]+\]):\d{1,5}$/

/** Where a server listens. */
export const numericAddress = z.string().regex(addressForm, 'must be ADDRESS:PORT with a numeric address')

/** The same, or the path of a Unix socket. */
export const addressOrPath = z
  .string()
  .refine(
    (text) => addressForm.test(text) || text.startsWith('/'),
    'must be ADDRESS:PORT with a numeric address, or an absolute path',
  )
