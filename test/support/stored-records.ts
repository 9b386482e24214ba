import fc from 'fast-check'
import type { HistoryEntry, MachineChange } from '../../src/registry/appraisal-history.ts'
import type { EnrolmentRecord, EnrolmentState } from '../../src/registry/enrolment-record.ts'
import type { TpmCounters } from '../../src/verifier/tpm/inputs.ts'

/** A record as the registry makes it; names are numbers here. */
export function recordFor(ak: number, ek: number, changes: Partial<EnrolmentRecord> = {}): EnrolmentRecord {
  const name = (kind: string, index: number) => `000b${kind}${index.toString(16).padStart(62, '0')}`
  return {
    ...{ akName: name('a0', ak), ekName: name('e0', ek), akPublic: Uint8Array.of(0, 1, 2), ekPublic: Uint8Array.of(3) },
    ...{
      ekSpkiSha256: ek.toString(16).padStart(64, '0'),
      ekCertSha256: null,
      ekNotAfter: null,
      certificates: [],
      anchor: null,
    },
    ...{ identity: null, instanceId: null, crlStatus: null, crlFreshUntil: null, trust: 'ek-certificate' },
    ...{ simulated: false, created: 1_790_000_000_000, lastSeen: 1_790_000_000_000, counters: null, checkpoint: null },
    ...{ firmwareVersion: null, state: { is: 'active' } },
    ...changes,
  }
}

export function entryAt(at: number, changes: Partial<HistoryEntry> = {}): HistoryEntry {
  const marks = { counters: null, firmwareVersion: null, evidenceSha256: null }
  return { at, affirmed: true, failed: [], ...marks, changes: [], ...changes }
}

const u32 = fc.oneof(fc.constantFrom(0, 1, 2 ** 31, 2 ** 32 - 1), fc.nat(2 ** 32 - 1))
const u64 = fc.oneof(fc.constantFrom(0n, 2n ** 53n + 1n, 2n ** 63n, 2n ** 64n - 1n), fc.bigInt(0n, 2n ** 64n - 1n))
const time = fc.integer({ min: 0, max: 253_402_300_799_999 })
const bytes = fc.uint8Array({ maxLength: 3000, size: 'max' })
/** Whatever a certificate can name, and what a database cannot hold as it is. */
const name = fc.oneof(
  fc.string({ unit: 'binary', maxLength: 40 }),
  fc.constantFrom('', '\0', 'i-1\0', '\ud800', '\udc00x', 'json:"x"', 'json:', "';--", 'é', 'é', '\\x00', 'NULL'),
  fc.string({ minLength: 3000, maxLength: 9000, size: 'max' }),
)
const orNull = <T>(some: fc.Arbitrary<T>) => fc.option(some, { nil: null })

export const anyCounters: fc.Arbitrary<TpmCounters> = fc.record({
  resetCount: u32,
  restartCount: u32,
  clock: u64,
  safe: fc.boolean(),
})

const anyState: fc.Arbitrary<EnrolmentState> = fc.oneof(
  fc.constant({ is: 'active' } as const),
  fc.record({
    is: fc.constant('suspended' as const),
    reason: fc.constantFrom('operator', 'certificate_expired', 'certificate_revoked', 'certificate_untrusted'),
    since: time,
  }),
  fc.record({
    is: fc.constant('revoked' as const),
    reason: fc.constantFrom('superseded', 'operator', 'released'),
    since: time,
  }),
)

const firmware = orNull(u64.map((version) => version.toString(16).padStart(16, '0')))

/** Everything in a record that its key does not say. */
export const anyFacts: fc.Arbitrary<Partial<EnrolmentRecord>> = fc.record({
  ...{ akPublic: bytes, ekPublic: bytes, certificates: fc.array(bytes, { maxLength: 3 }), checkpoint: orNull(bytes) },
  ...{ ekNotAfter: orNull(time), crlFreshUntil: orNull(time), created: time, lastSeen: time, simulated: fc.boolean() },
  ...{ anchor: orNull(name), identity: orNull(name), instanceId: orNull(name), firmwareVersion: firmware },
  ekCertSha256: orNull(fc.constant('bb'.repeat(32))),
  crlStatus: orNull(fc.constantFrom('fresh', 'stale', 'none', 'off')),
  trust: fc.constantFrom('ek-certificate', 'ek-pinned'),
  counters: orNull(anyCounters),
  state: anyState,
})

const allChanges: readonly MachineChange[] = ['reboot', 'power-loss', 'resume', 'clock-unsafe', 'rollback', 'firmware']

export const anyEntry: fc.Arbitrary<HistoryEntry> = fc.record({
  at: time,
  affirmed: fc.boolean(),
  failed: fc.subarray(['tpm.quote.signature', 'tpm.counters', 'ima.prefix']),
  counters: orNull(anyCounters),
  firmwareVersion: firmware,
  evidenceSha256: orNull(fc.constant('cc'.repeat(32))),
  changes: fc.subarray([...allChanges]),
})
