import { z } from 'zod'
import { azure } from './azure-section.ts'
import { policyFile, policyFileSigners } from './policies-section.ts'
import { registry } from './registry-section.ts'
import { collateral, tdxVerifierKeys } from './tdx-sections.ts'
import { addressOrPath, duration, path, policyId } from './value-forms.ts'

const service = z
  .strictObject({
    state_directory: path
      .default('/var/lib/attestd-verifier')
      .describe('where keys, collateral and the embedded registry are kept; 0700, owned by the user of the service'),
    log_level: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('least severity that is logged'),
    listen: addressOrPath
      .default('127.0.0.1:8087')
      .describe(
        'where the attestation API, discovery document and key set are served: a numeric address with port, behind your TLS proxy, or the path of a Unix socket for its group',
      ),
    admin: path
      .default('/run/attestd-verifier/admin.sock')
      .describe('socket of the administration: for root and the user of the service'),
    allow_unbound: z
      .boolean()
      .default(false)
      .describe('takes requests without runtime data, as some published clients send them; nothing shows them fresh'),
    allowed_origins: z
      .array(z.string().refine(isWebOrigin, 'must be an origin as browsers send it, such as https://console.example'))
      .default([])
      .describe('web origins whose pages may ask; a request with any other `Origin` is refused'),
    trusted_proxies: z
      .array(z.union([z.literal('unix'), z.ipv4(), z.ipv6(), z.cidrv4(), z.cidrv6()]))
      .default([])
      .describe(
        'addresses or networks of proxies, or `unix` for the Unix socket, whose `X-Forwarded-For` names the client that limits count',
      ),
    bare_problems: z
      .boolean()
      .default(false)
      .describe('refusals say their code and the key into the log, and nothing of findings and policies'),
    threads: z
      .int()
      .min(1)
      .max(64)
      .exactOptional()
      .describe('appraisals at the same time; default: as many as there are processors, at most 8'),
  })
  .prefault({})

/** In the one form that browsers send: any other (capitals, the usual port, a wildcard) would never be met, and look as if it were. */
function isWebOrigin(text: string): boolean {
  return /^https?:\/\/[^*]+$/.test(text) && URL.canParse(text) && new URL(text).origin === text
}

const issuer = z.strictObject({
  url: z.string().min(1).describe('the `iss` and `aud` of the tokens: https, no query, no trailing slash'),
  allow_http_loopback: z.boolean().default(false).describe('allows an http URL on loopback, for trying things out'),
  lifetime: duration('6h').describe('life of a token, 60s to 24h'),
  rotation: duration('90d').describe('age at which a signing key is replaced'),
})

const tdx = z
  .strictObject({
    simulator: z
      .boolean()
      .default(false)
      .describe('allows simulated TDs, for tests; every token then says `attestd.simulated: true`'),
  })
  .prefault({})

const verifier = z.strictObject(tdxVerifierKeys).prefault({})

const policies = z
  .strictObject({
    default: z
      .array(policyId)
      .min(1)
      .max(10)
      .exactOptional()
      .describe(
        'ids of policies for requests that name none: of `files`, of the store, or shipped ones; default: the shipped one for TDs',
      ),
    signers: policyFileSigners,
    files: z
      .array(policyFile)
      .max(64)
      .default([])
      .describe(
        'policies that come with the machine and not from the store, at most eight of them bundles; their ids are never taken from the store',
      ),
  })
  .prefault({})

/** The configuration file of the verifier service. `docs/verifier-configuration.md` is generated from it. */
export const serviceSchema = z.strictObject({
  service,
  issuer,
  tdx,
  verifier,
  collateral,
  policies,
  registry,
  azure,
})

export type ServiceConfiguration = z.infer<typeof serviceSchema>
