import type { BoundStatements } from '../../issuer/attestation-api/ports.ts'
import type { VerifiedTrees } from '../../policies/index.ts'
import { encodeInput, UnfitInput } from '../../policies/rego/input-text.ts'
import { regoInputs } from '../../policies/rego/rego-input.ts'

/** The input document of bundles about one appraisal, as JSON text; or why no policy can be given it (POL-606). */
export type BundleInput = { readonly document: Uint8Array } | { readonly unfit: string }

/** Made where the appraisal is: an event log of megabytes is no work for the event loop. */
export function bundleInputOf(trees: VerifiedTrees, statements?: BoundStatements): BundleInput {
  const { initDataClaims, runtimeDataClaims } = statements ?? {}
  const said = {
    ...(initDataClaims ? { initDataClaims } : {}),
    ...(runtimeDataClaims ? { runtimeDataClaims } : {}),
  }
  const [input] = regoInputs('cpu', { trees, ...said })
  if (input === undefined) throw new TypeError('a guest has one input document')
  try {
    return { document: encodeInput(input) }
  } catch (error) {
    if (error instanceof UnfitInput) return { unfit: error.message }
    throw error
  }
}
