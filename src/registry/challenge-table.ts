import { equalBytes, toHex } from '../base/bytes.ts'
import type { Clock } from '../base/clock.ts'
import type { RandomSource } from '../base/random.ts'
import { type EnrolmentChallenge, proveActivation } from '../evidence/tpm/enrolment.ts'
import type { EnrolmentCandidate } from '../verifier/tpm/enrolment.ts'
import { makeCredential } from '../verifier/tpm/make-credential.ts'
import { registryErrors } from './errors.ts'

/** ENR-02; `total` bounds the memory that anybody can take by asking. */
export const challengeLimits = { lifetimeMs: 300_000, openPerEk: 4, answers: 3, total: 1024 } as const

interface OpenChallenge {
  readonly candidate: EnrolmentCandidate
  readonly secret: Uint8Array
  readonly id: Uint8Array
  readonly requester: string
  /** On the boot-time clock: setting the wall clock neither revives nor ends a challenge. */
  readonly endsAt: number
  wrongAnswers: number
}

/** Enrolments that wait for their answer. They end with the process: the agent asks again. */
export class ChallengeTable {
  #open = new Map<string, OpenChallenge>()
  #clock: Pick<Clock, 'boottime'>
  #random: RandomSource

  constructor(clock: Pick<Clock, 'boottime'>, random: RandomSource) {
    this.#clock = clock
    this.#random = random
  }

  get size(): number {
    return this.#open.size
  }

  /** Makes a challenge for exactly these two keys (ENR-03). Throws `enrolment_challenges_exhausted`. */
  open(candidate: EnrolmentCandidate, requester: string): EnrolmentChallenge {
    this.#forgetEnded()
    this.#requireRoom(candidate)
    const id = this.#random(16)
    const secret = this.#random(32)
    const credential = makeCredential(candidate.ek, candidate.akName, secret, this.#random)
    const endsAt = this.#clock.boottime() + challengeLimits.lifetimeMs
    this.#open.set(toHex(id), { candidate, secret, id, requester, endsAt, wrongAnswers: 0 })
    return { id, ...credential }
  }

  /**
   * Takes an answer. The right one ends the challenge and gives its candidate; the third wrong one ends it too.
   * Another requester is told the same as for a challenge that never was, and uses up no answer.
   */
  redeem(id: Uint8Array, answer: Uint8Array, requester: string): EnrolmentCandidate {
    this.#forgetEnded()
    const key = toHex(id)
    const challenge = this.#open.get(key)
    if (!challenge || challenge.requester !== requester) {
      throw registryErrors.error('enrolment_challenge_expired', 'the challenge is not known, has ended or was answered')
    }
    const { candidate, secret } = challenge
    if (!equalBytes(proveActivation(secret, challenge.id, candidate.akName), answer)) throw this.#refuse(key, challenge)
    this.#open.delete(key)
    return candidate
  }

  /** Forgets a challenge that will not be answered; one that is not known, or is another requester's, stays as it is. */
  withdraw(id: Uint8Array, requester: string): void {
    const key = toHex(id)
    if (this.#open.get(key)?.requester === requester) this.#open.delete(key)
  }

  #refuse(key: string, challenge: OpenChallenge): Error {
    challenge.wrongAnswers += 1
    const left = challengeLimits.answers - challenge.wrongAnswers
    if (left === 0) this.#open.delete(key)
    return registryErrors.error('enrolment_challenge_refused', `the answer is wrong; ${left} more are taken`)
  }

  /** By its key: the sender chooses the rest of a public area, so that one certificate is good for any number of names. */
  #requireRoom({ ekSpkiSha256 }: EnrolmentCandidate): void {
    const sameEk = [...this.#open.values()].filter(({ candidate }) => candidate.ekSpkiSha256 === ekSpkiSha256)
    if (sameEk.length < challengeLimits.openPerEk && this.#open.size < challengeLimits.total) return
    const what = sameEk.length < challengeLimits.openPerEk ? 'in all' : 'for this endorsement key'
    const count = sameEk.length < challengeLimits.openPerEk ? this.#open.size : sameEk.length
    throw registryErrors.error('enrolment_challenges_exhausted', `${count} challenges are open ${what}`)
  }

  #forgetEnded(): void {
    const now = this.#clock.boottime()
    for (const [key, { endsAt }] of this.#open) if (now >= endsAt) this.#open.delete(key)
  }
}
