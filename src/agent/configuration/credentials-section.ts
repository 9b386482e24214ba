import { z } from 'zod'
import { audience } from './value-forms.ts'

const unit = z
  .string()
  .max(255)
  .regex(
    /^(?!\.)[A-Za-z0-9:_.\\-]+(?:@[A-Za-z0-9:_.\\-]*)?\.(?:service|socket|mount|swap)$/,
    'must be a unit name such as payments.service, worker@3.service or worker@.service',
  )

const credential = z.strictObject({
  unit: unit.describe('the unit that loads it; `name@.service` stands for all instances'),
  id: z
    .string()
    .regex(/^(?!\.{1,2}$)[A-Za-z0-9._-]{1,255}$/, 'must be 1 to 255 letters, digits, dots, underscores and hyphens')
    .describe('its name, as in `LoadCredential=ID:PATH`'),
  audience: audience.describe('audience of the token; a rule for the unit and uid 0 must allow it'),
  issuer: z.string().min(1).exactOptional().describe('who issues; default: `callers.default_issuer`'),
  format: z
    .enum(['text', 'json'])
    .default('text')
    .describe('`text`: the token and nothing else; `json`: an object with `expires_at`'),
  member: z
    .string()
    .regex(/^(?!expires_at$)[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, 'must be a name, and not expires_at')
    .default('id_token')
    .describe('member of the token in format `json`'),
  wait_ms: z
    .int()
    .min(100)
    .max(60_000)
    .default(10_000)
    .describe('how long the start of the unit waits for a token, in milliseconds; then the credential is empty'),
})

/** Tokens that units load as credentials when they start. */
export const credentials = z
  .array(credential)
  .max(256)
  .default([])
  .describe('tokens for `LoadCredential=` of units, given out on the credential socket')
