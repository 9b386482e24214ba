import { randomBytes } from 'node:crypto'
import { cpSync, readFileSync, rmSync } from 'node:fs'
import { afterEach, beforeAll, describe, expect, it } from 'vitest'
import { execute } from '../../mocks/swtpm/execute.ts'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import type { TpmAttester, TpmIdentity } from '../../src/attester/tpm/tpm-attester.ts'
import { parseCertificate } from '../../src/base/pki/certificate.ts'
import { parsePem } from '../../src/base/pki/pem.ts'
import { anchorOf } from '../../src/base/pki/trust-anchor.ts'
import { tpm2 } from '../../src/evidence/tpm/commands.ts'
import { proveActivation } from '../../src/evidence/tpm/enrolment.ts'
import { attributesOf, hierarchies } from '../../src/evidence/tpm/public-area.ts'
import { changesBetween } from '../../src/registry/appraisal-history.ts'
import { MemoryStore } from '../../src/registry/memory-store.ts'
import { TpmRegistry } from '../../src/registry/tpm-registry.ts'
import { appraiseTpm, type TpmAppraisal } from '../../src/verifier/tpm/appraise-tpm.ts'
import { appraiseEnrolment } from '../../src/verifier/tpm/enrolment.ts'
import { defaultTpmRequirements, type TpmCounters } from '../../src/verifier/tpm/inputs.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { haveSwtpm, type SimulatedTpm, useSwtpm } from '../support/swtpm.ts'
import { SwtpmConnection } from '../support/swtpm-connection.ts'
import { attestingMachine, MemoryKeyStore } from '../support/tpm-attesting.ts'

/**
 * What becomes of counters and clock of a real TPM (tpm.md section 5), line by line, and what a verifier with a memory
 * makes of it; and what others do to the TPM that a machine shares with them (TT-5).
 */

const draw = (size: number) => new Uint8Array(randomBytes(size))
const certificateAt = (file: string) => parseCertificate(parsePem(readFileSync(file, 'latin1'), 'CERTIFICATE'))
const failedOf = ({ findings }: TpmAppraisal) =>
  findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached').map(({ id }) => id)

/** What the history of a registry calls the step from one accepted quote to the next. */
const changes = (before: TpmCounters, after: TpmCounters) =>
  changesBetween({ counters: before, firmwareVersion: null }, { counters: after, firmwareVersion: null })

/** A verifier that keeps what it saw of one machine. */
class RememberingVerifier {
  readonly registry: TpmRegistry
  readonly #clock = new FakeClock(Date.now() + 60_000)
  readonly #attester: () => TpmAttester
  readonly #simulated: SimulatedTpm

  constructor(attester: () => TpmAttester, simulated: SimulatedTpm) {
    this.#attester = attester
    this.#simulated = simulated
    this.registry = new TpmRegistry({ store: new MemoryStore(), clock: this.#clock, random: draw })
  }

  async enrol(identity: TpmIdentity): Promise<void> {
    const { rootCertificate, issuerCertificate } = this.#simulated.made()
    const { candidate, findings } = appraiseEnrolment(
      { ...identity, instanceId: null },
      {
        now: this.#clock.now(),
        anchors: [],
        simulatorAnchors: [anchorOf(certificateAt(rootCertificate))],
        intermediates: [certificateAt(issuerCertificate)],
        crls: [],
        revocation: 'off',
        simulator: true,
      },
    )
    if (!candidate) throw new Error(JSON.stringify(findings))
    const { id, idObject, encryptedSecret } = this.registry.openChallenge(candidate, 'peer')
    const secret = await this.#attester().activate(idObject, encryptedSecret)
    await this.registry.acceptAnswer({ id, answer: proveActivation(secret, id, candidate.akName) }, 'peer')
  }

  /** One round: challenge, quote, appraisal; what is affirmed is kept. */
  async attest(akName: Uint8Array): Promise<TpmAppraisal> {
    const qualifyingData = draw(32)
    const evidence = await this.#attester().collect(qualifyingData)
    const enrolment = await this.registry.requireEnrolment(akName)
    const appraisal = appraiseTpm(evidence, {
      now: this.#clock.now(),
      expected: { qualifyingData, selection: 'any' },
      enrolment,
      requirements: { ...defaultTpmRequirements, eventLog: 'optional' },
      simulator: true,
    })
    const { counters } = appraisal
    if (counters) await this.registry.keepProgress(akName, enrolment.counters, { counters, checkpoint: null })
    return appraisal
  }
}

const kept = (appraisal: TpmAppraisal): TpmCounters => {
  if (appraisal.counters === null) throw new Error(`not affirmed: ${failedOf(appraisal).join(' ')}`)
  return appraisal.counters
}

describe.skipIf(!haveSwtpm)('counters and clock of a TPM (tpm.md section 5)', () => {
  const simulated = useSwtpm('i-2ze0counters00000001')
  const { tpm } = simulated
  let connection = new SwtpmConnection(tpm)
  const store = new MemoryKeyStore()
  let attester: TpmAttester
  let verifier: RememberingVerifier
  let identity: TpmIdentity

  /** A new process of the agent: it has what it kept, and nothing else. */
  function startAgent(): void {
    connection = new SwtpmConnection(tpm)
    attester = attestingMachine(connection, {
      store,
      ek: { template: 'p-384-high' },
      pcrs: [0, 1, 2, 3, 4, 5, 6, 7],
    }).attester
  }
  const attest = () => verifier.attest(identity.ak.name)
  const powerCycle = async (orderly: boolean) => {
    await tpm().powerCycle(await connection.client(), { orderly })
    await simulateFirmware(connection.send)
  }

  beforeAll(async () => {
    startAgent()
    verifier = new RememberingVerifier(() => attester, simulated)
    await simulateFirmware(connection.send)
    identity = await attester.identity()
    await verifier.enrol(identity)
  })
  afterEach(async () => {
    await connection[Symbol.asyncDispose]()
  })

  it('within one boot the clock goes on, and a quote twice is a rollback', async () => {
    const first = kept(await attest())
    const second = kept(await attest())
    expect([second.resetCount, second.restartCount]).toEqual([first.resetCount, first.restartCount])
    expect(second.clock).toBeGreaterThan(first.clock)
    expect(changes(first, second)).toEqual([])
    expect(changes(second, first)).toEqual(['rollback'])
    expect((await attest()).newBoot).toBe(false)
  })

  it('TPM Reset after an orderly shutdown: resetCount + 1, restartCount 0, the clock goes on and is safe', async () => {
    const before = kept(await attest())
    await powerCycle(true)
    const appraisal = await attest()
    const after = kept(appraisal)
    expect(after).toMatchObject({ resetCount: before.resetCount + 1, restartCount: 0, safe: true })
    expect(after.clock).toBeGreaterThan(before.clock)
    expect(appraisal.newBoot).toBe(true)
    expect(changes(before, after)).toEqual(['reboot'])
  })

  it('TPM Resume: restartCount + 1, the rest goes on, and it is no new boot', async () => {
    const before = kept(await attest())
    await tpm().resume(await connection.client())
    const appraisal = await attest()
    const after = kept(appraisal)
    expect(after).toMatchObject({ ...before, restartCount: before.restartCount + 1, clock: after.clock })
    expect(after.clock).toBeGreaterThan(before.clock)
    expect(appraisal.newBoot).toBe(false)
    expect(changes(before, after)).toEqual(['resume'])
  })

  it('loss of power: resetCount + 1, the clock is not safe, and it is a new boot', async () => {
    const before = kept(await attest())
    await powerCycle(false)
    const appraisal = await attest()
    expect(kept(appraisal)).toMatchObject({ resetCount: before.resetCount + 1, restartCount: 0, safe: false })
    expect(appraisal.newBoot).toBe(true)
  })

  /** The TPM keeps its clock at a shutdown and every 4096 ms: goes on until both are a while ago. */
  async function longAfterTheClockWasKept(): Promise<TpmCounters> {
    const { clock } = kept(await attest())
    for (;;) {
      const now = kept(await attest())
      if (now.clock > clock + 400n && now.clock % 4096n > 400n) return now
    }
  }

  it('kill -9 of TPM and agent: a lower clock that is not safe, as an honest machine shows it too, is a new boot', async () => {
    await powerCycle(true)
    const before = await longAfterTheClockWasKept()
    await connection[Symbol.asyncDispose]()
    await tpm().kill()
    await simulated.restart()
    startAgent()
    await simulateFirmware(connection.send)
    const appraisal = await attest()
    const after = kept(appraisal)
    expect(after).toMatchObject({ resetCount: before.resetCount + 1, restartCount: 0, safe: false })
    expect(after.clock).toBeLessThan(before.clock)
    expect(appraisal.newBoot).toBe(true)
    expect(changes(before, after)).toEqual(['power-loss'])
  })

  it('a state of the TPM that was put back is refused, and changes nothing (TPM-26)', async () => {
    const { stateDirectory } = simulated.made()
    const copy = `${stateDirectory}.copy`
    await connection[Symbol.asyncDispose]()
    await tpm().kill()
    cpSync(stateDirectory, copy, { recursive: true })
    const boot = async () => {
      await simulated.restart()
      startAgent()
      await simulateFirmware(connection.send)
    }
    await boot()
    await powerCycle(true)
    const { resetCount } = kept(await attest())
    await connection[Symbol.asyncDispose]()
    await tpm().kill()
    rmSync(stateDirectory, { recursive: true })
    cpSync(copy, stateDirectory, { recursive: true })
    await boot()
    const refused = await attest()
    expect(failedOf(refused)).toEqual(['tpm.counters.rollback'])
    expect([refused.counters, refused.newBoot]).toEqual([null, null])
    expect((await verifier.registry.requireEnrolment(identity.ak.name)).counters).toMatchObject({ resetCount })
    await powerCycle(true)
    await powerCycle(true)
    expect((await attest()).affirmed).toBe(true)
  })

  it('an attestation key quotes although the TPM is locked out, and the TPM can be enrolled (TPM-04)', async () => {
    await lockOut(connection)
    expect((await attest()).affirmed).toBe(true)
    await verifier.enrol(await attester.identity())
    expect((await attest()).affirmed).toBe(true)
  })

  it('object slots full: TPM_NO_SLOTS, what others loaded stays, and it works when they leave', async () => {
    const others: number[] = []
    for (let slot = 0; slot < 3; slot++)
      others.push((await execute(connection.send, tpm2.createPrimary, primary)).object)
    await expect(attest()).rejects.toMatchObject({ code: 'TPM_NO_SLOTS', facts: { rc: '0x902' } })
    for (const object of others) {
      expect((await execute(connection.send, tpm2.readPublic, { object })).name.length).toBe(34)
      await execute(connection.send, tpm2.flushContext, { flushed: object })
    }
    expect((await attest()).affirmed).toBe(true)
  })

  it('a second client waits for the first, as swtpm serves one at a time, and gets its quote', async () => {
    await connection[Symbol.asyncDispose]()
    const first = await tpm().connect()
    let quoted = false
    const waiting = attest().then((appraisal) => {
      quoted = true
      return appraisal
    })
    for (let round = 0; round < 3; round++) await execute(first.send, tpm2.getRandom, { bytes: 8 })
    expect(quoted).toBe(false)
    await first.close()
    expect((await waiting).affirmed).toBe(true)
  })

  /** Last: the attestation key is gone after it. */
  it('TPM2_Clear: counters begin at 0, the EK stays, the old AK is lost; a new one is enrolled without history', async () => {
    const before = await verifier.registry.requireEnrolment(identity.ak.name)
    expect(before.counters?.resetCount).toBeGreaterThan(0)
    await connection.send(clearCommand)
    await expect(attest()).rejects.toMatchObject({ code: 'AK_LOST', facts: { rc: '0x1df' } })
    const renewed = await attester.identity({ renewKey: true })
    expect(renewed.ek.name).toEqual(identity.ek.name)
    expect(renewed.ak.name).not.toEqual(identity.ak.name)
    await verifier.enrol(renewed)
    const appraisal = await verifier.attest(renewed.ak.name)
    expect(kept(appraisal)).toMatchObject({ resetCount: 0, restartCount: 0, safe: true })
    expect(appraisal.newBoot).toBe(true)
    await expect(verifier.registry.requireEnrolment(identity.ak.name)).rejects.toMatchObject({
      code: 'enrolment_state',
      facts: { reason: 'superseded' },
    })
  })
})

const empty = new Uint8Array()

/** A signing key that failed passwords lock: it lacks noDA. */
const primary = {
  hierarchy: hierarchies.owner,
  sensitive: { userAuth: new TextEncoder().encode('right'), data: empty },
  publicArea: {
    type: 'ecc' as const,
    nameAlg: 'sha256' as const,
    attributes: attributesOf('fixedTPM', 'fixedParent', 'sensitiveDataOrigin', 'userWithAuth', 'restricted', 'sign'),
    authPolicy: empty,
    symmetric: { algorithm: 'null' as const },
    scheme: { algorithm: 'ecdsa' as const, hash: 'sha256' as const },
    curve: 'P-256' as const,
    kdf: { algorithm: 'null' as const },
    x: empty,
    y: empty,
  },
  outsideInfo: empty,
  creationPcrs: [],
}

/** Guesses at a password until the TPM takes none any more. */
async function lockOut(connection: SwtpmConnection): Promise<void> {
  const { object } = await execute(connection.send, tpm2.createPrimary, primary)
  const guess = { handle: 0x40000009, nonce: empty, attributes: 0, hmac: new TextEncoder().encode('wrong') }
  const request = { key: object, qualifyingData: draw(8), scheme: { algorithm: 'null' as const }, selection: [] }
  const answers: string[] = []
  while (!answers.at(-1)?.includes('921')) {
    if (answers.length > 40) throw new Error(`no lockout: ${answers.join(' ')}`)
    const refused = await execute(connection.send, tpm2.quote, request, [guess]).catch((error: Error) => error)
    answers.push(refused instanceof Error ? refused.message : 'accepted')
  }
  await execute(connection.send, tpm2.flushContext, { flushed: object })
}

/** TPM2_Clear by the platform, whose password is empty. */
const clearCommand = new Uint8Array(
  Buffer.from(`8002${'0000001b'}00000126${'4000000c'}00000009${'40000009'}0000${'00'}0000`, 'hex'),
)
