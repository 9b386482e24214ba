import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import { candidateFor, type EnrollingTpm, makeEnrollingTpm } from '../../test/support/enrolling-tpm.ts'
import { FakeClock } from '../../test/support/fake-clock.ts'
import { openCredential } from '../../test/support/open-credential.ts'
import { requireModelled } from '../../test/support/registry-model.ts'
import { makeSoftwareEk } from '../../test/support/software-tpm.ts'
import { testNow } from '../../test/support/test-ca.ts'
import { flipBit } from '../../test/support/test-ca-schema.ts'
import { toHex } from '../base/bytes.ts'
import { AttestdError } from '../base/errors.ts'
import { type EnrolmentChallenge, proveActivation } from '../evidence/tpm/enrolment.ts'
import { nameOf } from '../evidence/tpm/public-area.ts'
import type { EnrolmentCandidate } from '../verifier/tpm/enrolment.ts'
import type { TpmCounters } from '../verifier/tpm/inputs.ts'
import type { AppraisalOutcome } from './appraisal-history.ts'
import { challengeLimits } from './challenge-table.ts'
import { registryErrors } from './errors.ts'
import { MemoryStore } from './memory-store.ts'
import { TpmRegistry } from './tpm-registry.ts'

const random = (size: number) => new Uint8Array(randomBytes(size))
const ek = makeSoftwareEk()
const machine = makeEnrollingTpm({ ek })
const candidate = candidateFor(machine)
const secondAk = candidateFor(makeEnrollingTpm({ ek }))
const otherTpm = makeEnrollingTpm({}, { subject: { O: 'Example', CN: 'i-1' } })
const sameIdentity = candidateFor(otherTpm)
const counters = (clock: bigint, resetCount = 1): TpmCounters => ({ resetCount, restartCount: 0, clock, safe: true })
const progress = (clock: bigint) => ({ counters: counters(clock), checkpoint: null })
const thrown = new Set<string>()

let clock: FakeClock
let registry: TpmRegistry
let store: MemoryStore

beforeEach(() => {
  clock = new FakeClock(testNow)
  store = new MemoryStore()
  registry = new TpmRegistry({ store, clock, random })
})

/** The code with which it fails; anything but an AttestdError fails the test. */
async function codeOf(act: () => unknown): Promise<string> {
  try {
    await act()
    return 'done'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    thrown.add(error.code)
    return error.code
  }
}

/** What the TPM of `by` and its agent make of a challenge. */
function answerTo(challenge: EnrolmentChallenge, of: EnrolmentCandidate, by: EnrollingTpm = machine) {
  const secret = openCredential(by.ek.area, by.ek.privateKey, of.akName, challenge)
  return { id: challenge.id, answer: proveActivation(secret, challenge.id, of.akName) }
}

function enrol(of: EnrolmentCandidate, by: EnrollingTpm = machine) {
  return registry.acceptAnswer(answerTo(registry.openChallenge(of, 'peer'), of, by), 'peer')
}

describe('enrolment', () => {
  it('records what was proven, and gives it to appraisals', async () => {
    const record = await enrol(candidate)
    expect(record).toMatchObject({
      akName: toHex(candidate.akName),
      ekName: toHex(candidate.ekName),
      ...{ identity: 'i-1', anchor: 'example', trust: 'ek-certificate', counters: null, checkpoint: null },
      ...{ created: testNow, lastSeen: testNow, state: { is: 'active' }, simulated: false },
      akPublic: machine.request.ak.publicArea,
      ekPublic: machine.request.ek.publicArea,
    })
    expect(await registry.describe(candidate.akName)).toEqual(record)
    expect(await registry.requireEnrolment(candidate.akName)).toEqual({
      ...{ akName: candidate.akName, akTrust: 'ek-certificate', akParent: { under: 'ek', ekName: candidate.ekName } },
      ...{
        ekSpkiSha256: candidate.ekSpkiSha256,
        ekCertSha256: candidate.ekCertSha256,
        ekNotAfter: candidate.ekNotAfter,
      },
      ...{
        anchor: 'example',
        instanceId: null,
        crlStatus: 'off',
        crlFreshUntil: null,
        simulated: false,
        counters: null,
        imaCheckpoint: null,
      },
    })
  })

  it('gives appraisals what it knows of simulators and revocation lists (TPM-30, EKC-08)', async () => {
    await enrol({ ...candidate, simulated: true, crlStatus: 'fresh', crlFreshUntil: testNow + 1 })
    const expected = { simulated: true, crlStatus: 'fresh', crlFreshUntil: testNow + 1 }
    expect(await registry.requireEnrolment(candidate.akName)).toMatchObject(expected)
  })

  it('knows no key that was not enrolled', async () => {
    expect(await registry.describe(candidate.akName)).toBeNull()
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('ak_unknown')
    expect(await codeOf(() => registry.suspend(candidate.akName))).toBe('ak_unknown')
    expect(await codeOf(() => registry.keepProgress(candidate.akName, null, progress(1n)))).toBe('ak_unknown')
  })

  it('is durable before the answer is: a store that cannot commit enrols nothing', async () => {
    const full = new TpmRegistry({ store: new MemoryStore({ capacity: 0 }), clock, random })
    const challenge = full.openChallenge(candidate, 'peer')
    expect(await codeOf(() => full.acceptAnswer(answerTo(challenge, candidate), 'peer'))).toBe('registry_full')
    expect(await full.describe(candidate.akName)).toBeNull()
  })

  it('takes as many enrolments as the store has room for', async () => {
    registry = new TpmRegistry({ store: new MemoryStore({ capacity: 1 }), clock, random })
    await enrol(candidate)
    await enrol(candidate)
    expect(await codeOf(() => enrol(secondAk))).toBe('registry_full')
  })
})

describe('a challenge (ENR-02, ENR-05)', () => {
  it('is answered once', async () => {
    const answer = answerTo(registry.openChallenge(candidate, 'peer'), candidate)
    await registry.acceptAnswer(answer, 'peer')
    expect(await codeOf(() => registry.acceptAnswer(answer, 'peer'))).toBe('enrolment_challenge_expired')
  })

  it('is answered once, also by two at the same time', async () => {
    const answer = answerTo(registry.openChallenge(candidate, 'peer'), candidate)
    const codes = await Promise.all([1, 2].map(() => codeOf(() => registry.acceptAnswer(answer, 'peer'))))
    expect(codes.sort()).toEqual(['done', 'enrolment_challenge_expired'])
  })

  it.each([
    [challengeLimits.lifetimeMs - 1, 'done'],
    [challengeLimits.lifetimeMs, 'enrolment_challenge_expired'],
  ])('after %d ms is %s', async (ms, code) => {
    const answer = answerTo(registry.openChallenge(candidate, 'peer'), candidate)
    await clock.advance(ms)
    expect(await codeOf(() => registry.acceptAnswer(answer, 'peer'))).toBe(code)
  })

  it('has the limits of ENR-02', () => {
    expect(challengeLimits).toEqual({ lifetimeMs: 300_000, openPerEk: 4, answers: 3, total: 1024 })
  })

  it('ends in time though the machine sleeps or the wall clock is set', async () => {
    const [first, second] = [1, 2].map(() => answerTo(registry.openChallenge(candidate, 'peer'), candidate))
    clock.jump(10 * challengeLimits.lifetimeMs)
    expect(await codeOf(() => first && registry.acceptAnswer(first, 'peer'))).toBe('done')
    clock.suspend(challengeLimits.lifetimeMs)
    expect(await codeOf(() => second && registry.acceptAnswer(second, 'peer'))).toBe('enrolment_challenge_expired')
  })

  it('takes three answers', async () => {
    const { id, answer } = answerTo(registry.openChallenge(candidate, 'peer'), candidate)
    const wrong = { id, answer: flipBit(answer, 31) }
    for (let attempt = 1; attempt < challengeLimits.answers; attempt++) {
      expect(await codeOf(() => registry.acceptAnswer(wrong, 'peer'))).toBe('enrolment_challenge_refused')
    }
    expect(await codeOf(() => registry.acceptAnswer({ id, answer }, 'peer'))).toBe('done')
    const again = answerTo(registry.openChallenge(candidate, 'peer'), candidate)
    for (let attempt = 1; attempt <= challengeLimits.answers; attempt++) {
      expect(await codeOf(() => registry.acceptAnswer({ ...again, answer: wrong.answer }, 'peer'))).toBe(
        'enrolment_challenge_refused',
      )
    }
    expect(await codeOf(() => registry.acceptAnswer(again, 'peer'))).toBe('enrolment_challenge_expired')
  })

  it.each([
    ['of no bytes', new Uint8Array()],
    ['that is cut', random(31)],
    ['that is too long', random(33)],
  ])('refuses an answer %s', async (_what, answer) => {
    const { id } = registry.openChallenge(candidate, 'peer')
    expect(await codeOf(() => registry.acceptAnswer({ id, answer }, 'peer'))).toBe('enrolment_challenge_refused')
  })

  it('is for one requester; another one uses up no answer', async () => {
    const answer = answerTo(registry.openChallenge(candidate, 'peer'), candidate)
    for (let attempt = 0; attempt < 5; attempt++) {
      expect(await codeOf(() => registry.acceptAnswer(answer, 'thief'))).toBe('enrolment_challenge_expired')
    }
    expect(await codeOf(() => registry.acceptAnswer(answer, 'peer'))).toBe('done')
  })

  it('is for one AK and one EK: no other TPM opens it, and no other AK', () => {
    const challenge = registry.openChallenge(candidate, 'peer')
    expect(() => answerTo(challenge, candidate, otherTpm)).toThrow()
    expect(() => answerTo(challenge, secondAk)).toThrow()
  })

  it('does not take the answer of another challenge', async () => {
    const [first, second] = [registry.openChallenge(candidate, 'peer'), registry.openChallenge(candidate, 'peer')]
    const { answer } = answerTo(first, candidate)
    expect(await codeOf(() => registry.acceptAnswer({ id: second.id, answer }, 'peer'))).toBe(
      'enrolment_challenge_refused',
    )
  })

  it('is open four times for an EK, whatever its AKs, and not five times', async () => {
    const open = [candidate, secondAk, candidate, secondAk].map((of) => registry.openChallenge(of, 'peer'))
    expect(await codeOf(() => registry.openChallenge(candidate, 'other peer'))).toBe('enrolment_challenges_exhausted')
    registry.openChallenge(sameIdentity, 'peer')
    await registry.acceptAnswer(answerTo(open[0] ?? registry.openChallenge(candidate, 'x'), candidate), 'peer')
    expect(await codeOf(() => registry.openChallenge(candidate, 'peer'))).toBe('done')
    await clock.advance(challengeLimits.lifetimeMs)
    expect(await codeOf(() => registry.openChallenge(candidate, 'peer'))).toBe('done')
  })

  it('is open four times for an EK, whatever name the rest of its public area gives it', async () => {
    for (let at = 0; at < challengeLimits.openPerEk; at++) {
      const area = { ...candidate.ek, authPolicy: Uint8Array.of(at) }
      registry.openChallenge({ ...candidate, ek: area, ekName: nameOf(area) }, 'peer')
    }
    expect(await codeOf(() => registry.openChallenge(candidate, 'peer'))).toBe('enrolment_challenges_exhausted')
  })

  it('gives its place back when its requester, and nobody else, gives it up', async () => {
    const open = Array.from({ length: 4 }, () => registry.openChallenge(candidate, 'peer'))
    const [first = registry.openChallenge(candidate, 'x')] = open
    registry.withdrawChallenge(first.id, 'other peer')
    registry.withdrawChallenge(Uint8Array.of(1), 'peer')
    expect(await codeOf(() => registry.openChallenge(candidate, 'peer'))).toBe('enrolment_challenges_exhausted')
    registry.withdrawChallenge(first.id, 'peer')
    registry.withdrawChallenge(first.id, 'peer')
    expect(await codeOf(() => registry.openChallenge(candidate, 'peer'))).toBe('done')
    const late = () => registry.acceptAnswer(answerTo(first, candidate), 'peer')
    expect(await codeOf(late)).toBe('enrolment_challenge_expired')
  })

  it('is open a bounded number of times in all', async () => {
    for (let at = 0; at < challengeLimits.total; at++) {
      registry.openChallenge({ ...candidate, ekSpkiSha256: String(at) }, 'peer')
    }
    expect(await codeOf(() => registry.openChallenge(candidate, 'peer'))).toBe('enrolment_challenges_exhausted')
  })
})

describe('one active AK for an EK (ENR-08)', () => {
  it('a new AK supersedes the old one for good, and starts without history', async () => {
    await enrol(candidate)
    await registry.keepProgress(candidate.akName, null, progress(5n))
    expect(await enrol(secondAk)).toMatchObject({ counters: null, state: { is: 'active' } })
    expect(await registry.describe(candidate.akName)).toMatchObject({ state: { is: 'revoked', reason: 'superseded' } })
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('enrolment_state')
    expect(await codeOf(() => enrol(candidate))).toBe('enrolment_state')
    expect(await codeOf(() => registry.requireEnrolment(secondAk.akName))).toBe('done')
  })

  it('the same AK keeps its counters, so that enrolling again lets no older state pass', async () => {
    await enrol(candidate)
    const checkpoint = Uint8Array.of(1)
    await registry.keepProgress(candidate.akName, null, { counters: counters(5n), checkpoint })
    await clock.advance(1000)
    expect(await enrol(candidate)).toMatchObject({
      counters: counters(5n),
      checkpoint,
      created: testNow,
      lastSeen: testNow + 1000,
    })
  })

  it('an AK stays with its EK, also where another EK could open the challenge', async () => {
    await enrol(candidate)
    const { ek: stolen, ekName, ekSpkiSha256 } = sameIdentity
    const moved = { ...candidate, ek: stolen, ekName, ekSpkiSha256, identity: 'i-2' }
    expect(await codeOf(() => enrol(moved, otherTpm))).toBe('enrolment_state')
    expect(await registry.describe(candidate.akName)).toMatchObject({ ekName: toHex(candidate.ekName) })
  })

  it('two AKs at the same time: one ends up active', async () => {
    const answers = [candidate, secondAk].map((of) => answerTo(registry.openChallenge(of, 'peer'), of))
    await Promise.all(answers.map((answer) => registry.acceptAnswer(answer, 'peer')))
    const states = (await store.list()).map(({ record }) => record.state.is)
    expect(states.sort()).toEqual(['active', 'revoked'])
  })
})

describe('one EK for an identity (ENR-09)', () => {
  it('another TPM is refused until the operator releases the first', async () => {
    await enrol(candidate)
    expect(await codeOf(() => enrol(sameIdentity, otherTpm))).toBe('identity_conflict')
    await registry.revoke(candidate.akName)
    expect(await codeOf(() => enrol(sameIdentity, otherTpm))).toBe('identity_conflict')
    expect(await registry.release(candidate.ekName)).toBe(1)
    expect(await codeOf(() => enrol(sameIdentity, otherTpm))).toBe('done')
    expect(await codeOf(() => enrol(secondAk))).toBe('identity_conflict')
  })

  it('of two TPMs at the same time one is enrolled', async () => {
    const answers = [
      answerTo(registry.openChallenge(candidate, 'peer'), candidate),
      answerTo(registry.openChallenge(sameIdentity, 'peer'), sameIdentity, otherTpm),
    ]
    const codes = await Promise.all(answers.map((answer) => codeOf(() => registry.acceptAnswer(answer, 'peer'))))
    expect(codes.sort()).toEqual(['done', 'identity_conflict'])
  })

  it('TPMs without an identity do not exclude each other', async () => {
    const anonymous = { identity: null }
    await enrol({ ...candidate, ...anonymous })
    expect(await codeOf(() => enrol({ ...sameIdentity, ...anonymous }, otherTpm))).toBe('done')
  })
})

describe('states (ENR-07)', () => {
  it('suspended rests, also for a new AK, until the operator resumes it', async () => {
    await enrol(candidate)
    expect(await registry.suspend(candidate.akName)).toMatchObject({
      state: { is: 'suspended', reason: 'operator', since: testNow },
    })
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('enrolment_state')
    expect(await codeOf(() => registry.keepProgress(candidate.akName, null, progress(1n)))).toBe('enrolment_state')
    expect(await codeOf(() => enrol(candidate))).toBe('enrolment_state')
    expect(await codeOf(() => enrol(secondAk))).toBe('enrolment_state')
    await registry.resume(candidate.akName)
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('done')
  })

  it('revoked is final, and its EK blocked until it is released; the key stays dead', async () => {
    await enrol(candidate)
    await registry.revoke(candidate.akName)
    for (const act of ['suspend', 'resume', 'revoke'] as const) {
      expect(await codeOf(() => registry[act](candidate.akName))).toBe('enrolment_state')
    }
    expect(await codeOf(() => enrol(secondAk))).toBe('enrolment_state')
    await registry.release(candidate.ekName)
    expect(await codeOf(() => enrol(secondAk))).toBe('done')
    expect(await codeOf(() => enrol(candidate))).toBe('enrolment_state')
    expect(await registry.describe(candidate.akName)).toMatchObject({ state: { is: 'revoked', reason: 'released' } })
  })

  it('is that of the key of an EK: with another public area it is the same TPM', async () => {
    // Nothing certifies the rest of the area, and the TPM opens what was made for it.
    const anonymous = { subject: { O: 'Example' } }
    const [first, second] = ['00', '11'].map((digit) => {
      const area = { ...ek.area, authPolicy: new Uint8Array(32).fill(Number.parseInt(digit, 16)) }
      return candidateFor(makeEnrollingTpm({ ek: { ...ek, area } }, anonymous))
    })
    if (!first || !second) throw new TypeError('two candidates')
    expect([first.identity, first.ekSpkiSha256]).toEqual([null, second.ekSpkiSha256])
    expect(first.ekName).not.toEqual(second.ekName)
    await enrol(first)
    expect(await codeOf(() => enrol(second))).toBe('done')
    expect(await registry.describe(first.akName)).toMatchObject({ state: { is: 'revoked', reason: 'superseded' } })
    await registry.revoke(second.akName)
    expect(await codeOf(() => enrol({ ...first, akName: secondAk.akName, ak: secondAk.ak }))).toBe('enrolment_state')
    expect(await registry.release(first.ekName)).toBe(1)
    expect(await registry.release(second.ekName)).toBe(1)
    expect(await codeOf(() => enrol({ ...first, akName: secondAk.akName, ak: secondAk.ak }))).toBe('done')
  })

  it('releasing what is not there, or again, changes nothing', async () => {
    expect(await registry.release(candidate.ekName)).toBe(0)
    await enrol(candidate)
    expect([await registry.release(candidate.ekName), await registry.release(candidate.ekName)]).toEqual([1, 0])
  })
})

describe('the end of an EK certificate (ENR-10)', () => {
  const end = candidate.ekNotAfter ?? 0

  it('suspends at the next appraisal; the last second still counts', async () => {
    await enrol(candidate)
    clock.jump(end - testNow + 999)
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('done')
    clock.jump(1)
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('ek_revoked')
    expect(await registry.describe(candidate.akName)).toMatchObject({
      state: { is: 'suspended', reason: 'certificate_expired' },
    })
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('enrolment_state')
  })

  it('is undone by enrolling with a current certificate, and the history stays', async () => {
    await enrol(candidate)
    await registry.keepProgress(candidate.akName, null, progress(5n))
    clock.jump(end - testNow + 1000)
    await codeOf(() => registry.requireEnrolment(candidate.akName))
    const extended = { ...candidate, ekNotAfter: end + 1_000_000 }
    expect(await enrol(extended)).toMatchObject({ state: { is: 'active' }, counters: counters(5n) })
  })

  it('is found by the daily check, which also suspends what its judge says', async () => {
    await enrol(candidate)
    await enrol({ ...sameIdentity, identity: 'i-2' }, otherTpm)
    expect(await registry.recheck(() => null)).toBe(0)
    const judged = (akName: Uint8Array) =>
      registry.recheck((record) => (record.akName === toHex(akName) ? 'certificate_revoked' : null))
    expect(await judged(sameIdentity.akName)).toBe(1)
    expect(await judged(sameIdentity.akName)).toBe(0)
    expect(await registry.describe(sameIdentity.akName)).toMatchObject({ state: { reason: 'certificate_revoked' } })
    clock.jump(end - testNow + 1000)
    expect(await registry.recheck(() => null)).toBe(1)
    expect(await registry.describe(candidate.akName)).toMatchObject({ state: { reason: 'certificate_expired' } })
  })

  it.each(['certificate_revoked', 'certificate_untrusted'] as const)(
    'suspends at the next appraisal what is %s by now, and only that',
    async (reason) => {
      const lost = new Set<string>()
      const judge = ({ akName }: { akName: string }) => (lost.has(akName) ? reason : null)
      registry = new TpmRegistry({ store, clock, random, judge })
      await enrol(candidate)
      expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('done')
      lost.add(toHex(candidate.akName))
      const refused = await registry.requireEnrolment(candidate.akName).catch((error: unknown) => error)
      expect(refused).toMatchObject({ code: 'ek_revoked', facts: { reason } })
      expect(await registry.describe(candidate.akName)).toMatchObject({ state: { is: 'suspended', reason } })
      lost.clear()
      expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('enrolment_state')
    },
  )

  it('never comes for a pinned EK', async () => {
    await enrol({ ...candidate, ekNotAfter: null })
    clock.jump(100 * (end - testNow))
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('done')
  })
})

describe('counters (ENR-12)', () => {
  it('move from what the appraisal saw, and only from there', async () => {
    await enrol(candidate)
    await registry.keepProgress(candidate.akName, null, progress(5n))
    await clock.advance(1000)
    await registry.keepProgress(candidate.akName, counters(5n), progress(6n))
    expect(await registry.describe(candidate.akName)).toMatchObject({
      counters: counters(6n),
      lastSeen: testNow + 1000,
    })
    for (const before of [
      null,
      counters(5n),
      counters(6n, 2),
      { ...counters(6n), safe: false },
      { ...counters(6n), restartCount: 1 },
    ]) {
      expect(await codeOf(() => registry.keepProgress(candidate.akName, before, progress(7n)))).toBe('rollback')
    }
  })

  it('of many appraisals at the same time one is accepted', async () => {
    await enrol(candidate)
    const clocks = [1n, 2n, 3n, 4n, 5n]
    const codes = await Promise.all(
      clocks.map((at) => codeOf(() => registry.keepProgress(candidate.akName, null, progress(at)))),
    )
    expect(codes.filter((code) => code === 'done')).toHaveLength(1)
    expect(codes.filter((code) => code === 'rollback')).toHaveLength(4)
  })
})

describe('what became of appraisals', () => {
  const outcome = (clock: bigint, changes: Partial<AppraisalOutcome> = {}): AppraisalOutcome => ({
    ...{ at: testNow, affirmed: true, failed: [], counters: counters(clock), firmwareVersion: '0000000000000001' },
    ...{ evidenceSha256: null, ...changes },
  })

  it('is kept with the progress of a key, and says what changed on its machine', async () => {
    await enrol(candidate)
    await registry.keepProgress(candidate.akName, null, { ...progress(5n), outcome: outcome(5n) })
    const rebooted = outcome(9n, { counters: counters(9n, 2), firmwareVersion: '0000000000000002' })
    await registry.keepProgress(candidate.akName, counters(5n), { ...progress(9n), outcome: rebooted })
    expect(await registry.history(candidate.akName)).toEqual([
      { ...rebooted, changes: ['reboot', 'firmware'] },
      { ...outcome(5n), changes: [] },
    ])
    expect(await registry.describe(candidate.akName)).toMatchObject({ firmwareVersion: '0000000000000002' })
    await registry.keepProgress(candidate.akName, counters(9n), progress(10n))
    expect(await registry.describe(candidate.akName)).toMatchObject({ firmwareVersion: '0000000000000002' })
    expect(await enrol(candidate)).toMatchObject({ firmwareVersion: '0000000000000002' })
  })

  it('is kept for a refused one too, which changes nothing else', async () => {
    await enrol(candidate)
    await registry.keepProgress(candidate.akName, null, progress(5n))
    const before = await registry.describe(candidate.akName)
    const refused = outcome(4n, { affirmed: false, failed: ['tpm.counters'], firmwareVersion: 'f'.repeat(16) })
    expect(await registry.keepOutcome(candidate.akName, refused)).toBe(true)
    expect(await registry.history(candidate.akName)).toEqual([{ ...refused, changes: ['rollback'] }])
    expect(await registry.describe(candidate.akName)).toEqual(before)
  })

  it('is not kept where the progress is not, nor for keys that were never enrolled', async () => {
    expect(await registry.keepOutcome(candidate.akName, outcome(1n))).toBe(false)
    await enrol(candidate)
    const late = registry.keepProgress(candidate.akName, counters(3n), { ...progress(5n), outcome: outcome(5n) })
    expect(await codeOf(() => late)).toBe('rollback')
    expect(await registry.history(candidate.akName)).toEqual([])
  })
})

describe('a store under contention', () => {
  it('is tried again, and given up in the end', async () => {
    class Busy extends MemoryStore {
      refusals = 0
      override async commit(changes: Parameters<MemoryStore['commit']>[0]): Promise<boolean> {
        this.refusals -= 1
        return this.refusals < 0 ? super.commit(changes) : false
      }
    }
    const busy = new Busy()
    registry = new TpmRegistry({ store: busy, clock, random })
    busy.refusals = 7
    expect(await codeOf(() => enrol(candidate))).toBe('done')
    busy.refusals = 8
    expect(await codeOf(() => enrol(secondAk))).toBe('enrolment_conflict')
    expect(await codeOf(() => registry.requireEnrolment(candidate.akName))).toBe('done')
  })
})

describe('the daily check beside an operator', () => {
  it.each(['suspend', 'revoke'] as const)('changes nothing of what the operator decided meanwhile: %s', async (act) => {
    class Slow extends MemoryStore {
      override async list(after?: string): ReturnType<MemoryStore['list']> {
        const page = await super.list(after)
        await new TpmRegistry({ store: this, clock, random })[act](candidate.akName)
        return page
      }
    }
    registry = new TpmRegistry({ store: new Slow(), clock, random })
    await enrol(candidate)
    expect(await registry.recheck(() => 'certificate_untrusted')).toBe(0)
    const state = (await registry.describe(candidate.akName))?.state
    expect(state).toMatchObject({ is: act === 'suspend' ? 'suspended' : 'revoked', reason: 'operator' })
  })
})

describe('any sequence of changes', () => {
  it('does what the model does', () => requireModelled(async () => new MemoryStore(), 60))
})

/** Those of policies are thrown by their own books. */
it('every error of enrolments was thrown', () => {
  const own = Object.keys(registryErrors.declared).filter((code) => !code.startsWith('policy_'))
  expect(own.filter((code) => !thrown.has(code))).toEqual([])
})
