import { type AttestdError, declareErrors } from '../base/errors.ts'

const readContract = 'compare the request with the description of the workload API'

/** The problems of section 7 that arise in this room. Their codes are the codes of the API, verbatim. */
export const workloadApiErrors = declareErrors({
  invalid_request: {
    kind: 'malformed',
    title: 'the request does not have the form that the API prescribes',
    remedy: `${readContract}; the member \`field\` names the place`,
  },
  unsupported_token_type: {
    kind: 'malformed',
    title: 'the token type is not served',
    remedy: 'ask for token type OIDC',
  },
  caller_gone: {
    kind: 'forbidden',
    status: 401,
    title: 'the process that opened the connection is gone',
    remedy: 'let every process open its own connection: a connection dies with the process that opened it',
  },
  caller_changed: {
    kind: 'forbidden',
    status: 401,
    title: 'the process that opened the connection has changed its identity',
    remedy: 'open a new connection after a change of user or program',
  },
  consumer_unknown: {
    kind: 'forbidden',
    status: 401,
    title: 'the request does not bring the secret of a consumer',
    remedy: 'send the secret from the file of this consumer, once, in the header that the surface documents',
  },
  caller_unidentified: {
    kind: 'forbidden',
    title: 'the kernel cannot say who is calling',
    remedy: 'call from a process whose user is mapped in the namespace of the agent, or add a rule with its uid',
  },
  policy_denied: {
    kind: 'forbidden',
    title: 'no rule allows this request to this caller',
    remedy: 'let the operator add a rule for this caller; `attestd status` and /v1/explain show how it is seen',
  },
  browser_or_proxy: {
    kind: 'forbidden',
    title: 'requests relayed by a browser or a proxy are refused',
    remedy: 'call the socket directly from the workload, without the headers of browsers and proxies',
  },
  not_found: { kind: 'malformed', status: 404, title: 'there is no such route here', remedy: readContract },
  method_not_allowed: {
    kind: 'malformed',
    status: 405,
    title: 'the route does not have this method',
    remedy: 'use a method that the header Allow names',
  },
  not_acceptable: {
    kind: 'malformed',
    status: 406,
    title: 'none of the accepted media types can be given',
    remedy: 'accept application/jwt, text/plain or application/json',
  },
  request_timeout: {
    kind: 'malformed',
    status: 408,
    retryable: true,
    title: 'the request did not arrive in time',
    remedy: 'send the whole request at once',
  },
  audience_unsupported: {
    kind: 'unsupported',
    status: 409,
    title: 'the issuer cannot name this audience',
    remedy: 'ask for `issuer_audience`, or for none, or name an issuer that takes audiences',
  },
  ttl_unsupported: {
    kind: 'refused',
    status: 409,
    title: 'the issuer cannot give a token that is short-lived enough',
    remedy: 'raise the bound of the rule, or let the operator shorten the life of the tokens of this issuer',
  },
  body_too_large: {
    kind: 'malformed',
    status: 413,
    title: 'the body is too large',
    remedy: 'send a body of at most 16 KiB',
  },
  uri_too_long: {
    kind: 'malformed',
    status: 414,
    title: 'the request target is too long',
    remedy: 'send long values in the body of a POST',
  },
  unsupported_media_type: {
    kind: 'malformed',
    status: 415,
    title: 'the body is not declared as JSON',
    remedy: 'send Content-Type: application/json',
  },
  misdirected: {
    kind: 'malformed',
    status: 421,
    title: 'the request names another host',
    remedy: 'call 127.0.0.1, [::1] or localhost by that name',
  },
  configuration_invalid: {
    kind: 'configuration',
    status: 422,
    title: 'the new configuration was refused and the old one stays in force',
    remedy: 'correct what the member `errors` lists and reload again',
  },
  rate_limited: {
    kind: 'forbidden',
    status: 429,
    retryable: true,
    title: 'too many requests',
    remedy: 'repeat the request after the time that the answer names; keep a token until it has to be refreshed',
  },
  header_too_large: {
    kind: 'malformed',
    status: 431,
    title: 'the header section is too large',
    remedy: 'send at most 32 fields and 8 KiB',
  },
  internal: {
    kind: 'unavailable',
    status: 500,
    title: 'the agent has a fault',
    remedy: 'look into the log of the agent for the request id, and report the fault',
  },
  not_supported: {
    kind: 'unsupported',
    status: 501,
    title: 'this machine or this agent cannot do that',
    remedy: '`attestd doctor` shows what this host can attest',
  },
  evidence_unavailable: {
    kind: 'unavailable',
    title: 'no evidence can be collected at present',
    remedy: '`attestd doctor` shows the state of the devices; the request may be repeated',
  },
  identity_unavailable: {
    kind: 'unavailable',
    title: 'the identity of the caller could not be found out in time',
    remedy: 'repeat the request on a new connection; if it goes on, look into the log of the agent',
  },
  credential_peer: {
    kind: 'forbidden',
    title: 'what connected to the credential socket is not the service manager',
    remedy: 'use LoadCredential= in a unit of the system manager; nothing else may connect there',
  },
  credential_unknown: {
    kind: 'forbidden',
    title: 'no credential is configured for this unit and name',
    remedy: 'add [[credentials]] with exactly this unit and id, and reload the agent',
  },
  credential_too_large: {
    kind: 'unsupported',
    title: 'the credential is larger than the service manager takes',
    remedy: 'shorten the token: issuer.max_characters bounds it, fewer subject claims make it smaller',
  },
  journal_unavailable: {
    kind: 'unavailable',
    title: 'the agent cannot write its journal, and serves no tokens without it',
    remedy: 'free space where the state directory is; the agent goes on by itself',
  },
  too_many_connections: {
    kind: 'unavailable',
    title: 'all connections of the agent are in use',
    remedy: 'keep one connection open and close others; repeat the request later',
  },
  deadline_exceeded: {
    kind: 'unavailable',
    status: 504,
    title: 'the time that the caller granted is over',
    remedy: 'repeat the request; the work may have gone on and the answer may be ready then',
  },
})

/** The error of a member or header that is not what the API prescribes; `field` names it. */
export function invalidRequest(field: string, says: string): AttestdError {
  return workloadApiErrors.error('invalid_request', `${field}: ${says}`, { facts: { field } })
}

/** One text for whatever is not there, so that a wrong secret in a path is told as a wrong path is (API-155). */
export function noSuchRoute(): AttestdError {
  return workloadApiErrors.error('not_found', 'there is no such route on this socket')
}
