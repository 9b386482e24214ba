import { declareErrors } from '../base/errors.ts'

export const resultsErrors = declareErrors({
  SUBJECT_UNPROVEN: {
    kind: 'refused',
    title: 'the subject of a token cannot be formed from what the evidence proved',
    remedy:
      'choose a subject mode whose inputs this guest can prove: `key` needs a bound key, `ek` an enrolled TPM with a verified EK chain, `workload` every claim of its list',
  },
  SUBJECT_RULE_INVALID: {
    kind: 'configuration',
    title: 'a subject rule does not say what the subject is formed from',
    remedy: 'list the claim paths of mode `workload`; only tdx has a default list',
  },
  CLAIM_MISSING: {
    kind: 'refused',
    title: 'the appraisal lacks a claim that every token of this kind carries',
    remedy: 'see the findings of the appraisal: a claim is present only if the check that covers it passed',
  },
  CLAIM_RESERVED: {
    kind: 'configuration',
    title: 'a policy issues a claim whose name belongs to the token profile',
    remedy: 'rename the claim in the issuance rule of the policy',
  },
})
