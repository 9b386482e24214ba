import { z } from 'zod'

/** `127.0.0.1:PORT` or `[::1]:PORT`: nothing else is served over TCP, whatever the operator wants (API-09). */
export const loopbackAddress = z
  .string()
  .regex(
    /^(?:127\.0\.0\.1|\[::1\]):(?:[1-9]\d{0,3}|[1-5]\d{4}|6[0-4]\d{3}|65[0-4]\d{2}|655[0-2]\d|6553[0-5])$/,
    'must be 127.0.0.1:PORT or [::1]:PORT; no other address is ever served',
  )

/** The keys of a consumer that proves itself by a secret: part of the table of each consumer. */
export const consumerKeys = {
  name: z
    .string()
    .regex(/^[a-z0-9][a-z0-9-]{0,31}$/, 'must be lower-case letters, digits and hyphens')
    .describe('name of this consumer'),
  secret: z
    .string()
    .regex(/^(?:\/|credential:[A-Za-z0-9._-]{1,255}$)/, 'must be an absolute path or credential:NAME')
    .describe(
      'file with its secret or `sha256:` and the digest of it, mode 0400 or 0600; `credential:NAME` is a credential of the unit of the agent',
    ),
}
