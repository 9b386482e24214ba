import { z } from 'zod'
import { consumerKeys, loopbackAddress } from './consumer-form.ts'
import { millisecondsOf } from './duration.ts'
import { surfaceIssuer } from './surface-form.ts'
import { audience, duration } from './value-forms.ts'

const [shortestMs, longestMs] = [900_000, 43_200_000]

const lifetime = duration('1h')
  .refine((text) => {
    const ms = millisecondsOf(text) ?? 0
    return ms >= shortestMs && ms <= longestMs
  }, 'must be 15m to 12h')
  .describe('life of the credentials, 15m to 12h; the cloud bounds it by the settings of the role')

const shared = {
  ...consumerKeys,
  endpoint: z.string().min(1).max(256).describe('`https://HOST` of the token service of the cloud'),
  audience: audience.describe('audience of the token for the cloud; a rule must allow it to the consumer'),
  lifetime,
  allow_http_loopback: z
    .boolean()
    .default(false)
    .describe('allows an http endpoint on loopback, for trying things out'),
}

const roleIn = (form: RegExp) =>
  z.string().regex(form, 'must be the ARN of a role').describe('ARN of the role that it gets')

/** `told`: what its form allows besides. */
const sessionNameOf = (form: RegExp, told: string) =>
  z
    .string()
    .regex(form, `must be 2 to 64 letters, digits and ${told}`)
    .exactOptional()
    .describe('name of its sessions in the trail of the cloud; default: `attestd-` and its name')

/** The table of a surface whose consumers each have what is shared and `own`. */
function surfaceOf<Own extends z.ZodRawShape>(
  own: Own,
  { consumers, surface }: Record<'consumers' | 'surface', string>,
) {
  return z
    .strictObject({
      listen: loopbackAddress.describe('address of the surface; loopback only'),
      issuer: surfaceIssuer,
      consumers: z
        .array(z.strictObject({ ...shared, ...own }))
        .min(1)
        .max(64)
        .describe(consumers),
    })
    .optional()
    .describe(`${surface}; off without this table`)
}

export const awsContainer = surfaceOf(
  {
    role: roleIn(/^arn:aws[a-z-]{0,16}:iam::[0-9]{12}:role\/[\w+=,.@/-]{1,512}$/),
    session_name: sessionNameOf(/^[\w+=,.@-]{2,64}$/, '_+=,.@-'),
  },
  {
    consumers: 'who gets which role',
    surface: 'credentials of AWS roles for `AWS_CONTAINER_CREDENTIALS_FULL_URI`',
  },
)

export const alibabaUri = surfaceOf(
  {
    role: roleIn(/^acs:ram::[0-9]{1,32}:role\/[A-Za-z0-9._-]{1,64}$/),
    oidc_provider: z
      .string()
      .regex(/^acs:ram::[0-9]{1,32}:oidc-provider\/[A-Za-z0-9._-]{1,128}$/, 'must be the ARN of an OIDC provider')
      .describe('ARN of the OIDC provider that stands for the issuer'),
    session_name: sessionNameOf(/^[A-Za-z0-9.@_-]{2,64}$/, '.@_-'),
  },
  {
    consumers: 'who gets which role; the secret is a part of the URI and has 43 characters of base64url',
    surface: 'credentials of Alibaba Cloud roles for `ALIBABA_CLOUD_CREDENTIALS_URI`',
  },
)
