import { declareErrors } from '../base/errors.ts'

/** What the broker answers (workload-api.md section 7). Codes and statuses are those of the problem documents. */
export const passportErrors = declareErrors({
  issuer_rejected: {
    kind: 'refused',
    status: 502,
    title: 'the verifier appraised this machine and refused it',
    remedy:
      'see `upstream_code` and the findings of the verifier: bring the machine into the state that its policy demands, or change the policy',
  },
  issuer_bad_token: {
    kind: 'distrusted',
    status: 502,
    retryable: true,
    title: 'the issuer sent a token that failed verification',
    remedy:
      'see `check`: compare `iss`, audience, key set and clock of the issuer with the configuration; if all agree, somebody stands between',
  },
  issuer_misconfigured: {
    kind: 'configuration',
    status: 502,
    title: 'the issuer cannot be used as it is configured',
    remedy: 'see `cause_code`: correct the settings of this issuer, then reload',
  },
  issuer_unavailable: {
    kind: 'unavailable',
    title: 'the issuer does not answer, or answers that it cannot serve at present',
    remedy: 'ask again after `retry_after_ms`; if it stays, check the network and the state of the issuer',
  },
  evidence_unavailable: {
    kind: 'unavailable',
    title: 'evidence of this machine could not be collected',
    remedy: 'see `cause_code`: `attestd doctor` says which device is missing and how to mend it',
  },
  quote_queue_full: {
    kind: 'unavailable',
    title: 'too many requests wait for evidence',
    remedy: 'ask again after `retry_after_ms`, and ask for fewer different tokens at once',
  },
  clock_unsafe: {
    kind: 'unavailable',
    title: 'the wall clock is not believable, so no new token can be judged',
    remedy:
      'synchronise the clock of this machine (or of the issuer, if `skew_s` is given); if it was ahead and is right again, restart the agent, which has seen a later time; tokens at hand stay served',
  },
  deadline_exceeded: {
    kind: 'unavailable',
    status: 504,
    title: 'the time that the caller granted ran out',
    remedy: 'grant more time (`timeout_ms`), or ask again: the work may have gone on and be done',
  },
  draining: {
    kind: 'unavailable',
    title: 'the agent is stopping',
    remedy: 'ask again: the next instance will answer',
  },
  min_valid_unattainable: {
    kind: 'unsupported',
    status: 409,
    title: 'no token of this issuer lives as long as the caller demands',
    remedy: 'demand at most `max_valid_s`, or configure a longer lifetime at the issuer',
  },
})

export type PassportCode = keyof typeof passportErrors.declared
