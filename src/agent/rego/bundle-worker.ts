import { parentPort, workerData } from 'node:worker_threads'
import { AttestdError } from '../../base/errors.ts'
import type { RegoBundle } from '../../policies/rego/bundle.ts'
import { parseUnpacked, type UnpackedBundle } from './bundle-file.ts'

/** A bundle, or what is wrong with it. */
export type ParsedBundle = { readonly bundle: RegoBundle } | { readonly problem: string }

function parse(unpacked: UnpackedBundle): ParsedBundle {
  try {
    return { bundle: parseUnpacked(unpacked) }
  } catch (error) {
    if (error instanceof AttestdError) return { problem: error.message }
    throw error
  }
}

/** Parses the bundle that it was started with, and ends. */
parentPort?.postMessage(parse(workerData))
