import { declareErrors } from '../../base/errors.ts'

/** What goes wrong between a token and the credentials of a cloud role. Codes and statuses are those of the surfaces. */
export const stsErrors = declareErrors({
  sts_refused: {
    kind: 'refused',
    status: 502,
    title: 'the cloud refused the role to this machine',
    remedy:
      'see `upstream_code`: compare issuer, audience and subject of the token, and the trust policy of the role, with what is registered at the cloud',
  },
  sts_unavailable: {
    kind: 'unavailable',
    title: 'the token service of the cloud does not answer, or answers that it cannot serve at present',
    remedy: 'ask again after `retry_after_ms`; if it stays, check the network and the endpoint',
  },
  sts_answer_invalid: {
    kind: 'refused',
    status: 502,
    title: 'what answers at the endpoint is no token service of this kind, or its credentials cannot be used',
    remedy: 'check `endpoint` in the table of this consumer, and the clock of this machine',
  },
  sts_token_size: {
    kind: 'refused',
    status: 502,
    title: 'the token is longer than the token service takes',
    remedy: 'issue fewer claims for this audience; `consumer` in [[issuer.audiences]] finds this before',
  },
  STS_CONSUMER_INVALID: {
    kind: 'configuration',
    title: 'a consumer of cloud credentials cannot be served as it is configured',
    remedy: 'correct the named key; docs/configuration.md lists the values',
  },
})
