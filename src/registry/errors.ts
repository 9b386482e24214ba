import { declareErrors } from '../base/errors.ts'

export const registryErrors = declareErrors({
  enrolment_challenge_expired: {
    kind: 'refused',
    status: 410,
    title: 'there is no such open enrolment challenge',
    remedy: 'request a new challenge; one is good for five minutes, for one requester and for one right answer',
    retryable: true,
  },
  enrolment_challenge_refused: {
    kind: 'distrusted',
    title: 'the answer to an enrolment challenge is wrong',
    remedy: 'let the TPM that holds both keys open the challenge; after three wrong answers request a new one',
  },
  enrolment_challenges_exhausted: {
    kind: 'unavailable',
    status: 429,
    title: 'too many enrolment challenges are open',
    remedy: 'answer the open challenges, or wait five minutes until they end',
  },
  enrolment_conflict: {
    kind: 'unavailable',
    title: 'other changes of the same enrolment were faster, again and again',
    remedy: 'try again; if it lasts, find out who enrols the same TPM at the same time',
  },
  registry_full: {
    kind: 'unavailable',
    title: 'the registry holds as many enrolments as it may',
    remedy: 'release enrolments of machines that no longer exist, or raise the limit',
    retryable: false,
  },
  ak_unknown: {
    kind: 'forbidden',
    status: 404,
    title: 'the attestation key is not enrolled',
    remedy: 'enrol the attestation key: request a challenge and answer it',
  },
  enrolment_state: {
    kind: 'forbidden',
    title: 'the enrolment is suspended or revoked',
    remedy:
      'the operator of the verifier can resume a suspended enrolment (attestd registry resume), and release the EK of a revoked one (attestd registry release): then a new attestation key can be enrolled',
  },
  ek_revoked: {
    kind: 'forbidden',
    title: 'the EK certificate of the enrolment has expired or was revoked',
    remedy: 'obtain a current EK certificate and enrol again, or compare the clock of the verifier',
  },
  identity_conflict: {
    kind: 'forbidden',
    status: 409,
    title: 'another TPM is enrolled under this identity',
    remedy:
      'if the instance was replaced, let the operator of the verifier release the old enrolment (attestd registry release)',
  },
  rollback: {
    kind: 'distrusted',
    status: 409,
    title: 'the counters moved since the appraisal began',
    remedy: 'collect the evidence again; of two appraisals at the same time only one is accepted',
  },
  policy_slot: {
    kind: 'malformed',
    title: 'a policy cannot have this name',
    remedy: 'use 1 to 128 letters, digits, dots, underscores and hyphens',
  },
  policy_version_unknown: {
    kind: 'malformed',
    status: 404,
    title: 'there is no such version of the policy',
    remedy: 'name one of the versions that the history of the policy lists (attestd verifier policies history)',
  },
  policy_versions_full: {
    kind: 'unavailable',
    title: 'a policy has as many versions as it may',
    remedy: 'use another policy id: versions are never forgotten; find out who uploads so many',
    retryable: false,
  },
  policy_conflict: {
    kind: 'unavailable',
    title: 'other changes of policies were faster, again and again',
    remedy: 'try again; if it lasts, find out who changes policies at the same time',
  },
  policy_signer_last: {
    kind: 'forbidden',
    title: 'the last signer of policies can only be removed by the local administrator',
    remedy:
      'add another signer first, or remove this one on the machine of the verifier (attestd verifier signers remove)',
  },
  policy_signers_full: {
    kind: 'unavailable',
    title: 'as many signers of policies are trusted as may be',
    remedy: 'remove signers who sign no more',
    retryable: false,
  },
  policy_signer_key: {
    kind: 'forbidden',
    title: 'a key is not one that may sign policies',
    remedy: 'sign policies with a key of its own, RSA with at least 2048 bits or P-256, that never signs tokens',
  },
})
