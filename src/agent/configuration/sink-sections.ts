import { z } from 'zod'
import { audience, path, timeLimit } from './value-forms.ts'

const name = z
  .string()
  .regex(/^[a-z0-9][a-z0-9._-]{0,63}$/, 'must be 1 to 64 lower-case letters, digits, dots, underscores and hyphens')

/** A path in its shortest form: what two sinks write to can be compared. */
const filePath = path.regex(/^(?:\/(?!\.\.?(?:\/|$))[^/\0]+)+$/, 'must be an absolute path without `.`, `..` and `//`')

const sink = z.strictObject({
  name: name.describe('what status, log and metrics call it'),
  path: filePath.describe('the file; its directory must exist, below one of `token_files.roots`'),
  audience: audience
    .optional()
    .describe('audience of its tokens; default: that of the issuer, where it has one for all'),
  issuer: z.string().default('local').describe('who issues: `local`, or the name of a remote verifier'),
  format: z
    .enum(['text', 'json', 'envoy-secret'])
    .default('text')
    .describe(
      '`text`: the token and nothing else; `json`: an object; `envoy-secret`: for secret discovery from a file',
    ),
  member: z
    .string()
    .regex(/^(?!expires_at$)[A-Za-z_][A-Za-z0-9_.-]{0,63}$/, 'must be a name, and not expires_at')
    .default('id_token')
    .describe('member of the token in format `json`, beside `expires_at`'),
  secret: z
    .string()
    .regex(/^[\x21-\x7e]{1,128}$/, 'must be 1 to 128 printable ASCII characters')
    .optional()
    .describe('name of the secret in format `envoy-secret`; default: the name of the sink'),
  layout: z
    .enum(['plain', 'projected'])
    .default('plain')
    .describe(
      '`projected`: a link to a link that is exchanged, as Kubernetes mounts volumes; needs a directory of its own',
    ),
  mode: z
    .string()
    .regex(/^0[46][04][04]$/, 'must be 0400, 0440, 0444 or the same with write permission for the owner')
    .default('0440')
    .describe('mode of the file; its group is that of the directory'),
  consumer: z
    .enum(['openid', 'alibaba-sts', 'aws-sts', 'google', 'vault', 'kubernetes', 'entra'])
    .default('openid')
    .describe('who reads it: longer tokens than this consumer takes are not written'),
  max_characters: z
    .int()
    .min(64)
    .max(65_536)
    .optional()
    .describe('most characters of its tokens, below what the consumer takes'),
  on_expiry: z
    .enum(['remove', 'rename'])
    .default('remove')
    .describe('what becomes of a file whose token has ended: `rename` adds `.expired`, for the agent alone to read'),
  remove_on_stop: z.boolean().default(false).describe('removes the file also while it is valid when the agent stops'),
  on_change: z
    .array(z.string().regex(/^[^\0]{1,1024}$/, 'must be 1 to 1024 characters, none of them NUL'))
    .min(1)
    .max(32)
    .optional()
    .describe('program (absolute path) and arguments, run without a shell after the content has changed'),
  on_change_user: z
    .string()
    .min(1)
    .max(64)
    .optional()
    .describe('user that the program runs as; default: that of the agent, and others only where it may change users'),
  on_change_timeout: timeLimit('30s').describe('after this the program and its children are killed'),
  allow_consumer_writable: z.boolean().default(false).describe('takes a directory that others may write into'),
  allow_disk: z.boolean().default(false).describe('takes a directory on a disk, where tokens outlive the power'),
})

/** Token files, which the agent keeps fresh by itself. */
export const sinks = z.array(sink).max(64).default([]).describe('token files, kept fresh without being asked for')

export const tokenFiles = z
  .strictObject({
    roots: z
      .array(filePath)
      .min(1)
      .max(16)
      .default(['/run/attestd/tokens'])
      .describe('directories below which token files may be'),
  })
  .prefault({})
