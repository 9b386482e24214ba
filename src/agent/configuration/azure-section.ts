import { z } from 'zod'
import { duration, numericAddress, path } from './value-forms.ts'

/** What either façade needs to be served. */
const served = {
  url: z.string().min(1).describe('base URL as clients know it, and `iss` of its answers: https, no trailing slash'),
  listen: numericAddress.describe('where it is served, over TLS'),
  certificate: path.describe('PEM file: certificate of the server, and those above it'),
  key: path.describe('PEM file: its key; only root and the user of the service may read it'),
}

const administrator = z.strictObject({
  name: z
    .string()
    .regex(/^[A-Za-z0-9._@-]{1,64}$/, 'must be 1 to 64 letters, digits, dots, _, - and @')
    .describe('who it is, for the history of policies'),
  token_sha256: z
    .string()
    .regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 value: 64 lower-case hexadecimal digits')
    .describe('SHA-256 of the bearer token, which has to be random: 32 bytes or more'),
})

/** Surfaces for clients of Azure Attestation: off, unless they are configured. */
export const azure = z
  .strictObject({
    attestation: z
      .strictObject({
        ...served,
        lifetime: duration('8h').describe('life of a token, 60s to 8h'),
      })
      .exactOptional()
      .describe('attestation of TDs in the style of Azure Attestation'),
    administration: z
      .strictObject({
        ...served,
        administrators: z.array(administrator).min(1).max(32).describe('who may change policies and signers'),
      })
      .exactOptional()
      .describe('administration of policies and signers for `@azure/attestation`'),
  })
  .prefault({})
