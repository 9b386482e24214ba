import type { Checks } from '../results/appraisal.ts'

export type ProofCheckId = keyof typeof declared

const declared = {
  'proof.header': {
    title: 'the token came with the scheme DPoP and exactly one proof',
    rule: 'TOK-143',
    remedy:
      'send `Authorization: DPoP <token>` and one header `DPoP` with a proof made for this request; a bound token is no bearer token',
  },
  'proof.syntax': {
    title: 'the proof is one compact JWS of bounded length with strict JSON and nothing that changes how it is read',
    rule: 'TOK-142',
    remedy: 'make the proof as RFC 9449 section 4.2 says, with at most 8192 characters and without crit, b64 and zip',
  },
  'proof.type': {
    title: 'the proof says that it is a proof',
    rule: 'TOK-142',
    remedy: 'set `typ` to `dpop+jwt`: another kind of signed text never stands for a proof',
  },
  'proof.algorithm': {
    title: 'the proof is signed by an accepted asymmetric algorithm',
    rule: 'TOK-142',
    remedy: 'sign with ES256, or add the algorithm to `proofAlgorithms`; `none` and HS* cannot be configured',
  },
  'proof.key': {
    title: 'the proof names the public key of its algorithm, and no private member',
    rule: 'TOK-142',
    remedy:
      'put the public JWK into the header of the proof; if a private member was sent, the key has been given away: make a new one',
  },
  'proof.signature': {
    title: 'the named key signed exactly the bytes received',
    rule: 'TOK-142',
    remedy: 'sign the proof with the key that it names; ECDSA signatures are r and s, not DER',
  },
  'proof.method': {
    title: 'the proof is for the method of the request',
    rule: 'TOK-142',
    remedy: 'make a proof for each request: `htm` is its method',
  },
  'proof.url': {
    title: 'the proof is for the URL of the request',
    rule: 'TOK-142',
    remedy:
      'make a proof for each request: `htu` is its URL without query; behind a proxy give the checker the URL that the client calls',
  },
  'proof.time': {
    title: 'the proof was made within a minute of now',
    rule: 'TOK-142',
    remedy: 'make the proof just before the request, and correct the clock of the client or of this host',
  },
  'proof.id': {
    title: 'the proof has an identifier of 1 to 128 characters',
    rule: 'TOK-142',
    remedy: 'give each proof a random `jti`',
  },
  'proof.token': {
    title: 'the proof was made for this token',
    rule: 'TOK-142',
    remedy: 'set `ath` to the base64url SHA-256 of the token that goes with the proof',
  },
  'proof.nonce': {
    title: 'the proof carries a nonce that the server gave',
    rule: 'TOK-142',
    remedy: 'repeat the request with a proof that has the nonce of the header `DPoP-Nonce` of the answer',
  },
  'proof.binding': {
    title: 'the key of the proof is the one that the token is bound to',
    rule: 'TOK-142',
    remedy:
      'sign with the key whose public half was sent as `cnf` when the token was fetched; a token without `cnf` cannot be proved',
  },
  'proof.replay': {
    title: 'the proof was not used before',
    rule: 'TOK-142',
    remedy: 'make a proof for each request; if the replay cache is full, raise its capacity',
  },
} as const satisfies Checks<string>

/** Every check of a proof of possession (RFC 9449 section 4.3), in the order in which findings list them. */
export const proofChecks: Checks<ProofCheckId> = declared
