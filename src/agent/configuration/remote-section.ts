import { z } from 'zod'
import { audience, path, policyId } from './value-forms.ts'

const url = z.string().min(1).max(1024)

/** A remote verifier that issues tokens of its own. */
export const remotes = z
  .array(
    z.strictObject({
      name: z
        .string()
        .regex(/^(?!local$)[a-z][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and hyphens, and not "local"')
        .describe('what requests and rules of callers call it'),
      dialect: z.enum(['alibaba']).describe('the protocol that it speaks'),
      issuer: url.describe('the `iss` of its tokens, byte for byte; its keys are found below it'),
      endpoints: z
        .array(url)
        .default([])
        .describe('base URLs in the order in which they are tried; default: the issuer'),
      audience: audience.optional().describe('the `aud` of its tokens; default: the issuer'),
      jwks: path.optional().describe('JWK set file with its keys, in place of discovery'),
      policy_ids: z.array(policyId).max(10).default([]).describe('policies under which it is to appraise'),
      send_event_log: z.boolean().default(false).describe('sends the event log of the TD too'),
      allow_debug: z.boolean().default(false).describe('takes tokens about TDs in debug mode'),
      allow_http_loopback: z.boolean().default(false).describe('allows http on loopback, for trying things out'),
    }),
  )
  .default([])
  .describe('remote verifiers that issue tokens beside the bundled one')
