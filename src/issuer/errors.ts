import { declareErrors } from '../base/errors.ts'

export const issuerErrors = declareErrors({
  ISSUER_URL_INVALID: {
    kind: 'configuration',
    title: 'the issuer URL cannot be the `iss` of a token',
    remedy:
      'write it as `https://host/path`: no query, fragment, user, trailing slash or upper-case host, at most 255 characters; http only on loopback with the switch for it',
  },
  ISSUER_FOREIGN: {
    kind: 'configuration',
    title: 'the issuer URL belongs to another attestation service',
    remedy: 'use a host name of your own: tokens must not claim to come from a service that did not issue them',
  },
  ISSUER_LISTEN_FAILED: {
    kind: 'configuration',
    title: 'the issuer cannot listen at its address',
    remedy: 'choose an address of this host and a port that no other program uses',
  },
  PROXY_INVALID: {
    kind: 'configuration',
    title: 'a trusted proxy is neither an address nor a network',
    remedy: 'write `10.0.0.1`, `10.0.0.0/8`, `fd00::/8`, or `unix` for whoever speaks through the Unix socket',
  },
  AUDIENCE_POLICY_INVALID: {
    kind: 'configuration',
    title: 'a setting for an audience is out of range',
    remedy: 'correct the named setting; a token lives 60 to 86 400 s, and an audience is listed once',
  },
  CONSUMER_LIMIT: {
    kind: 'configuration',
    title: 'the consumer of an audience does not take such tokens',
    remedy: 'change the named setting of the audience, or take the consumer out of it',
  },
  TOKEN_TOO_LARGE: {
    kind: 'configuration',
    title: 'a token exceeds the size budget of its audience',
    remedy: 'issue fewer claims for this audience, or raise its budget if no HTTP header has to carry the token',
  },
  KEY_CONFIGURATION: {
    kind: 'configuration',
    title: 'the signing keys are configured in a way that consumers or rotation cannot follow',
    remedy: 'keep RS256 among the algorithms, and let a key live longer than its publication and retirement take',
  },
  KEY_UNSUITABLE: {
    kind: 'configuration',
    title: 'a key cannot be used for its algorithm',
    remedy:
      'use RSA with at least 2048 bits and exponent 65537 for RS256 and PS256, P-256 for ES256, P-384 for ES384, Ed25519 for EdDSA, and one algorithm per key',
  },
  KEY_STATE_UNREADABLE: {
    kind: 'configuration',
    title: 'the stored signing keys do not read',
    remedy:
      'restore the file from a backup; only if the keys are lost for good, move it away: new keys are made then, and tokens of the old ones no longer verify',
  },
  KEY_STATE_UNWRITABLE: {
    kind: 'unavailable',
    title: 'the signing keys cannot be stored',
    remedy:
      'make room on the disk and check owner and mode of the state directory; the former keys stay in use meanwhile',
  },
  KEY_UNKNOWN: {
    kind: 'unsupported',
    title: 'no such signing key',
    remedy: 'list the keys and name one of them',
  },
  SIGNING_KEY_NOT_READY: {
    kind: 'unavailable',
    title: 'no key of this algorithm may sign yet',
    remedy:
      'wait until the new key has been published long enough for every cached key set to hold it, or use another algorithm',
  },
  APPRAISAL_NOT_AFFIRMED: {
    kind: 'refused',
    title: 'the appraisal did not affirm the evidence',
    remedy: 'see the findings of the appraisal',
  },
  APPRAISAL_FROM_FUTURE: {
    kind: 'unavailable',
    title: 'the appraisal is dated after the present',
    remedy: 'synchronise the clock of the verifier; the next appraisal gets the right date',
  },
  AUDIENCE_INVALID: {
    kind: 'malformed',
    title: 'the audiences of a request cannot be those of a token',
    remedy: 'ask for 1 to 8 different audiences of 1 to 256 printable ASCII characters without space',
  },
  AUDIENCE_REFUSED: {
    kind: 'forbidden',
    title: 'no tokens are issued for this audience',
    remedy: 'add the audience to the configuration of the issuer',
  },
  AUDIENCES_DISAGREE: {
    kind: 'configuration',
    title: 'the audiences of one request have different subjects or algorithms',
    remedy: 'ask for one token per audience, or configure the audiences alike',
  },
  NONCE_INVALID: {
    kind: 'malformed',
    title: 'a nonce cannot be carried by a token',
    remedy: 'send at most 6 nonces of 8 to 88 characters',
  },
  TTL_INVALID: {
    kind: 'malformed',
    title: 'the requested lifetime is not a positive number of whole seconds',
    remedy: 'ask for whole seconds, or leave the lifetime out',
  },
  TOKEN_LIFE_TOO_SHORT: {
    kind: 'unavailable',
    title: 'a token would expire at once',
    remedy:
      'see which bound ends its life: renew the evidence, collateral or policy that it names, or ask for more time',
  },
  CHALLENGES_EXHAUSTED: {
    kind: 'unavailable',
    title: 'too many challenges are open',
    remedy: 'try again when open challenges have been used or have expired',
  },
})
