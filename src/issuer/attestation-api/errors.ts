import { declareErrors } from '../../base/errors.ts'

/**
 * What the attestation service answers with (attestation-service.md section 6). Codes and statuses are those that the
 * clients of such services know. `AS.POLICY.DENIED` is declared where policies are evaluated.
 */
export const attestationErrors = declareErrors({
  'AS.REQUEST.INVALID_JSON': {
    kind: 'malformed',
    title: 'the body is not JSON of the form that this route takes',
    remedy: 'send one JSON object without comments, trailing commas and repeated members, in UTF-8',
  },
  'AS.REQUEST.INVALID_ARGUMENT': {
    kind: 'malformed',
    title: 'the request is not one that this server can read',
    remedy: 'correct the named member; if none is named, check the URL and the headers of the request',
  },
  'AS.REQUEST.UNSUPPORTED_TEE': {
    kind: 'malformed',
    title: 'evidence of this kind is not appraised here',
    remedy: 'send the evidence of one TD with `"tee":"tdx"`',
  },
  'AS.REQUEST.NOT_FOUND': {
    kind: 'malformed',
    status: 404,
    title: 'nothing is served at this path',
    remedy: 'begin at the discovery document of the issuer',
  },
  'AS.REQUEST.METHOD_NOT_ALLOWED': {
    kind: 'malformed',
    status: 405,
    title: 'this path does not take this method',
    remedy: 'use a method that the header Allow names',
  },
  'AS.REQUEST.TIMEOUT': {
    kind: 'unavailable',
    status: 408,
    title: 'the request did not arrive in time',
    remedy: 'send header and body without a pause',
  },
  'AS.REQUEST.TOO_LARGE': {
    kind: 'malformed',
    status: 413,
    title: 'the body of the request is too large',
    remedy: 'send the evidence of one TD and nothing else; an event log has 2 MiB at most',
  },
  'AS.REQUEST.UNSUPPORTED_MEDIA_TYPE': {
    kind: 'malformed',
    status: 415,
    title: 'the body is not announced as JSON, or has an encoding that is not known',
    remedy: 'send `Content-Type: application/json`, and no `Content-Encoding`',
  },
  'AS.REQUEST.RATE_LIMITED': {
    kind: 'unavailable',
    status: 429,
    title: 'an address sends more requests than are taken from one',
    remedy: 'wait as long as `Retry-After` says',
  },
  'AS.CHALLENGE.INVALID_TOKEN': {
    kind: 'malformed',
    status: 401,
    title: 'the challenge is not one of this service, has expired, or has been used',
    remedy: 'fetch a new challenge and collect the evidence again',
  },
  'AS.EVIDENCE.INVALID_ENCODING': {
    kind: 'malformed',
    title: 'a member of the evidence is not encoded as it has to be',
    remedy: 'send `evidence` as base64url without padding, and what is binary inside as standard base64 with padding',
  },
  'AS.EVIDENCE.INVALID_FORMAT': {
    kind: 'malformed',
    title: 'the evidence does not have the members that it has to have',
    remedy: 'send an object with `quote`, and `cc_eventlog` where there is an event log',
  },
  'AS.EVIDENCE.INVALID_QUOTE': {
    kind: 'unsupported',
    title: 'the quote is not one of a TD that can be read',
    remedy: 'send the quote as the device gave it: whole, and nothing else',
  },
  'AS.EVIDENCE.VERIFICATION_FAILED': {
    kind: 'unsupported',
    title: 'the evidence was appraised and not affirmed',
    remedy: 'see the findings: each names its check, and docs/checks.md says what mends it',
  },
  'AS.EVIDENCE.BINDING_MISMATCH': {
    kind: 'unsupported',
    title: 'the evidence does not carry what it has to be bound to',
    remedy: 'collect the quote with the report data of this request, and send the log of the same machine and boot',
  },
  'AS.DEPENDENCY.BAD_RESPONSE': {
    kind: 'refused',
    retryable: true,
    title: 'the service that vouches for the platform gave an answer that cannot be used',
    remedy: 'try again later; whoever runs this service has to look at the source of its collateral',
  },
  'AS.DEPENDENCY.UNAVAILABLE': {
    kind: 'unavailable',
    title: 'something that the appraisal needs cannot be had at present',
    remedy: 'try again later; if it lasts, whoever runs this service has to look at the source of its collateral',
  },
  'AS.SERVICE.POLICY_MISSING': {
    kind: 'unavailable',
    title: 'a policy that this service evaluates by default is not in its store, or does not load any more',
    remedy:
      'whoever runs this service has to set it (`attestd verifier policies set --id NAME FILE`), or to name another one as `policies.default`',
  },
  'AS.SERVICE.OVERLOADED': {
    kind: 'unavailable',
    title: 'the service has more to do than it can',
    remedy: 'try again later',
  },
  'AS.INTERNAL.ERROR': {
    kind: 'unavailable',
    retryable: false,
    status: 500,
    title: 'the server failed to answer',
    remedy: 'tell whoever runs this service the `instance`: it is the key into the log',
  },
})
