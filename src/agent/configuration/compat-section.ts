import { z } from 'zod'
import { alibabaUri, awsContainer } from './cloud-sections.ts'
import { surfaceIssuer } from './surface-form.ts'
import { audience, path } from './value-forms.ts'

const confidentialSpace = z
  .strictObject({
    socket: path
      .default('/run/container_launcher/teeserver.sock')
      .describe('its socket, where the service manager passes none'),
    default_audience: audience
      .default('https://sts.googleapis.com')
      .describe('audience of a request that names none; a rule must still allow it'),
    issuer: surfaceIssuer,
    intel_issuer: z
      .string()
      .min(1)
      .exactOptional()
      .describe('who issues for `/v1/intel/token`; default: there is no such route'),
  })
  .optional()
  .describe('the socket of the Confidential Space launcher; off without this table')

const fly = z
  .strictObject({
    socket: path
      .default('/run/attestd/compat/fly.sock')
      .describe('its socket, where the service manager passes none; mount it at /.fly/api'),
    default_audience: audience
      .exactOptional()
      .describe('audience of a request that names none; default: the only one of `callers.default_audiences`'),
    issuer: surfaceIssuer,
  })
  .optional()
  .describe('the token route of the machine socket of Fly; off without this table')

/** Drop-in surfaces of other conventions, each off without its table (API-120). */
export const compat = z
  .strictObject({ confidential_space: confidentialSpace, fly, aws_container: awsContainer, alibaba_uri: alibabaUri })
  .prefault({})
