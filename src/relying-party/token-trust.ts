import type { JsonObject } from '../base/json.ts'
import type { Tee } from '../results/acr.ts'
import type { TokenAlgorithm } from './algorithms.ts'
import type { IssuerKeysOptions } from './issuer-keys.ts'
import type { KeySource } from './key-source.ts'
import type { Measurements } from './measurements.ts'
import type { PresentedProof } from './presented-proof.ts'
import type { ReplayCache } from './replay-cache.ts'
import type { TokenClock } from './token-clock.ts'

/** `attestd` (default) is an OpenID ID token; `alibaba` is the form of Alibaba Cloud's hosted service. */
export type TokenProfile = 'attestd' | 'alibaba'

/** A policy that the verifier must have evaluated; with `hash` exactly that text of it. */
export type RequiredPolicy = string | { readonly id: string; readonly hash: string }

/** A JSON Web Key Set, RFC 7517 section 5: public keys only. */
export interface JsonWebKeySet {
  readonly keys: readonly Readonly<Record<string, unknown>>[]
}

/**
 * Where the issuer's keys come from: a set that you hold; discovery under the issuer's URL (fetched on first use, see
 * `discoverKeys`); or a source that several verifiers share.
 */
export type TrustedKeys =
  | { readonly jwks: JsonWebKeySet }
  | { readonly discovery: IssuerKeysOptions }
  | { readonly source: KeySource }

/**
 * What a relying party trusts and demands: all of it configuration, nothing in a token can add to it. Four members have
 * no default, because no default would be safe: `issuer`, `audience`, `tee` and `measurements`.
 */
export interface TokenTrust {
  /** The issuer's URL exactly as its tokens and its discovery document spell it (TOK-90). https, or http on this host. */
  readonly issuer: string
  /** The audience that stands for this service: tokens for others are refused (TOK-91). */
  readonly audience: string
  readonly keys: TrustedKeys
  /** Default `attestd`. */
  readonly profile?: TokenProfile
  /** Signature algorithms (TOK-80). Default: RS256 for profile `alibaba`, else RS256, PS256, ES256, ES384 and EdDSA. */
  readonly algorithms?: readonly TokenAlgorithm[]
  /**
   * Kinds of evidence that are accepted (TOK-101). Naming `tpm` or `nvgpu` also declares that a guest without a TD is
   * good enough: checks about TDs are then waived for such tokens, unless you configure an expectation for them.
   */
  readonly tee: readonly Tee[]
  /** Reference values (TOK-107); `null` accepts any software, and the finding says that it was waived. */
  readonly measurements: Measurements | null
  /**
   * TCB statuses that are accepted (TOK-108). Default `['UpToDate']` for TDs; `null` waives the check, which profile
   * `alibaba` needs, for its tokens have no verdict. A list that you give is demanded of every kind of token.
   */
  readonly requireTcbStatus?: readonly string[] | null
  /** Policies that must have been evaluated (TOK-109). Default: none. */
  readonly requirePolicies?: readonly RequiredPolicy[]
  /** The init data digest that the TD must have been started with: 1 to 48 bytes, padded with zeros to 48 (TOK-105). */
  readonly initData?: Uint8Array
  /** The OpenID client that requests the tokens: demanded as `azp` of tokens for several audiences (TOK-92). */
  readonly clientId?: string
  /** Tolerated difference of clocks in seconds, 0 to 300; default 60. */
  readonly clockSkewS?: number
  /** Greatest age of a token in seconds since `iat`, whatever its `exp` (TOK-94); default 900. */
  readonly maxTokenAgeS?: number
  /** Greatest length of a token in characters (TOK-70); default 32 768. */
  readonly maxTokenLength?: number
  /** Accepts guests in debug mode, whose memory their host can read (TOK-106). Default false: development only. */
  readonly allowDebug?: boolean
  /** Accepts simulated evidence (TOK-110). Default false: development only. */
  readonly allowSimulated?: boolean
  /**
   * Demands a proof of possession of the key in `cnf` (TOK-111): give the request as the expectation `possession`.
   * Default false: then only tokens that are bound to a key are demanded a proof of, and only where you give the request.
   */
  readonly requirePossession?: boolean
  /** Signature algorithms of proofs. Default: RS256, PS256, ES256, ES384 and EdDSA. */
  readonly proofAlgorithms?: readonly TokenAlgorithm[]
  /**
   * Where used proofs are remembered (TOK-142). Default: in the memory of this process, at most 100 000 of them and 25 000 of one key. A
   * service
   * that runs more than once needs one that all its processes share, or a nonce.
   */
  readonly proofReplayCache?: ReplayCache
  /**
   * Refuses tokens without proof that the quote committed to their request (BRK-86). Default false: a proof that is there
   * is checked all the same.
   */
  readonly requireCommitment?: boolean
  /** Makes every token good for one use (TOK-98); see `createReplayCache`. Default: none. */
  readonly replayCache?: ReplayCache
  /** Default: the clocks of this process. */
  readonly clock?: TokenClock
}

/** What one exchange expects of its token. Leave out what you do not expect: a member that is undefined is a bug. */
export interface TokenExpectations {
  /** The OpenID nonce of the authorization request (TOK-95). */
  readonly nonce?: string
  /** The nonce that the guest was asked to attest; must be one of the token's `eat_nonce` (TOK-95). */
  readonly eatNonce?: string
  /** The report data of the quote: 1 to 64 bytes, not all zero, padded with zeros to 64 (TOK-103). */
  readonly reportData?: Uint8Array
  /** The subject of an earlier token of this guest (TOK-96). */
  readonly subject?: string
  /** `sub` of the UserInfo answer, if that endpoint was asked (TOK-96). */
  readonly userInfoSubject?: string
  /** The access token that came with this token; `at_hash` is then required (TOK-97). */
  readonly accessToken?: string
  /** The authorization code that came with this token; `c_hash` is then required (TOK-97). */
  readonly code?: string
  /** The `acr` that was requested (TOK-99). */
  readonly acr?: string
  /** The `max_age` that was requested, in seconds (TOK-99). */
  readonly maxAgeS?: number
  /** The request that the token came with, for the proof of possession (TOK-111); see `readDpopRequest`. */
  readonly possession?: PresentedProof
}

/** Evidence, advisories and other members as the issuer's claims name them; objects have no prototype. */
export type TokenClaims = Readonly<JsonObject>
