import type { EnrolmentInputs } from '../../verifier/tpm/enrolment.ts'
import type { Settings } from '../wiring/settings.ts'

/** What these settings ask of the endorsement key of this machine. `now`: milliseconds since the epoch. */
export function enrolmentInputs({ trust, configuration }: Settings, now: number): EnrolmentInputs {
  const { revocation, ek_pinned, instance_id } = configuration.verifier
  const { simulator } = configuration.tpm
  return {
    ...trust,
    now,
    revocation,
    simulator,
    ...(simulator ? { simulatorAnchors: trust.anchors } : {}),
    // Who pins the key of this machine and names its instance says that the two belong together.
    pinnedEks: ek_pinned.map((spkiSha256) => ({ spkiSha256, instanceId: instance_id ?? null })),
    expectedInstance: instance_id ?? null,
  }
}
