import { declareErrors } from '../../base/errors.ts'

/** What the adapters of remote verifiers refuse by themselves; failures of exchanges are `passportErrors`. */
export const remoteErrors = declareErrors({
  ENDPOINT_INVALID: {
    kind: 'configuration',
    title: 'the address of an attestation service cannot be used',
    remedy:
      'write it as `https://host`, without query, fragment and credentials; http only on loopback with the switch for it',
  },
  audience_unsupported: {
    kind: 'unsupported',
    status: 409,
    title: 'the issuer puts the same audience into every token',
    remedy: 'ask without audience, or with `issuer_audience`, or choose an issuer that names audiences',
  },
  nonce_unsupported: {
    kind: 'unsupported',
    status: 409,
    title: 'the issuer cannot bind nonces',
    remedy: 'ask without nonces, or choose an issuer that binds them',
  },
  request_unsupported: {
    kind: 'unsupported',
    status: 409,
    title: 'the issuer cannot do what the request asks for',
    remedy: 'ask without the named wish, or choose an issuer that fulfils it',
  },
})
