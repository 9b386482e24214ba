import { createPublicKey } from 'node:crypto'
import { CompactSign, compactVerify, errors } from 'jose'
import { toBase64 } from '../../base/bytes.ts'
import { type Clock, secondsOf } from '../../base/clock.ts'
import { MalformedError } from '../../base/errors.ts'
import { canonicalJson, type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import type { RandomSource } from '../../base/random.ts'
import type { KeyRing } from '../key-ring.ts'
import type { SigningKey } from '../signing-key.ts'
import { attestationErrors } from './errors.ts'

export interface ChallengeTokensOptions {
  /**
   * A ring of purpose `challenge` (SVC-31), which replicas share. Its RSA keys sign RS384 here and nothing anywhere else:
   * a challenge is never a token, and no token is a challenge.
   */
  readonly keys: Pick<KeyRing, 'signingKey' | 'published'>
  readonly clock: Pick<Clock, 'now' | 'boottime'>
  /** A cryptographic source. */
  readonly random: RandomSource
  /** Used challenges that are remembered; default 65 536. */
  readonly capacity?: number
}

/** What `POST /challenge` answers. */
export interface ChallengeAnswer {
  /** 32 random bytes, standard base64. */
  readonly nonce: string
  readonly jwt: string
}

/** A challenge of this service that is valid and has not been used. */
export interface OpenChallenge {
  readonly nonce: string
}

const lifetimeS = 300
/** How far the clock of another replica may be ahead. */
const skewS = 60
const longestToken = 4096
/** Says what it is, so that no reader of tokens takes it for one (RFC 8725 section 3.11). */
const type = 'challenge+jwt'
const algorithm = 'RS384'

/** Bytes by which a process knows the challenges that it issued itself. */
const runSize = 16

const invalid = (says: string) => attestationErrors.error('AS.CHALLENGE.INVALID_TOKEN', `the challenge ${says}`)

/**
 * Challenges that no table has to remember: signed, good for 300 s (SVC-30), and each for one token of this process. What
 * was used before a restart is forgotten with the process, so that challenges of that time are not taken any more.
 */
export class ChallengeTokens {
  readonly #options: Required<ChallengeTokensOptions>
  readonly #run: string
  /** Seconds since the epoch. */
  readonly #startedAt: number
  /** Nonces that were used, the oldest first, with the boot time in ms from which they may be forgotten. */
  readonly #used = new Map<string, number>()

  constructor({ capacity = 65_536, ...options }: ChallengeTokensOptions) {
    this.#options = { ...options, capacity }
    this.#run = toBase64(options.random(runSize))
    this.#startedAt = secondsOf(options.clock)
  }

  async issue(): Promise<ChallengeAnswer> {
    const { keys, clock, random } = this.#options
    const { kid, privateKey } = keys.signingKey('RS256')
    const [nonce, iat] = [toBase64(random(32)), secondsOf(clock)]
    const payload = new TextEncoder().encode(canonicalJson({ nonce, iat, exp: iat + lifetimeS, run: this.#run }))
    const header = { alg: algorithm, kid, typ: type }
    return { nonce, jwt: await new CompactSign(payload).setProtectedHeader(header).sign(privateKey) }
  }

  /**
   * The challenge that a request carries: signed by a key of the ring, not expired, not used. `nonce`: what stands beside
   * it in the request, which has to be the same; undefined: nothing does. Rejects with `AS.CHALLENGE.INVALID_TOKEN`.
   */
  async open(token: JsonValue, nonce: JsonValue | undefined): Promise<OpenChallenge> {
    const { payload, kid } = await this.#verified(token)
    if (this.#keyOf(kid) === undefined) throw invalid('has a key that was revoked')
    const own = this.#requireTimely(payload)
    if (nonce !== undefined && nonce !== own) throw invalid('has another nonce than the one beside it')
    if (this.#used.has(own)) throw invalid('has been used')
    return { nonce: own }
  }

  /** Uses it up, for exactly one caller: throws `AS.CHALLENGE.INVALID_TOKEN` for whoever comes second (SVC-30). */
  spend({ nonce }: OpenChallenge): void {
    this.#forgetExpired()
    if (this.#used.has(nonce)) throw invalid('has been used')
    // Forgetting one that is still good would let it be used twice.
    if (this.#used.size >= this.#options.capacity) {
      throw attestationErrors.error('AS.SERVICE.OVERLOADED', 'too many challenges were used within five minutes')
    }
    this.#used.set(nonce, this.#options.clock.boottime() + (lifetimeS + skewS) * 1000)
  }

  /** No token came of it, and the same request may be sent again. */
  giveBack({ nonce }: OpenChallenge): void {
    this.#used.delete(nonce)
  }

  #keyOf(kid: string | undefined): SigningKey | undefined {
    return this.#options.keys.published().find((key) => key.kid === kid && key.alg === 'RS256')
  }

  async #verified(token: JsonValue): Promise<{ readonly payload: JsonObject; readonly kid: string | undefined }> {
    if (typeof token !== 'string' || token.length > longestToken) throw invalid('is not a token of this service')
    try {
      const { payload, protectedHeader } = await compactVerify(token, ({ kid }) => this.#publicKeyOf(kid), {
        algorithms: [algorithm],
      })
      if (protectedHeader.typ !== type) throw invalid('is a token of another kind')
      return { payload: parseJsonObject(payload, 'challenge'), kid: protectedHeader.kid }
    } catch (error) {
      if (error instanceof errors.JOSEError || error instanceof MalformedError) throw invalid('was not signed here')
      throw error
    }
  }

  #publicKeyOf(kid: string | undefined) {
    const key = this.#keyOf(kid)
    if (key === undefined) throw invalid('has a key that is not known')
    return createPublicKey(key.privateKey)
  }

  #requireTimely({ nonce, iat, exp, run }: JsonObject): string {
    const now = secondsOf(this.#options.clock)
    if (typeof nonce !== 'string' || typeof iat !== 'number' || typeof exp !== 'number') throw invalid('is incomplete')
    if (exp <= now) throw invalid('has expired')
    if (iat > now + skewS) throw invalid('is of the future')
    // Whoever held this key before us may have taken it (SVC-30): a restart must not make a used challenge good again.
    if (run !== this.#run && iat <= this.#startedAt + skewS) throw invalid('is of before this service was started')
    return nonce
  }

  /** All are remembered equally long, so the oldest may be forgotten first. Boot time: a clock that is set changes nothing. */
  #forgetExpired(): void {
    const now = this.#options.clock.boottime()
    for (const [nonce, until] of this.#used) {
      if (until > now) return
      this.#used.delete(nonce)
    }
  }
}
