import { createHash } from 'node:crypto'
import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import {
  bundleLimits,
  formOfBundle,
  parseBarePolicy,
  parseRegoBundle,
  type RegoBundle,
} from '../../policies/rego/bundle.ts'
import { regoErrors } from '../../policies/rego/errors.ts'
import { readInput } from '../input-file.ts'

const unpack = promisify(gunzip)

async function unpacked(bytes: Uint8Array): Promise<Uint8Array> {
  try {
    return await unpack(bytes, { maxOutputLength: bundleLimits.unpacked })
  } catch (cause) {
    const { code } = cause as NodeJS.ErrnoException
    // Bugs have no code of zlib.
    if (code === undefined || !/^(?:Z_|ERR_BUFFER_TOO_LARGE)/.test(code)) throw cause
    const problem = code === 'ERR_BUFFER_TOO_LARGE' ? `unpacks to more than ${bundleLimits.unpacked} bytes` : code
    throw regoErrors.error('REGO_BUNDLE_UNREADABLE', `the bundle cannot be unpacked: ${problem}`, { cause })
  }
}

/** A bundle and the SHA-256 of its file, in lower-case hexadecimal (POL-711). */
export interface PinnedBundle {
  readonly bundle: RegoBundle
  readonly hash: string
}

function parse(bytes: Uint8Array, path: string): Promise<RegoBundle> | RegoBundle {
  const form = formOfBundle(bytes, path)
  if (form === 'bare') return parseBarePolicy(bytes)
  if (form === 'packed') return unpacked(bytes).then(parseRegoBundle)
  if (form === 'source') throw regoErrors.error('REGO_SOURCE', `${path} is Rego source`)
  throw regoErrors.error('REGO_BUNDLE_UNREADABLE', `${path} is neither a packed bundle nor a compiled policy`)
}

/**
 * Reads a bundle of at most 8 MiB. Its hash is compared before anything of it is parsed, sources excepted: whoever names a
 * source gets to hear how to compile it. Nothing of the policy runs. Throws `INPUT_UNREADABLE` and the codes of `regoErrors`.
 */
export async function readBundleFile(path: string, sha256: string): Promise<PinnedBundle> {
  const bytes = await readInput(path, bundleLimits.file)
  const hash = createHash('sha256').update(bytes).digest('hex')
  if (hash !== sha256.toLowerCase() && formOfBundle(bytes, path) !== 'source') {
    throw regoErrors.error('REGO_BUNDLE_HASH', `${path} has the SHA-256 ${hash}, and ${sha256} is pinned`)
  }
  return { bundle: await parse(bytes, path), hash }
}
