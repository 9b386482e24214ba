import type { QuoteOptions } from '../../mocks/tdx/quotes.ts'
import { createSimulator } from '../../mocks/tdx/simulator.ts'
import { deriveReportData, deriveTpmQualifyingData, digestDevices } from '../../src/evidence/binding.ts'
import { devicesOf, type TpmPart, tpmPartOf } from '../../src/evidence/composite.ts'
import type { TdxEvidence } from '../../src/evidence/tdx/evidence.ts'
import type { GuestInputs } from '../../src/verifier/composite/appraise-guest.ts'
import { SoftwareTpm } from './software-tpm.ts'
import { testNow } from './test-ca.ts'

/** A TD beside a TPM, both played in this process; the TD under the keys of a simulated maker. */
export class SimulatedGuest {
  readonly sim = createSimulator({ clock: { now: () => testNow } })
  readonly tpm = new SoftwareTpm()

  tdEvidence(reportData: Uint8Array, options: Partial<QuoteOptions> = {}): TdxEvidence {
    return { quote: this.sim.quote({ reportData, ...options }), ccEventLog: null, simulated: true }
  }

  tpmPart(seed: Uint8Array): TpmPart & { readonly container: Uint8Array } {
    return tpmPartOf(this.tpm.evidence(deriveTpmQualifyingData(seed)))
  }

  /** A TD quote over what lies beside it, as BRK-92 has it. */
  tdBeside(seed: Uint8Array, tpm: TpmPart | null): TdxEvidence {
    return this.tdEvidence(deriveReportData(seed, digestDevices(devicesOf({ tdx: null, tpm }))))
  }

  both(seed: Uint8Array): { readonly tdx: TdxEvidence; readonly tpm: TpmPart & { readonly container: Uint8Array } } {
    const tpm = this.tpmPart(seed)
    return { tdx: this.tdBeside(seed, tpm), tpm }
  }

  /** What all evidence of this guest over `seed` is affirmed by. */
  inputs(seed: Uint8Array): GuestInputs {
    const { enrolment, requirements, simulator, expected } = this.tpm.inputs(new Uint8Array(32))
    return {
      now: testNow,
      seed,
      required: ['tdx', 'tpm'],
      tpm: { enrolment, requirements, simulator, selection: expected.selection },
      tdx: { collateral: this.sim.collateral(), trustAnchors: [this.sim.pki.anchor], simulator: true },
    }
  }
}
