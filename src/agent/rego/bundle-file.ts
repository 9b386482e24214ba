import { promisify } from 'node:util'
import { gunzip } from 'node:zlib'
import { bundleLimits, parseBarePolicy, parseRegoBundle, type RegoBundle } from '../../policies/rego/bundle.ts'
import { formOfBundle } from '../../policies/rego/bundle-form.ts'
import { regoErrors } from '../../policies/rego/errors.ts'
import { policyDigest } from '../../policies/signed/policy-hashes.ts'
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

/** A compiled policy, or the archive that it was packed in, unpacked. */
export interface UnpackedBundle {
  readonly form: 'bare' | 'packed'
  readonly bytes: Uint8Array
}

/** Reads what was unpacked, on the calling thread. Throws as `parseRegoBundle`. */
export function parseUnpacked({ form, bytes }: UnpackedBundle): RegoBundle {
  return form === 'bare' ? parseBarePolicy(bytes) : parseRegoBundle(bytes)
}

/** How a file is read and parsed. */
export interface BundleReading {
  /** Default: as a file that an operator names. At most 8 MiB; whoever reads bounds it. */
  readonly read?: (path: string) => Promise<Uint8Array>
  /** Default: on the calling thread, up to a quarter of a second for what is made to take long. */
  readonly parse?: (unpacked: UnpackedBundle) => Promise<RegoBundle> | RegoBundle
}

/** Says what a file is and unpacks it. Throws `REGO_SOURCE` and `REGO_BUNDLE_UNREADABLE`. */
export async function unpackedForm(bytes: Uint8Array, path: string): Promise<UnpackedBundle> {
  const form = formOfBundle(bytes, path)
  if (form === 'bare') return { form, bytes }
  if (form === 'packed') return { form, bytes: await unpacked(bytes) }
  if (form === 'source') throw regoErrors.error('REGO_SOURCE', `${path} is Rego source`)
  throw regoErrors.error('REGO_BUNDLE_UNREADABLE', `${path} is neither a packed bundle nor a compiled policy`)
}

const asInput = (path: string) => readInput(path, bundleLimits.file)

/**
 * Reads a bundle of at most 8 MiB. Its hash is compared before anything of it is parsed, sources excepted: whoever names a
 * source gets to hear how to compile it. Nothing of the policy runs. Throws `INPUT_UNREADABLE` and the codes of `regoErrors`.
 */
export async function readBundleFile(path: string, sha256: string, reading: BundleReading = {}): Promise<PinnedBundle> {
  const { read = asInput, parse = parseUnpacked } = reading
  const bytes = await read(path)
  const hash = policyDigest(bytes)
  if (hash !== sha256.toLowerCase() && formOfBundle(bytes, path) !== 'source') {
    throw regoErrors.error('REGO_BUNDLE_HASH', `${path} has the SHA-256 ${hash}, and ${sha256} is pinned`)
  }
  return { bundle: await parse(await unpackedForm(bytes, path)), hash }
}
