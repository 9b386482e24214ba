import { z } from 'zod'
import { alibabaUri, awsContainer } from './cloud-sections.ts'
import { consumerKeys, loopbackAddress } from './consumer-form.ts'
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

const listen = loopbackAddress.describe('where it listens: `127.0.0.1:PORT` or `[::1]:PORT`')
const defaultAudience = audience
  .exactOptional()
  .describe('audience of a request that names none; default: the only one of `callers.default_audiences`')

const github = z
  .strictObject({
    listen,
    default_audience: defaultAudience,
    issuer: surfaceIssuer,
    consumers: z
      .array(z.strictObject(consumerKeys))
      .min(1)
      .describe('who may ask, each with a secret of its own; a rule about its user is needed beside it'),
  })
  .optional()
  .describe('the token request of GitHub Actions; off without this table')

const gcpUrl = z
  .strictObject({
    listen,
    issuer: surfaceIssuer,
    consumers: z
      .array(z.strictObject({ ...consumerKeys, audience: audience.describe('audience of its tokens') }))
      .min(1)
      .describe('who may ask at `/gcp/NAME`, each with a secret of its own; a rule about its user is needed beside it'),
  })
  .optional()
  .describe('the URL source of `external_account` credentials of Google Cloud; off without this table')

const gceMetadata = z
  .strictObject({ listen, issuer: surfaceIssuer })
  .optional()
  .describe('the identity route of the metadata server of GCE; off without this table')

const cocoRest = z
  .strictObject({
    listen: loopbackAddress
      .default('127.0.0.1:8006')
      .describe('where it listens: `127.0.0.1:PORT` or `[::1]:PORT`; its clients know one port'),
    flavour: z
      .enum(['coco', 'trustiflux'])
      .default('coco')
      .describe('whose answers it gives: those of Confidential Containers, or of Trustiflux and TNG'),
    default_audience: defaultAudience,
    issuer: surfaceIssuer,
  })
  .optional()
  .describe('the REST API of the agents of Confidential Containers; off without this table')

/** Drop-in surfaces of other conventions, each off without its table (API-120). */
export const compat = z
  .strictObject({
    confidential_space: confidentialSpace,
    fly,
    github,
    gcp_url: gcpUrl,
    gce_metadata: gceMetadata,
    coco_rest: cocoRest,
    aws_container: awsContainer,
    alibaba_uri: alibabaUri,
  })
  .prefault({})
