import type { EvidenceKind } from '../claims/claim-entry.ts'
import type { ShippedPolicy } from '../defaults/shipped-policy.ts'
import { firstPolicy, gpuConfidentialComputing, tdxBaseline, tdxStrict } from './tdx-examples.ts'
import { compositeTdxTpm, tpmImaAllowList, tpmSecureBoot } from './tpm-examples.ts'

/** A policy to start from; unlike a default it may change between releases. */
export interface ExamplePolicy extends ShippedPolicy {
  /** The evidence that it is about. */
  readonly kinds: readonly EvidenceKind[]
}

/** The first one is what a newcomer edits first. */
export const examplePolicies: readonly ExamplePolicy[] = [
  { ...firstPolicy, kinds: ['tdx'] },
  { ...tdxBaseline, kinds: ['tdx'] },
  { ...tdxStrict, kinds: ['tdx'] },
  { ...tpmSecureBoot, kinds: ['tpm'] },
  { ...tpmImaAllowList, kinds: ['tpm', 'ima'] },
  { ...gpuConfidentialComputing, kinds: ['tdx', 'gpu'] },
  { ...compositeTdxTpm, kinds: ['tdx', 'tpm'] },
]
