import type { Checks } from '../results/appraisal.ts'

export type TokenCheckId = keyof typeof declared

const declared = {
  'token.syntax': {
    title: 'the token is one compact JWS of bounded length in strict base64url',
    rule: 'TOK-70',
    remedy:
      'pass the token as it was issued: no newline, no padding, no prefix such as "Bearer", not the JSON form of JWS',
  },
  'token.json': {
    title: 'header and payload are JSON objects that every parser reads alike',
    rule: 'TOK-71',
    remedy: 'fetch a new token; one with duplicate members, a byte order mark or invalid UTF-8 was not made by attestd',
  },
  'token.type': {
    title: 'the token is of type JWT, not another kind of token signed by the same keys',
    rule: 'TOK-72',
    remedy: 'pass the ID token (the attestation token), not an access token, a logout token or a proof',
  },
  'token.crit': {
    title: 'the header changes nothing about how the token is read (no crit, b64, zip)',
    rule: 'TOK-73',
    remedy: 'use an issuer that signs plain tokens; no header extension is supported',
  },
  'token.header': {
    title: 'the header brings no key of its own',
    rule: 'TOK-74',
    remedy: 'treat the sender as hostile: attestd never puts jwk, jku or x5c into a token',
  },
  'token.algorithm': {
    title: 'the signature algorithm is one of the configured',
    rule: 'TOK-80',
    remedy: 'add the algorithm to `algorithms` if the issuer announces it; `none` and HS* cannot be configured',
  },
  'token.key': {
    title: 'exactly one trusted key of the issuer has this kid and allows this algorithm (TOK-82: after one refetch)',
    rule: 'TOK-81',
    remedy:
      'check that `issuer` and `keys` belong to the service that issued the token; a key that was revoked or removed stays refused',
  },
  'token.signature': {
    title: 'the key signed exactly the bytes received',
    rule: 'TOK-83',
    remedy: 'fetch a new token: this one was changed on its way, or was never signed by the issuer',
  },
  'token.issuer': {
    title: 'the issuer is the configured one, byte for byte',
    rule: 'TOK-90',
    remedy: 'configure `issuer` exactly as the discovery document spells it; a trailing slash makes another issuer',
  },
  'token.audience': {
    title: 'the token was issued for this audience',
    rule: 'TOK-91',
    remedy:
      'let the workload request a token for your audience; never accept a token that was made for another service',
  },
  'token.azp': {
    title: 'a token for several audiences, or with an authorized party, was issued to the configured client',
    rule: 'TOK-92',
    remedy: 'configure `clientId` as the client that requests the tokens, or let it request one audience',
  },
  'token.times': {
    title: 'the token is valid now, and its times are whole seconds in the right order',
    rule: 'TOK-93',
    remedy: 'fetch a new token; if new tokens fail too, correct the clock of the issuer or of this host',
  },
  'token.age': {
    title: 'the token was issued recently, however long it is valid',
    rule: 'TOK-94',
    remedy: 'fetch a new token, or raise `maxTokenAgeS` if older attestations are good enough for you',
  },
  'token.nonce': {
    title: 'the token carries the nonces that were sent for it',
    rule: 'TOK-95',
    remedy: 'let the workload request its token with the nonce of this exchange, and check that none is replayed',
  },
  'token.subject': {
    title: 'the token has a usable subject, and it is the expected one',
    rule: 'TOK-96',
    remedy: 'check which guest sent the token; a changed subject is another guest, other software or a new key',
  },
  'token.hashes': {
    title: 'the access token and the code that came with the token belong to it',
    rule: 'TOK-97',
    remedy: 'start the authorization again: tokens or codes of two exchanges were mixed',
  },
  'token.replay': {
    title: 'the token was not accepted before',
    rule: 'TOK-98',
    remedy: 'fetch a new token for each use; if the replay cache is full, raise its capacity',
  },
  'token.context': {
    title: 'the appraisal reached the requested context class and is as recent as requested',
    rule: 'TOK-99',
    remedy: 'let the guest attest all requested kinds, and request with `max_age` so that `auth_time` is present',
  },
  'token.profile': {
    title: 'the token has the configured profile',
    rule: 'TOK-100',
    remedy: 'configure `profile` as the issuer issues tokens',
  },
  'token.tee': {
    title: 'the kind of evidence is one of the accepted',
    rule: 'TOK-101',
    remedy: 'add the kind to `tee` if you accept what it proves',
  },
  'token.tcbStatus': {
    title: 'tcb-status of profile alibaba is a string of one flat object',
    rule: 'TOK-102',
    remedy: 'check that the issuer is the service that you configured; its tokens hold `tcb-status` as text',
  },
  'token.reportData': {
    title: 'the quote covers the expected report data',
    rule: 'TOK-103',
    remedy: 'let the guest attest with the report data of this exchange; another value means another exchange',
  },
  'token.runtimeData': {
    title: 'structured runtime data, where present, hashes to the report data',
    rule: 'TOK-104',
    remedy: 'do not trust the runtime data: it is not what the guest attested',
  },
  'token.initData': {
    title: 'the TD was started with the expected initialisation data',
    rule: 'TOK-105',
    remedy: 'start the guest with the expected init data, or configure the digest that it was started with',
  },
  'token.debug': {
    title: 'no part of the guest is in debug mode',
    rule: 'TOK-106',
    remedy: 'start the guest without debug: its owner could read its memory; `allowDebug` is for development only',
  },
  'token.measurements': {
    title: 'every configured measurement is in its reference set',
    rule: 'TOK-107',
    remedy: 'run the expected image, or add its measurements to the reference set after a build that you trust',
  },
  'token.tcb': {
    title: 'the platform has an accepted TCB status',
    rule: 'TOK-108',
    remedy:
      'let the host be updated, or accept the status in `requireTcbStatus`; profile alibaba carries no verdict: use profile attestd or verify the quote',
  },
  'token.policies': {
    title: 'the verifier evaluated every required policy',
    rule: 'TOK-109',
    remedy: 'request the token with the required policy ids; a changed hash is a changed policy',
  },
  'token.simulated': {
    title: 'no part of the evidence was simulated',
    rule: 'TOK-110',
    remedy: 'attest on real hardware; `allowSimulated` is for development only',
  },
  'token.possession': {
    title: 'the sender proved possession of the key that the token is bound to',
    rule: 'TOK-111',
    remedy:
      'see the findings of the proof. Let the workload fetch its token with a proof key (`cnf`) and send `Authorization: DPoP` with a proof; set `requirePossession` to false only where a stolen token is an acceptable risk',
  },
  'token.binding': {
    title: 'the parts of a composite token were shown to belong to one guest',
    rule: 'TOK-112',
    remedy: 'let the guest attest its parts with one binding; parts of several machines must not be combined',
  },
  'token.inclusion': {
    title: 'the quote committed to the very request that the token answers',
    rule: 'BRK-86',
    remedy:
      'treat the token as hostile: its audience, nonces or key are not those that were attested. If it carries no proof at all, its issuer is older or another: leave `requireCommitment` unset only if the issuer alone is enough for you',
  },
} as const satisfies Checks<string>

/** Every check of a token, in the order in which findings list them: the table of the token specification, section 8. */
export const tokenChecks: Checks<TokenCheckId> = declared
