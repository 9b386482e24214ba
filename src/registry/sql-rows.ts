import { createHash } from 'node:crypto'
import { concatBytes } from '../base/bytes.ts'
import type { TpmCounters } from '../verifier/tpm/inputs.ts'
import type { AppraisalOutcome, HistoryEntry, MachineChange } from './appraisal-history.ts'
import type { EnrolmentRecord, EnrolmentState, RevocationReason, SuspensionReason } from './enrolment-record.ts'
import type { StoredRecord } from './registry-store.ts'
import { type Columns, damaged, integerText, orNull, RowReader, storable } from './sql-columns.ts'
import type { SqlRow } from './sql-engine.ts'

/** Under which an identity is looked up. */
export function identityKey(identity: string): Uint8Array {
  return new Uint8Array(createHash('sha256').update(storable(identity)).digest())
}

/** Each with its length in front of it, u32 big endian. */
function packed(parts: readonly Uint8Array[]): Uint8Array {
  return concatBytes(
    ...parts.flatMap((part) => {
      const length = new Uint8Array(4)
      new DataView(length.buffer).setUint32(0, part.length)
      return [length, part]
    }),
  )
}

function unpacked(bytes: Uint8Array): readonly Uint8Array[] {
  const parts: Uint8Array[] = []
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.length)
  for (let at = 0; at < bytes.length; ) {
    const length = bytes.length - at < 4 ? Number.POSITIVE_INFINITY : view.getUint32(at)
    if (length > bytes.length - at - 4) throw damaged('certificates')
    parts.push(bytes.slice(at + 4, at + 4 + length))
    at += 4 + length
  }
  return parts
}

function columnsOfMarks(counters: TpmCounters | null, firmwareVersion: string | null): Columns {
  return {
    reset_count: counters ? integerText(counters.resetCount) : null,
    restart_count: counters ? integerText(counters.restartCount) : null,
    clock: counters ? String(counters.clock) : null,
    safe: counters?.safe ?? null,
    firmware_version: firmwareVersion,
  }
}

function columnsOfState(state: EnrolmentState): Columns {
  if (state.is === 'active') return { state: 'active', state_reason: null, state_since: null }
  return { state: state.is, state_reason: state.reason, state_since: integerText(state.since) }
}

/** A record as columns of `attestd.enrolments`, but for its version. */
export function columnsOfRecord(record: EnrolmentRecord): Columns {
  return {
    ak_name: record.akName,
    ek_name: record.ekName,
    ak_public: record.akPublic,
    ek_public: record.ekPublic,
    ek_spki_sha256: record.ekSpkiSha256,
    ek_cert_sha256: record.ekCertSha256,
    ek_not_after: orNull(record.ekNotAfter, integerText),
    certificates: packed(record.certificates),
    anchor: orNull(record.anchor, storable),
    identity: orNull(record.identity, storable),
    identity_key: orNull(record.identity, identityKey),
    instance_id: orNull(record.instanceId, storable),
    crl_status: record.crlStatus,
    crl_fresh_until: orNull(record.crlFreshUntil, integerText),
    trust: record.trust,
    simulated: record.simulated,
    created: integerText(record.created),
    last_seen: integerText(record.lastSeen),
    ...columnsOfMarks(record.counters, record.firmwareVersion),
    checkpoint: record.checkpoint,
    ...columnsOfState(record.state),
  }
}

/** An outcome as columns of `attestd.appraisals`. */
export function columnsOfEntry(akName: string, entry: HistoryEntry): Columns {
  return {
    ak_name: akName,
    at: integerText(entry.at),
    affirmed: entry.affirmed,
    failed: entry.failed.join(' '),
    changes: entry.changes.join(' '),
    ...columnsOfMarks(entry.counters, entry.firmwareVersion),
    evidence_sha256: entry.evidenceSha256,
  }
}

const suspensions = [
  'operator',
  'certificate_expired',
  'certificate_revoked',
  'certificate_untrusted',
] as const satisfies readonly SuspensionReason[]
const revocations = ['superseded', 'operator', 'released'] as const satisfies readonly RevocationReason[]
const crlStatuses = ['fresh', 'stale', 'none', 'off'] as const
const machineChanges = [
  'reboot',
  'power-loss',
  'resume',
  'clock-unsafe',
  'rollback',
  'firmware',
] as const satisfies readonly MachineChange[]

function stateIn(row: RowReader): EnrolmentState {
  const is = row.oneOf('state', ['active', 'suspended', 'revoked'])
  if (is === 'active') return { is }
  const since = row.integer('state_since')
  if (is === 'suspended') return { is, reason: row.oneOf('state_reason', suspensions), since }
  return { is, reason: row.oneOf('state_reason', revocations), since }
}

function countersIn(row: RowReader): TpmCounters | null {
  const clock = row.textOrNull('clock')
  if (clock === null) return null
  if (!/^\d{1,20}$/.test(clock)) throw damaged('clock')
  const [resetCount, restartCount] = [row.integer('reset_count'), row.integer('restart_count')]
  return { resetCount, restartCount, clock: BigInt(clock), safe: row.flag('safe') }
}

/** What `recordColumns` asks for. Throws `registry_corrupt`. */
export function storedRecordOf(sqlRow: SqlRow): StoredRecord {
  const row = new RowReader(sqlRow)
  const record: EnrolmentRecord = {
    akName: row.text('ak_name'),
    ekName: row.text('ek_name'),
    akPublic: row.bytes('ak_public'),
    ekPublic: row.bytes('ek_public'),
    ekSpkiSha256: row.text('ek_spki_sha256'),
    ekCertSha256: row.textOrNull('ek_cert_sha256'),
    ekNotAfter: row.integerOrNull('ek_not_after'),
    certificates: unpacked(row.bytes('certificates')),
    anchor: row.name('anchor'),
    identity: row.name('identity'),
    instanceId: row.name('instance_id'),
    crlStatus: row.textOrNull('crl_status') === null ? null : row.oneOf('crl_status', crlStatuses),
    crlFreshUntil: row.integerOrNull('crl_fresh_until'),
    trust: row.oneOf('trust', ['ek-certificate', 'ek-pinned']),
    simulated: row.flag('simulated'),
    created: row.integer('created'),
    lastSeen: row.integer('last_seen'),
    counters: countersIn(row),
    checkpoint: row.bytesOrNull('checkpoint'),
    firmwareVersion: row.textOrNull('firmware_version'),
    state: stateIn(row),
  }
  return { record, version: row.integer('version') }
}

/** What `entryColumns` asks for. Throws `registry_corrupt`. */
export function entryOf(sqlRow: SqlRow): HistoryEntry {
  const row = new RowReader(sqlRow)
  const outcome: AppraisalOutcome = {
    at: row.integer('at'),
    affirmed: row.flag('affirmed'),
    failed: row.words('failed'),
    counters: countersIn(row),
    firmwareVersion: row.textOrNull('firmware_version'),
    evidenceSha256: row.textOrNull('evidence_sha256'),
  }
  const changes = row.words('changes').map((word) => {
    const known = machineChanges.find((change) => change === word)
    if (known === undefined) throw damaged('changes')
    return known
  })
  return { ...outcome, changes }
}

const marks = 'reset_count::text, restart_count::text, clock::text, safe, firmware_version'

export const recordColumns = `ak_name, version::text, ek_name, ak_public, ek_public, ek_spki_sha256, ek_cert_sha256,
  ek_not_after::text, certificates, anchor, identity, instance_id, crl_status, crl_fresh_until::text, trust, simulated,
  created::text, last_seen::text, ${marks}, checkpoint, state, state_reason, state_since::text`

export const entryColumns = `at::text, affirmed, failed, changes, ${marks}, evidence_sha256`
