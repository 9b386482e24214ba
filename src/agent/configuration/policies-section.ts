import { z } from 'zod'
import { trustNames } from '../../policies/rego/trust-claims.ts'
import { path, policyId } from './value-forms.ts'

const evaluated = z.array(policyId).min(1).max(10).exactOptional()

const sha256 = z
  .string()
  .regex(/^[0-9a-fA-F]{64}$/, 'must be 64 hexadecimal digits')
  .exactOptional()
  .describe('`rego-wasm`, where it is required: SHA-256 of the file, as `sha256sum` prints it; another file is refused')

export const policyFile = z.strictObject({
  id: policyId.describe('name of the policy in lists of this section and in tokens'),
  engine: z
    .enum(['text', 'rego-wasm'])
    .default('text')
    .describe('what the file holds: a policy of the policy language, or a compiled bundle of Rego'),
  file: path.describe(
    '`text`: policy text, or a policy as JWS; `rego-wasm`: bundle.tar.gz or policy.wasm. Only root and the user of the agent may write it',
  ),
  sha256,
  require: z
    .array(z.enum(trustNames))
    .min(1)
    .exactOptional()
    .describe(
      '`rego-wasm`: names of the trust vector that must be affirming; default: hardware, executables, configuration',
    ),
  references: z
    .record(z.string(), z.json())
    .exactOptional()
    .describe('`rego-wasm`: what `query_reference_value(name)` gives, by name'),
})

export const policyFileSigners = z
  .array(path)
  .default([])
  .describe(
    'PEM files of certificates whose keys may sign policies; with one, texts must be signed with such a key. Shipped policies are no files, and bundles are pinned by `sha256`',
  )

/**
 * Appraisal policies of the bundled verifier (policy.md). Without the section none are evaluated: the requirements of
 * `verifier` are all that is asked, and tokens name them as the policy `builtin`.
 */
export const policies = z
  .strictObject({
    tdx: evaluated.describe(
      'policies for a TD, with or without a TPM: ids of `files` or names of shipped policies; all of them must permit. Default: the shipped default for the devices of the guest',
    ),
    tpm: evaluated.describe('policies for a guest with a TPM alone; as `tdx`'),
    signers: policyFileSigners,
    files: z
      .array(policyFile)
      .max(64)
      .default([])
      .describe(
        'site policies, at most eight of them bundles; `attestd reload` reads them again, and one that does not load changes nothing',
      ),
  })
  .exactOptional()
