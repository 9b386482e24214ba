import { declareErrors } from '../../base/errors.ts'

/** What the façade for clients of Azure Attestation refuses by itself (POL-902). */
export const azureErrors = declareErrors({
  AZURE_REQUEST_INVALID: {
    kind: 'malformed',
    title: 'a request in the style of Azure Attestation does not have the form that it must have',
    remedy: 'compare path, api-version, media type and body with the REST interface of Azure Attestation',
  },
  AZURE_OPERATION_REFUSED: {
    kind: 'forbidden',
    status: 400,
    title: 'an operation in the style of Azure Attestation is not possible here',
    remedy: 'see the message: the operation is switched off, or is never offered',
  },
  AZURE_UNAUTHORIZED: {
    kind: 'forbidden',
    status: 401,
    title: 'a request for the administration of policies carries no token of an administrator',
    remedy: 'send `Authorization: Bearer` with the token of which the configuration holds the SHA-256',
  },
  AZURE_NOT_FOUND: {
    kind: 'malformed',
    status: 404,
    title: 'the façade for clients of Azure Attestation has no such path',
    remedy: 'compare the path and the method with the REST interface of Azure Attestation',
  },
  AZURE_TOO_LARGE: {
    kind: 'malformed',
    status: 413,
    title: 'the body of a request in the style of Azure Attestation is too large',
    remedy: 'send at most 256 KiB',
  },
  AZURE_TOO_MANY: {
    kind: 'unavailable',
    status: 429,
    title: 'an address sends more requests, or more of them with a wrong token, than are taken from one',
    remedy: 'wait as long as `Retry-After` says; an administrator corrects the token',
  },
  AZURE_POLICY_ERRORS: {
    kind: 'malformed',
    title: 'a policy that was sent in the style of Azure Attestation does not load',
    remedy: 'correct the policy: attestd policy check shows all errors with their places',
  },
  AZURE_POLICY_DENIED: {
    kind: 'forbidden',
    status: 400,
    title: 'the policy did not permit a token in the style of Azure Attestation',
    remedy: 'see reason and lines in the message: attestd policy explain shows what each rule did',
  },
  AZURE_OVERLOADED: {
    kind: 'unavailable',
    title: 'more attestation requests come than are appraised',
    remedy: 'try again in a few seconds',
  },
  AZURE_CONFIGURATION: {
    kind: 'configuration',
    title: 'the façade for clients of Azure Attestation is configured in a way that cannot be served',
    remedy: 'correct the named setting: an https base URL, key and certificate for TLS, 1 to 32 administrators',
  },
  AZURE_LISTEN_FAILED: {
    kind: 'configuration',
    title: 'the façade for clients of Azure Attestation cannot listen at its address',
    remedy: 'choose an address of this host and a port that no other program uses',
  },
})
