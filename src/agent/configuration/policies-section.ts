import { z } from 'zod'
import { path, policyId } from './value-forms.ts'

const evaluated = z.array(policyId).min(1).max(10).exactOptional()

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
    signers: z
      .array(path)
      .default([])
      .describe(
        'PEM files of certificates whose keys may sign policies; with one, files must hold policies that are signed with such a key (shipped policies are not files)',
      ),
    files: z
      .array(
        z.strictObject({
          id: policyId.describe('name of the policy in lists of this section and in tokens'),
          file: path.describe('policy text, or a policy as JWS; only root and the user of the agent may write it'),
        }),
      )
      .max(64)
      .default([])
      .describe('site policies; `attestd reload` reads them again, and one that does not load changes nothing'),
  })
  .exactOptional()
