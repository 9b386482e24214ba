import { randomBytes } from 'node:crypto'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { simulateFirmware } from '../../mocks/swtpm/measured-boot.ts'
import { simulateIma } from '../../mocks/swtpm/measured-files.ts'
import { loadTctildr } from '../../native/tctildr.ts'
import type { TpmIdentity } from '../../src/attester/tpm/tpm-attester.ts'
import type { TpmEvidence } from '../../src/evidence/tpm/evidence.ts'
import { encodeTpmEvidence, parseTpmEvidence } from '../../src/evidence/tpm/evidence-json.ts'
import { SystemClock } from '../../src/platform/system-clock.ts'
import { TpmConnection } from '../../src/platform/tpm-connection.ts'
import { planTpm } from '../../src/platform/tpm-plan.ts'
import { appraiseTpm } from '../../src/verifier/tpm/appraise-tpm.ts'
import { defaultTpmRequirements, type TpmCounters, type TpmInputs } from '../../src/verifier/tpm/inputs.ts'
import { haveSwtpm, useSwtpm } from '../support/swtpm.ts'
import { attestingMachine } from '../support/tpm-attesting.ts'

/** What the attester collects from a booted machine, carried as JSON, is what the verifier asks for. */

const draw = (size: number) => new Uint8Array(randomBytes(size))
const pcrs = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 10]

function inputsFor(qualifyingData: Uint8Array, identity: TpmIdentity, counters: TpmCounters | null): TpmInputs {
  return {
    now: 0,
    expected: {
      qualifyingData,
      selection: [
        { hash: 'sha256', pcrs },
        { hash: 'sha384', pcrs },
      ],
    },
    enrolment: {
      akName: identity.ak.name,
      akTrust: 'ek-pinned',
      akParent: { under: 'ek', ekName: identity.ek.name },
      ekSpkiSha256: null,
      ekCertSha256: null,
      ekNotAfter: null,
      anchor: null,
      instanceId: null,
      crlStatus: null,
      crlFreshUntil: null,
      simulated: identity.simulated,
      counters,
      imaCheckpoint: null,
    },
    requirements: { ...defaultTpmRequirements, pcrs, ima: 'required' },
    simulator: true,
  }
}

const carried = (evidence: TpmEvidence) => parseTpmEvidence(JSON.stringify(encodeTpmEvidence(evidence)))

const haveTctildr = (() => {
  try {
    return loadTctildr() !== undefined
  } catch {
    return false
  }
})()

describe.each([
  { transport: 'swtpm', possible: haveSwtpm },
  { transport: 'tcti', possible: haveSwtpm && haveTctildr },
] as const)('over $transport (NAT-209)', ({ transport, possible }) => {
  describe.skipIf(!possible)('a machine that boots, enrols and attests', () => {
    const { tpm } = useSwtpm('booted')
    let connection: TpmConnection
    beforeAll(() => {
      connection = new TpmConnection({
        plan: planTpm({ tcti: tpm().tcti, transport, simulator: true, allowTcti: [] }),
        clock: new SystemClock(null),
        random: randomBytes,
        timeoutMs: 10_000,
      })
    })
    afterAll(() => connection.close())

    it('is affirmed, again after files were measured, and again after a reboot', async () => {
      const boot = async () => {
        await tpm().powerCycle(connection)
        const { eventLog } = await simulateFirmware(connection.send)
        return { eventLog, ima: await simulateIma(connection.send) }
      }
      let machine = await boot()
      const { attester } = attestingMachine(connection, {
        pcrs,
        readEventLog: async () => machine.eventLog,
        readImaLog: async () => machine.ima.log(),
      })
      const identity = await attester.identity()
      let counters: TpmCounters | null = null
      const attest = async () => {
        const qualifyingData = draw(32)
        const evidence = carried(await attester.collect(qualifyingData))
        const appraisal = appraiseTpm(evidence, inputsFor(qualifyingData, identity, counters))
        expect(appraisal.findings.filter(({ outcome }) => outcome === 'failed' || outcome === 'unreached')).toEqual([])
        expect(appraisal.affirmed).toBe(true)
        counters = appraisal.counters
        return appraisal
      }
      expect((await attest()).newBoot).toBe(true)
      await machine.ima.measure('/usr/bin/new', draw(8))
      expect((await attest()).newBoot).toBe(false)
      machine = await boot()
      expect((await attest()).newBoot).toBe(true)
    })
  })
})
