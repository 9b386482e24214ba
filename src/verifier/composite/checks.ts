import type { Checks } from '../../results/appraisal.ts'

export type CompositeCheckId = keyof typeof declared

const declared = {
  'composite.complete': {
    title: 'every kind of evidence that is required is there',
    rule: 'SVC-22',
    remedy:
      'see `attestd doctor` for the device that is missing; a kind that this guest does not have is not to be required',
  },
  'composite.nonce': {
    title: 'TD quote and TPM quote are bound to one challenge',
    rule: 'BRK-91',
    remedy: 'collect all evidence for one challenge again; parts of different rounds are not put together',
  },
  'composite.devices': {
    title: 'the TD quote covers exactly the TPM evidence that lies beside it',
    rule: 'BRK-92',
    remedy: 'send the TPM evidence whose digest the TD quote was made over, unchanged to the byte',
  },
} as const

/** What several parts must be to each other; each part has the checks of its kind besides. */
export const compositeChecks: Checks<CompositeCheckId> = declared
