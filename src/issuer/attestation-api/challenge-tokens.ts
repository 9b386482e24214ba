import { createPublicKey } from 'node:crypto'
import { CompactSign, compactVerify, errors } from 'jose'
import { toBase64 } from '../../base/bytes.ts'
import { type Clock, secondsOf } from '../../base/clock.ts'
import { MalformedError } from '../../base/errors.ts'
import { canonicalJson, type JsonObject, type JsonValue, parseJsonObject } from '../../base/json.ts'
import { drawUnit, type RandomSource } from '../../base/random.ts'
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
  /**
   * Names the state of this service, and stays the same over its restarts; replicas have other ones. Of 1 to 64 characters;
   * by default one that no other process has.
   */
  readonly place?: string
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
  /** Seconds since the epoch, by the clock of who issued it. */
  readonly iat: number
  /** Boot time in ms. */
  readonly openedAt: number
}

interface Use {
  /** Boot time in ms from which it may be forgotten. */
  readonly until: number
  readonly iat: number
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
/** Random seconds before the first one that a process counts: nobody learns for how long it or its machine has run. */
const beforeFirst = (random: RandomSource) => Math.floor(drawUnit(random) * 2 ** 32)

const invalid = (says: string) => attestationErrors.error('AS.CHALLENGE.INVALID_TOKEN', `the challenge ${says}`)

/**
 * Challenges that no table has to remember: signed, good for 300 s (SVC-30), and each for one token of this process. What
 * was used before a restart is forgotten with the process, so that challenges of that time are not taken any more. The wall
 * clock may be set at any time: that must not make good again what was used and is forgotten.
 */
export class ChallengeTokens {
  readonly #options: Required<Omit<ChallengeTokensOptions, 'place'>>
  readonly #run: string
  readonly #place: string
  /** Of the seconds since the machine was started, as they stand in challenges. */
  readonly #offset: number
  /** Seconds since the epoch. */
  readonly #startedAt: number
  /** Nonces that were used, the oldest first. */
  readonly #used = new Map<string, Use>()
  /** The latest `iat` of what was used and is forgotten. */
  #forgottenIat = Number.NEGATIVE_INFINITY

  constructor({ capacity = 65_536, place, ...options }: ChallengeTokensOptions) {
    this.#options = { ...options, capacity }
    this.#run = toBase64(options.random(runSize))
    this.#place = place ?? this.#run
    this.#offset = beforeFirst(options.random)
    this.#startedAt = secondsOf(options.clock)
  }

  async issue(): Promise<ChallengeAnswer> {
    const { keys, clock, random } = this.#options
    const { kid, privateKey } = keys.signingKey('RS256')
    const [nonce, iat] = [toBase64(random(32)), secondsOf(clock)]
    const mark = { run: this.#run, place: this.#place, at: this.#second() }
    const payload = new TextEncoder().encode(canonicalJson({ nonce, iat, exp: iat + lifetimeS, ...mark }))
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
    const found = this.#requireTimely(payload)
    if (nonce !== undefined && nonce !== found.nonce) throw invalid('has another nonce than the one beside it')
    if (this.#used.has(found.nonce)) throw invalid('has been used')
    return { ...found, openedAt: this.#options.clock.boottime() }
  }

  /** Uses it up, for exactly one caller: throws `AS.CHALLENGE.INVALID_TOKEN` for whoever comes second (SVC-30). */
  spend({ nonce, iat, openedAt }: OpenChallenge): void {
    this.#forgetExpired()
    if (this.#used.has(nonce)) throw invalid('has been used')
    const now = this.#options.clock.boottime()
    // Timers stand still while the machine sleeps: another request may have used it meanwhile, and that is forgotten.
    if (now - openedAt >= lifetimeS * 1000) throw invalid('has expired')
    // Forgetting one that is still good would let it be used twice.
    if (this.#used.size >= this.#options.capacity) {
      throw attestationErrors.error('AS.SERVICE.OVERLOADED', 'too many challenges were used within five minutes')
    }
    this.#used.set(nonce, { until: now + (lifetimeS + skewS) * 1000, iat })
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

  #requireTimely(payload: JsonObject): Omit<OpenChallenge, 'openedAt'> {
    const { nonce, iat, exp } = payload
    const now = secondsOf(this.#options.clock)
    if (typeof nonce !== 'string' || typeof iat !== 'number' || typeof exp !== 'number') throw invalid('is incomplete')
    if (exp <= now) throw invalid('has expired')
    if (iat > now + skewS) throw invalid('is of the future')
    if (payload['run'] === this.#run) this.#requireOwnAge(payload['at'])
    else this.#requireOfReplica(payload['place'], iat)
    return { nonce, iat }
  }

  /** Whatever the wall clock says: what is forgotten was used longer ago than a challenge is good. */
  #requireOwnAge(at: JsonValue | undefined): void {
    const age = typeof at === 'number' ? this.#second() - at : Number.NaN
    if (!(age >= 0 && age < lifetimeS)) throw invalid('has expired')
  }

  /**
   * Whoever had this state before us may have taken it, and so may we, and have forgotten it (SVC-30). Neither a restart nor a
   * clock that is set back makes a used challenge good again; both together may, of a replica's challenge: its time is the
   * wall clock's alone, and we have forgotten what the clock was before.
   */
  #requireOfReplica(place: JsonValue | undefined, iat: number): void {
    const isEarlier = place === this.#place || iat <= this.#startedAt + skewS
    if (isEarlier) throw invalid('is of before this service was started')
    if (iat <= this.#forgottenIat) throw invalid('has expired')
  }

  #second(): number {
    return Math.floor(this.#options.clock.boottime() / 1000) + this.#offset
  }

  /** All are remembered equally long, so the oldest may be forgotten first. Boot time: a clock that is set changes nothing. */
  #forgetExpired(): void {
    const now = this.#options.clock.boottime()
    for (const [nonce, { until, iat }] of this.#used) {
      if (until > now) return
      this.#used.delete(nonce)
      this.#forgottenIat = Math.max(this.#forgottenIat, iat)
    }
  }
}
