import { declareErrors } from '../../base/errors.ts'

export const administrationErrors = declareErrors({
  ADMINISTRATION_FORBIDDEN: {
    kind: 'forbidden',
    title: 'who asks does not administer this verifier',
    remedy: 'ask as root or as the user of the verifier, on its machine',
  },
  ADMINISTRATION_REQUEST_INVALID: {
    kind: 'malformed',
    title: 'a request for the administration of the verifier is not one that can be read',
    remedy: 'correct the named field; docs/verifier-service.md has the routes',
  },
  ADMINISTRATION_MEDIA_TYPE: {
    kind: 'malformed',
    status: 415,
    title: 'the body of a request for the administration of the verifier is of another media type',
    remedy: 'send a policy as application/octet-stream, text/plain or application/jwt, all else as application/json',
  },
  ADMINISTRATION_TOO_LARGE: {
    kind: 'malformed',
    status: 413,
    title: 'the body of a request for the administration of the verifier is too large',
    remedy: 'send a policy of at most 256 KiB; its text may have 64 KiB',
  },
  ADMINISTRATION_NOT_FOUND: {
    kind: 'malformed',
    status: 404,
    title: 'the administration of the verifier has no such path and method',
    remedy: 'compare both with the routes in docs/verifier-service.md',
  },
  ADMINISTRATION_POLICY_UNKNOWN: {
    kind: 'malformed',
    status: 404,
    title: 'no policy of this id was ever set',
    remedy: 'attestd verifier policies list names all that there are',
  },
  ADMINISTRATION_POLICY_RESERVED: {
    kind: 'forbidden',
    title: 'the id is a name of the product',
    remedy: 'choose another id: not `default`, not `builtin`, and none that begins with `attestd-`',
  },
  ADMINISTRATION_POLICY_CONFIGURED: {
    kind: 'forbidden',
    title: 'the configuration of the verifier brings the policy of this id, and nothing in the store replaces it',
    remedy:
      'choose another id, or change the file that policies.files names for this one; both, and taking it out there, need a restart of the verifier',
  },
  ADMINISTRATION_POLICY_ERRORS: {
    kind: 'malformed',
    title: 'the policy does not load, and what was active before still is',
    remedy: 'correct the policy: attestd policy check shows all errors with their places',
  },
  ADMINISTRATION_RESET_UNSIGNED: {
    kind: 'forbidden',
    title: 'signers are trusted, and a reset that nobody signed is refused',
    remedy:
      'give a reset that a trusted signer signed (attestd policy sign --reset), or remove the signers first (attestd verifier signers remove)',
  },
  ADMINISTRATION_SIGNER_UNKNOWN: {
    kind: 'malformed',
    status: 404,
    title: 'no trusted signer has this hash',
    remedy: 'attestd verifier signers list names those that are trusted',
  },
  ADMINISTRATION_LISTENER: {
    kind: 'configuration',
    title: 'the administration of the verifier was to be served on something else than a Unix socket',
    remedy: 'give it a Unix socket: who may administer is known from who connects, and over a network from nothing',
  },
})

/** The error for one field of a request; `says` goes on where its name ends. */
export function invalidField(field: string, says: string) {
  return administrationErrors.error('ADMINISTRATION_REQUEST_INVALID', `${field} ${says}`, { facts: { field } })
}
