import { z } from 'zod'
import { vendorAnchorNames } from '../../endorsements/trust-anchors.ts'
import { compat } from './compat-section.ts'
import { credentials } from './credentials-section.ts'
import { millisecondsOf } from './duration.ts'
import { imaPolicy } from './ima-section.ts'
import { journal } from './journal-section.ts'
import { measure, onMeasure } from './measure-section.ts'
import { policies } from './policies-section.ts'
import { registry } from './registry-section.ts'
import { remotes } from './remote-section.ts'
import { sinks, tokenFiles } from './sink-sections.ts'
import { collateral, tdx, tdxVerifierKeys } from './tdx-sections.ts'
import { audience, duration, numericAddress, path, timeLimit, use } from './value-forms.ts'

const pcr = z.int().min(0).max(23)
const bank = z.enum(['sha256', 'sha384', 'sha512', 'sha1'])
const hexDigest = z.string().regex(/^[0-9a-f]{64}$/, 'must be a SHA-256 value: 64 lower-case hexadecimal digits')
const characters = z
  .int()
  .min(1_024)
  .max(20_000)
  .describe('most characters of a token; above 8192 it may not fit into an HTTP header')
const subject = z.enum(['ek', 'workload', 'key'])

const agent = z
  .strictObject({
    state_directory: path
      .default('/var/lib/attestd')
      .describe('where keys are kept; 0700, owned by the user of the agent'),
    log_level: z.enum(['error', 'warn', 'info', 'debug']).default('info').describe('least severity that is logged'),
  })
  .prefault({})

const listen = z
  .strictObject({
    api: path.default('/run/attestd/api.sock').describe('workload socket, where the service manager passes none'),
    admin: path
      .default('/run/attestd/admin.sock')
      .describe('administrator socket, where the service manager passes none'),
    cred: path
      .exactOptional()
      .describe('credential socket, where the service manager passes none; default: there is none'),
  })
  .prefault({})

const tpm = z
  .strictObject({
    use: use.describe(
      '`required`: no token without the TPM; `auto`: where this guest has one at the start, and also where it has no other device',
    ),
    tcti: z.string().min(1).default('device:/dev/tpmrm0').describe('TCTI configuration string: name ":" settings'),
    transport: z
      .enum(['auto', 'tcti', 'device', 'swtpm'])
      .default('auto')
      .describe('`auto` takes libtss2-tctildr where it loads'),
    timeout: timeLimit('30s').describe('limit of one TPM command'),
    allow_tcti: z.array(z.string()).default([]).describe('further TCTI names beside device, swtpm, mssim, tabrmd'),
    simulator: z
      .boolean()
      .default(false)
      .describe('allows a simulated TPM; every token then says `attestd.simulated: true`'),
    key: z
      .enum(['ecdsa-p256', 'ecdsa-p384', 'rsassa-2048', 'rsapss-2048'])
      .default('ecdsa-p256')
      .describe('scheme of the attestation key; it takes effect when the key is created'),
    banks: z.array(bank).min(1).default(['sha256']).describe('banks to quote; sha384 is added where it is active'),
    pcrs: z.array(pcr).min(1).default([0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10, 11, 12, 13, 14]).describe('PCRs to quote'),
    event_log: path.default('/sys/kernel/security/tpm0/binary_bios_measurements').describe('UEFI event log'),
    runtime_log: path
      .default('/run/attestation-agent/tpm-eventlog')
      .describe('log of what PCRs were extended with through this agent; its folder is empty after every boot'),
    ima_log: path.default('/sys/kernel/security/ima/binary_runtime_measurements').describe('IMA log, binary form'),
  })
  .prefault({})

const verifier = z
  .strictObject({
    required_pcrs: z.array(pcr).min(1).default([0, 1, 2, 3, 4, 5, 6, 7]).describe('PCRs that the evidence must quote'),
    event_log: z
      .enum(['required', 'optional'])
      .default('optional')
      .describe('`required` refuses evidence without an event log that replays'),
    ima: z
      .enum(['required', 'optional'])
      .default('optional')
      .describe('`required` refuses evidence without an IMA log that replays'),
    ima_sha1_padded: z.boolean().default(false).describe('takes banks that an old kernel extended with padded SHA-1'),
    ima_policy: imaPolicy,
    references: z
      .array(path)
      .default([])
      .describe('documents of reference values, as `attestd reference` makes them: PCRs, measured files, keys'),
    tpm_firmware: z
      .array(z.string().regex(/^[0-9a-f]{16}$/, 'must be 16 lower-case hexadecimal digits'))
      .min(1)
      .exactOptional()
      .describe('accepted firmware versions of the TPM, as the claim `tpm.firmware_version` gives them; default: any'),
    ek_vendors: z
      .array(z.enum(vendorAnchorNames))
      .default([])
      .describe('makers of vTPMs whose certificate authority is trusted as it is known here'),
    ek_anchors: z
      .array(path)
      .default([])
      .describe('PEM files of roots or intermediates that vouch for EK certificates'),
    ek_intermediates: z.array(path).default([]).describe('PEM files of further certificates for building the chain'),
    ek_pinned: z
      .array(hexDigest)
      .default([])
      .describe('SHA-256 of the SubjectPublicKeyInfo of EKs that are trusted without a certificate'),
    crls: z.array(path).default([]).describe('CRL files, DER or PEM'),
    revocation: z
      .enum(['required', 'optional', 'off'])
      .default('optional')
      .describe('`required` refuses where a CRL is missing or stale'),
    instance_id: z.string().min(1).optional().describe('the EK certificate must name this instance'),
    ...tdxVerifierKeys,
  })
  .prefault({})

const audiencePolicy = z.strictObject({
  audience: audience.describe('exact audience that this entry is about'),
  subject: subject.optional().describe('what `sub` names for this audience'),
  lifetime: duration('15m').optional().describe('life of its tokens'),
  max_characters: characters.optional(),
  consumer: z
    .enum(['alibaba-sts', 'aws-sts', 'google', 'entra'])
    .optional()
    .describe('checks tokens against the limits of this consumer'),
})

const issuer = z.strictObject({
  url: z.string().min(1).describe('the `iss` of the tokens: https, no query, no trailing slash'),
  listen: numericAddress.optional().describe('where discovery document and key set are served, behind your TLS proxy'),
  allow_http_loopback: z.boolean().default(false).describe('allows an http URL on loopback, for trying things out'),
  algorithm: z
    .enum(['RS256', 'ES256', 'ES384', 'PS256', 'EdDSA'])
    .default('RS256')
    .describe('signing algorithm of new tokens'),
  lifetime: duration('15m').describe('life of a token, 60s to 24h'),
  rotation: duration('90d').describe('age at which a signing key is replaced'),
  ephemeral_keys: z.boolean().default(false).describe('keeps signing keys in memory only; tokens die with the process'),
  subject: subject
    .optional()
    .describe(
      'what `sub` names: the TPM (`ek`), what runs (`workload`), or the key of the request (`key`); default: `ek` with a TPM, else `workload`',
    ),
  subject_claims: z
    .array(z.string().min(1))
    .default([])
    .describe('claim paths of subject mode `workload`, such as `tpm.pcr.4`; a TD has a list of its own'),
  max_characters: characters
    .optional()
    .describe(
      'most characters of a token; above 8192 it may not fit into an HTTP header; default: 8192, and 12288 where a TD and a TPM attest together',
    ),
  audiences: z.array(audiencePolicy).default([]).describe('settings for single audiences'),
})

const callers = z
  .strictObject({
    default_issuer: z
      .string()
      .default('local')
      .describe('who issues where a request names nobody: `local`, or the name of a remote verifier'),
    default_rule: z
      .boolean()
      .default(false)
      .describe('lets every process that can open the socket have tokens for `default_audiences`'),
    default_audiences: z
      .array(audience)
      .default([])
      .describe('audiences of a request that names none, and of the default rule'),
    rules: z
      .array(z.record(z.string(), z.unknown()))
      .default([])
      .describe('who may have what; everything else is denied'),
  })
  .prefault({})

const broker = z
  .strictObject({
    warm: z
      .array(audience)
      .default([])
      .describe('audiences whose tokens are fetched at start and kept fresh without demand'),
    on_measure: onMeasure,
  })
  .prefault({})

/** The configuration file. `docs/configuration.md` is generated from it. */
export const configurationSchema = z.strictObject({
  agent,
  listen,
  tpm,
  tdx,
  verifier,
  policies,
  registry,
  collateral,
  issuer,
  remotes,
  callers,
  measure,
  journal,
  broker,
  token_files: tokenFiles,
  sinks,
  credentials,
  compat,
})

export type Configuration = z.infer<typeof configurationSchema>

/** A duration that the schema has accepted. */
export function requireDuration(text: string): number {
  const milliseconds = millisecondsOf(text)
  if (milliseconds === undefined) throw new TypeError(`${text} is not a duration`)
  return milliseconds
}
