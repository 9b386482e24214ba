import { randomBytes } from 'node:crypto'
import { readFileSync } from 'node:fs'
import { afterEach, describe, expect, it } from 'vitest'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import type { TpmIdentity } from '../../src/attester/tpm/tpm-attester.ts'
import { parseCertificate } from '../../src/base/pki/certificate.ts'
import { parsePem } from '../../src/base/pki/pem.ts'
import { anchorOf } from '../../src/base/pki/trust-anchor.ts'
import { type EnrolmentRequest, proveActivation } from '../../src/evidence/tpm/enrolment.ts'
import { MemoryStore } from '../../src/registry/memory-store.ts'
import { TpmRegistry } from '../../src/registry/tpm-registry.ts'
import { appraiseTpm } from '../../src/verifier/tpm/appraise-tpm.ts'
import { appraiseEnrolment, type EnrolmentInputs } from '../../src/verifier/tpm/enrolment.ts'
import { defaultTpmRequirements, type TpmInputs } from '../../src/verifier/tpm/inputs.ts'
import { FakeClock } from '../support/fake-clock.ts'
import { haveSwtpm, type SimulatedTpm, useSwtpm } from '../support/swtpm.ts'
import { SwtpmConnection } from '../support/swtpm-connection.ts'
import { attestingMachine } from '../support/tpm-attesting.ts'

/** Enrolment between a real attester and a real registry, over a simulated TPM with certificates of its maker. */

const random = (size: number) => new Uint8Array(randomBytes(size))
const instance = 'i-2ze0e2e000000000001'
const pcrs = [0, 1, 2, 3, 4, 5, 6, 7]

const certificateAt = (file: string) => parseCertificate(parsePem(readFileSync(file, 'latin1'), 'CERTIFICATE'))

function requestOf({ ek, ak, simulated }: TpmIdentity): EnrolmentRequest {
  return { ek, ak, instanceId: instance, simulated }
}

function inputsFor({ made }: SimulatedTpm, now: number): EnrolmentInputs {
  return {
    now,
    anchors: [],
    simulatorAnchors: [anchorOf(certificateAt(made().rootCertificate), 'simulator')],
    intermediates: [certificateAt(made().issuerCertificate)],
    crls: [],
    revocation: 'off',
    expectedInstance: instance,
    simulator: true,
  }
}

describe.skipIf(!haveSwtpm).each(['rsa-2048', 'p-384-high'] as const)('a simulated TPM with the EK %s', (template) => {
  const simulated = useSwtpm(instance)
  const connection = new SwtpmConnection(simulated.tpm)
  afterEach(() => connection[Symbol.asyncDispose]())

  it('enrols its key, attests, is superseded by a new key, and does not open what is for others', async () => {
    const clock = new FakeClock(Date.now())
    const registry = new TpmRegistry({ store: new MemoryStore(), clock, random })
    await simulateFirmware(connection.send)
    const { attester } = attestingMachine(connection, { pcrs, banks: ['sha256'], ek: { template } })
    const inputs = inputsFor(simulated, clock.now() + 60_000)

    const enrol = async (identity: TpmIdentity) => {
      const { candidate, findings } = appraiseEnrolment(requestOf(identity), inputs)
      expect(findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')).toEqual([])
      if (!candidate) throw new Error('no candidate')
      const { id, idObject, encryptedSecret } = registry.openChallenge(candidate, 'peer')
      const secret = await attester.activate(idObject, encryptedSecret)
      await registry.acceptAnswer({ id, answer: proveActivation(secret, id, candidate.akName) }, 'peer')
      return candidate
    }

    const first = await attester.identity()
    const candidate = await enrol(first)
    expect(candidate).toMatchObject({ identity: instance, instanceId: instance, anchor: 'simulator', simulated: true })
    expect(candidate.akName).toEqual(first.ak.name)
    expect(candidate.ekName).toEqual(first.ek.name)

    const qualifyingData = random(32)
    const evidence = await attester.collect(qualifyingData)
    const appraise = async (): Promise<TpmInputs> => ({
      now: clock.now(),
      expected: { qualifyingData, selection: 'any' },
      enrolment: await registry.requireEnrolment(first.ak.name),
      requirements: { ...defaultTpmRequirements, pcrs, eventLog: 'optional' },
      simulator: true,
    })
    const appraisal = appraiseTpm(evidence, await appraise())
    expect(appraisal.findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')).toEqual([])
    expect(appraisal.claims['tpm']).toMatchObject({
      ak_trusted: true,
      ak_trust: 'ek-certificate',
      instance_id: instance,
    })
    if (!appraisal.counters) throw new Error('no counters')
    await registry.keepProgress(first.ak.name, null, { counters: appraisal.counters, checkpoint: null })
    // The same evidence again is older than what was accepted.
    expect(appraiseTpm(evidence, await appraise()).affirmed).toBe(false)

    const renewed = await attester.identity({ renewKey: true })
    await enrol(renewed)
    await expect(registry.requireEnrolment(first.ak.name)).rejects.toMatchObject({ code: 'enrolment_state' })
    expect((await registry.requireEnrolment(renewed.ak.name)).counters).toBeNull()

    const forOldKey = registry.openChallenge(candidate, 'peer')
    await expect(attester.activate(forOldKey.idObject, forOldKey.encryptedSecret)).rejects.toMatchObject({
      code: 'TPM_CREDENTIAL_REFUSED',
    })
  })

  it('is refused by a verifier that is not in simulator mode, and by one that expects another instance', async () => {
    const { attester } = attestingMachine(connection, { pcrs, ek: { template } })
    const request = requestOf(await attester.identity())
    const inputs = inputsFor(simulated, Date.now() + 60_000)
    const failed = (changes: Partial<EnrolmentInputs>, asked = request) =>
      appraiseEnrolment(asked, { ...inputs, ...changes })
        .findings.filter(({ outcome }) => outcome === 'failed')
        .map(({ id }) => id)
    expect(failed({ simulator: false })).toEqual(['tpm.ek.hardware'])
    expect(failed({ simulator: false }, { ...request, simulated: false })).toEqual(['tpm.ek.hardware'])
    expect(failed({ expectedInstance: 'i-other' })).toEqual(['tpm.ek.instance'])
    expect(failed({ simulatorAnchors: [] })).toEqual(['tpm.ek.chain'])
  })
})
