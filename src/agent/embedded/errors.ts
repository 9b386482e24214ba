import { declareErrors } from '../../base/errors.ts'

/** What the embedded verifier says to the broker. */
export const embeddedErrors = declareErrors({
  EVIDENCE_NOT_AFFIRMED: {
    kind: 'refused',
    title: 'the evidence of this machine was appraised and not affirmed',
    remedy: '`attestd status` lists the failed checks with their remedies',
  },
  ENROLMENT_NOT_AFFIRMED: {
    kind: 'refused',
    title: 'the endorsement key of this TPM, or its certificate, is not trusted',
    remedy:
      '`attestd status` lists the failed checks; configure the CA of the TPM as `verifier.ek_anchors`, or pin its key as `verifier.ek_pinned`',
  },
  CHALLENGE_SPENT: {
    kind: 'unavailable',
    title: 'the challenge ran out before the evidence came',
    remedy:
      'the next attempt has a new challenge; if this lasts, the TPM takes minutes for a quote: see `attestd status`',
  },
  ISSUED_TOKEN_WRONG: {
    kind: 'distrusted',
    title: 'the issued token is not the one that was asked for',
    remedy: 'this is a fault of attestd: report it with the name of the check',
  },
  'AS.POLICY.DENIED': {
    kind: 'refused',
    status: 403,
    title: 'the evidence of this machine is genuine, and an appraisal policy does not permit a token for it',
    remedy:
      '`attestd status` shows what each policy said, with the lines of its rules; bring the machine into the state that the policy demands, or change the policy',
  },
  POLICY_UNKNOWN: {
    kind: 'unsupported',
    status: 400,
    title: 'a request names an appraisal policy that is not configured',
    remedy: 'name ids of the section `[policies]`, or none for the usual ones',
  },
  audience_unsupported: {
    kind: 'unsupported',
    status: 409,
    title: 'the issuer cannot put these audiences into a token',
    remedy: 'ask for one token for each audience, each of 1 to 256 printable ASCII characters',
  },
})
