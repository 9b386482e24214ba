import { Worker } from 'node:worker_threads'
import type { RegoBundle } from '../../policies/rego/bundle.ts'
import { regoErrors } from '../../policies/rego/errors.ts'
import { parseUnpacked, type UnpackedBundle } from './bundle-file.ts'
import type { ParsedBundle } from './bundle-worker.ts'

/** Bytes that are parsed where they are: in a few milliseconds, whatever they are. */
const longestHere = 256 << 10

const resourceLimits = { maxOldGenerationSizeMb: 128, maxYoungGenerationSizeMb: 16 }

const unreadable = (problem: string) => regoErrors.error('REGO_BUNDLE_UNREADABLE', problem)

function hear(unpacked: UnpackedBundle, entry: URL): Promise<ParsedBundle> {
  return new Promise((resolve, reject) => {
    const worker = new Worker(entry, { name: 'rego-bundle', workerData: unpacked, resourceLimits })
    worker.once('message', resolve)
    worker.once('error', reject)
    worker.once('exit', () => reject(unreadable('the thread that reads the bundle ended')))
  })
}

/**
 * Parses an unpacked bundle off the event loop, which a bundle that is made to take long would hold for a quarter of a
 * second at a reload; a short one at once. `entry` is the compiled `bundle-worker`. Throws as `parseUnpacked`, and
 * `REGO_BUNDLE_UNREADABLE` for what is wrong with a long one.
 */
export async function parseInThread(
  unpacked: UnpackedBundle,
  entry = new URL('./bundle-worker.js', import.meta.url),
): Promise<RegoBundle> {
  if (unpacked.bytes.length <= longestHere) return parseUnpacked(unpacked)
  const parsed = await hear(unpacked, entry).catch((error: NodeJS.ErrnoException) => {
    if (!error.code?.startsWith('ERR_WORKER_')) throw error
    throw unreadable(`there is no thread for it (${error.code})`)
  })
  if ('bundle' in parsed) return parsed.bundle
  throw unreadable(parsed.problem)
}
