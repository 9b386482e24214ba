import { AttestdError } from '../../base/errors.ts'
import type { JsonObject } from '../../base/json.ts'
import { bundleLimits } from '../../policies/rego/bundle.ts'
import { readGuardedFile } from '../configuration/read.ts'
import type { Configuration } from '../configuration/schema.ts'
import type { BundledPolicy } from '../embedded/appraisal-policies.ts'
import { openRegoPolicy, type RegoEngine, type RegoPolicy, requireOffered } from '../rego/open-rego-policy.ts'
import { parseInThread } from '../rego/parse-in-thread.ts'

/** One entry of `policies.files`. */
export type PolicyFile = NonNullable<Configuration['policies']>['files'][number]

/** What openings of bundles need beside the configuration; default: the installed engine. */
export type BundleEngine = Pick<RegoEngine, 'locate' | 'entry'>

const read = (path: string) => readGuardedFile(path, bundleLimits.file)

/** What decides beside the bundle, as it is opened. */
function settingsOf({ references = {} }: PolicyFile, { required, entrypoints }: RegoPolicy): JsonObject {
  return { require: [...required].sort(), entrypoints: [...entrypoints], references }
}

async function open(file: PolicyFile, sha256: string, engine: BundleEngine | undefined): Promise<BundledPolicy> {
  const { id, file: bundle, require, references } = file
  const config = {
    ...{ bundle, sha256, class: 'cpu' as const },
    ...(require === undefined ? {} : { require }),
    ...(references === undefined ? {} : { references }),
  }
  const policy = await requireOffered(await openRegoPolicy(config, { read, parse: parseInThread, ...engine }))
  // Reloads one after another would else leave as many threads behind as they opened bundles.
  policy.rest()
  return { id, hash: policy.hash, bundle: policy, settings: settingsOf(file, policy) }
}

/**
 * Opens a bundle that the configuration names; a function that it needs and never gets stands against it here, and not at
 * each token (POL-963). Gives what is wrong in the words of the configuration. A policy holds a thread only while it is
 * asked, and needs no closing: whoever replaced it may still wait for its answer.
 */
export async function openBundle(
  file: PolicyFile,
  sha256: string,
  engine?: BundleEngine,
): Promise<BundledPolicy | string> {
  try {
    return await open(file, sha256, engine)
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    const { message, remedy } = error
    const says = message.startsWith(file.file) ? message : `${file.file}: ${message}`
    return error.code.startsWith('REGO_') ? `${says}; ${remedy}` : says
  }
}
