/** The checks of quoted PCRs against reference values. */
export const referenceChecks = {
  'tpm.references.pcrs': {
    title: 'the quoted PCRs are those of one golden image',
    rule: 'TPM-25',
    remedy:
      'boot an image of which the reference values have the PCRs, or learn them from a machine in the wanted state with `attestd reference learn evidence --image`',
  },
} as const

export type TpmReferenceCheckId = keyof typeof referenceChecks
