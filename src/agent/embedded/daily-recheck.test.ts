import { randomBytes } from 'node:crypto'
import { beforeEach, describe, expect, it } from 'vitest'
import {
  candidateFor,
  ekAuthority,
  enrolmentInputs,
  makeEnrollingTpm,
  maker,
} from '../../../test/support/enrolling-tpm.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { openCredential } from '../../../test/support/open-credential.ts'
import { issueCrl, testNow } from '../../../test/support/test-ca.ts'
import { declareErrors } from '../../base/errors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { proveActivation } from '../../evidence/tpm/enrolment.ts'
import { MemoryStore } from '../../registry/memory-store.ts'
import { TpmRegistry } from '../../registry/tpm-registry.ts'
import type { EnrolmentInputs } from '../../verifier/tpm/enrolment.ts'
import { dailyRecheck, recordJudge } from './daily-recheck.ts'

const hour = 3_600_000
const machine = makeEnrollingTpm()
const candidate = candidateFor(machine)
const leaf = parseCertificate(machine.request.ek.certificate ?? new Uint8Array())
const errors = declareErrors({ UNREADABLE: { kind: 'configuration', title: 'unreadable', remedy: 'none' } })

/** Good for ten days, so that only what they name matters. */
const lists = (...serials: bigint[]) => {
  const times = { thisUpdate: testNow, nextUpdate: testNow + 240 * hour }
  return [
    issueCrl({ signer: ekAuthority, revoked: serials.map((serial) => ({ serial })), ...times }),
    issueCrl({ signer: maker, ...times }),
  ]
}
const required: EnrolmentInputs = { ...enrolmentInputs, revocation: 'required', crls: lists() }

let clock: FakeClock
let trust: EnrolmentInputs
let registry: TpmRegistry
let reads: number
let dropped: number
let failing: Error | null
let lines: object[]
let stop: AbortController
let ended: Promise<void>

beforeEach(async () => {
  clock = new FakeClock(testNow)
  trust = required
  ;[reads, dropped, failing, lines, stop] = [0, 0, null, [], new AbortController()]
  const random = (size: number) => new Uint8Array(randomBytes(size))
  const judge = recordJudge(() => ({ ...trust, now: clock.now() }))
  registry = new TpmRegistry({ store: new MemoryStore(), clock, random, judge })
  const challenge = registry.openChallenge(candidate, 'peer')
  const secret = openCredential(machine.ek.area, machine.ek.privateKey, candidate.akName, challenge)
  const answer = proveActivation(secret, challenge.id, candidate.akName)
  await registry.acceptAnswer({ id: challenge.id, answer }, 'peer')
})

function start(): void {
  const keep = (line: object) => lines.push(line)
  const inputs = async () => {
    reads += 1
    if (failing) throw failing
    return trust
  }
  const suspended = () => void dropped++
  ended = dailyRecheck({ registry, inputs, suspended, clock, log: { info: keep, warn: keep } as never })(stop.signal)
}

async function finish(): Promise<void> {
  stop.abort()
  await ended
}

const stateOf = async () => (await registry.describe(candidate.akName))?.state

describe('enrolments, day after day (ENR-10)', () => {
  it('are checked at the start, and again after a day, not before', async () => {
    start()
    await clock.advance(0)
    expect(reads).toBe(1)
    await clock.advance(24 * hour - 1)
    expect(reads).toBe(1)
    await clock.advance(1)
    expect(reads).toBe(2)
    await clock.advance(72 * hour)
    expect(reads).toBe(5)
    expect(await stateOf()).toEqual({ is: 'active' })
    expect(dropped).toBe(0)
    await finish()
  })

  it('are suspended by a list that was replaced meanwhile, and their tokens end', async () => {
    start()
    await clock.advance(23 * hour)
    trust = { ...required, crls: lists(leaf.serial) }
    expect(await stateOf()).toEqual({ is: 'active' })
    await clock.advance(hour)
    expect(await stateOf()).toMatchObject({ is: 'suspended', reason: 'certificate_revoked' })
    expect(lines.at(-1)).toEqual({ event: 'enrolments_rechecked', suspended: 1 })
    expect(dropped).toBe(1)
    await clock.advance(24 * hour)
    expect(dropped).toBe(1)
    await finish()
  })

  it('are suspended when their certificate ran out, whether or not anybody asks for them', async () => {
    trust = { ...required, revocation: 'off' }
    start()
    await clock.advance(0)
    clock.jump(366 * 24 * hour)
    await clock.advance(24 * hour)
    expect(await stateOf()).toMatchObject({ is: 'suspended', reason: 'certificate_expired' })
    await finish()
  })

  it('stay as they are while the files cannot be read, which is tried again every hour and said', async () => {
    failing = errors.error('UNREADABLE', 'gone')
    start()
    await clock.advance(2 * hour)
    expect(reads).toBe(3)
    expect(lines).toEqual(Array(3).fill({ event: 'enrolments_not_rechecked', code: 'UNREADABLE' }))
    expect(await stateOf()).toEqual({ is: 'active' })
    ;[failing, trust] = [null, { ...required, anchors: [] }]
    await clock.advance(hour)
    expect(await stateOf()).toMatchObject({ is: 'suspended', reason: 'certificate_untrusted' })
    await finish()
  })

  it('are not checked any more when the agent stops; a bug is not kept to itself', async () => {
    start()
    await clock.advance(0)
    await finish()
    expect(clock.sleeping).toBe(0)
    stop = new AbortController()
    failing = new TypeError('bug')
    start()
    await expect(ended).rejects.toThrow('bug')
  })
})

describe('an appraisal (ENR-10)', () => {
  it('goes by the lists of now, not by those of the enrolment', async () => {
    expect((await registry.requireEnrolment(candidate.akName)).crlStatus).toBe('off')
    trust = { ...required, crls: lists(leaf.serial) }
    await expect(registry.requireEnrolment(candidate.akName)).rejects.toMatchObject({
      code: 'ek_revoked',
      facts: { reason: 'certificate_revoked' },
    })
  })

  it('is refused when its anchor was taken out of the configuration', async () => {
    trust = { ...required, anchors: [] }
    await expect(registry.requireEnrolment(candidate.akName)).rejects.toMatchObject({ code: 'ek_revoked' })
    expect(await stateOf()).toMatchObject({ reason: 'certificate_untrusted' })
  })

  it('does not depend on lists that are missing or have ended: they say nothing about this key', async () => {
    trust = { ...required, crls: [] }
    expect((await registry.requireEnrolment(candidate.akName)).akTrust).toBe('ek-certificate')
  })
})
