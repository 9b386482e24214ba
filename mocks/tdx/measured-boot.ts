import { createHash } from 'node:crypto'
import { concatBytes } from '../../src/base/bytes.ts'
import { encode, sizedBytes, u16le, u32le } from '../../src/base/layout.ts'
import { encodeSpecIdHeader } from '../../src/evidence/event-log/spec-id.ts'
import { ccTypeTdx, encodeCcelTable } from '../../src/evidence/tdx/ccel-table.ts'
import { hashAlgorithms } from '../../src/evidence/tpm/algorithms.ts'
import { type MeasuredEvent, measuredEvents, type SimulatedBoot } from '../swtpm/measured-events.ts'

/** What firmware and boot loader of a TD leave behind. */
export interface SimulatedCcBoot {
  /** CCEL, 56 bytes (TDX-020). */
  readonly table: Uint8Array
  /** The area that the table describes: the log, then FF to its end. */
  readonly logArea: Uint8Array
  /** What was extended, in order: RTMR and 48 bytes. */
  readonly extended: readonly { readonly rtmr: 0 | 1 | 2; readonly digest: Uint8Array }[]
}

const logAreaSize = 65_536
const sha384 = (bytes: Uint8Array) => new Uint8Array(createHash('sha384').update(bytes).digest())

/** As firmware of TDs maps PCRs (UEFI 2.10, section 38.4.1); what a TPM has in PCR 0 is in MRTD before the log begins. */
function rtmrOf(pcr: number): 0 | 1 | 2 {
  if (pcr <= 1 || pcr === 7) return 0
  return pcr < 8 ? 1 : 2
}

function encodeEntry(rtmr: number, { type, data }: MeasuredEvent, digest: Uint8Array): Uint8Array {
  return concatBytes(
    ...[rtmr + 1, type, 1].map((value) => encode(u32le, value)),
    encode(u16le, hashAlgorithms.sha384.id),
    digest,
    encode(sizedBytes(u32le), data),
  )
}

const ascii = (text: string, size: number) => new TextEncoder().encode(text.padEnd(size))

function ccelTable(): Uint8Array {
  const fields = {
    signature: ascii('CCEL', 4),
    length: 56,
    revision: 1,
    oemId: ascii('ATTSTD', 6),
    oemTableId: ascii('SIMULATR', 8),
    oemRevision: 1,
    creatorId: ascii('SIM', 4),
    creatorRevision: 1,
    ccType: ccTypeTdx,
    ccSubtype: 0,
    reserved: new Uint8Array(2),
    logAreaLength: BigInt(logAreaSize),
    logAddress: 0x7e000000n,
  }
  const unsummed = encodeCcelTable({ ...fields, checksum: 0 })
  const sum = unsummed.reduce((total, byte) => total + byte, 0)
  return encodeCcelTable({ ...fields, checksum: -sum & 0xff })
}

/**
 * Plays the firmware, boot loader and kernel of a TD: boot variables, the command line and the separators are bound to
 * their digests (TDX-238), images and file contents are not, as on real machines.
 */
export function simulateCcBoot(boot: SimulatedBoot = {}): SimulatedCcBoot {
  const events = measuredEvents(boot).map((event) => {
    const [rtmr, digest] = [rtmrOf(event.pcr), sha384(event.measured)]
    return { rtmr, digest, entry: encodeEntry(rtmr, event, digest) }
  })
  const log = concatBytes(encodeSpecIdHeader(1, [hashAlgorithms.sha384]), ...events.map(({ entry }) => entry))
  if (log.length > logAreaSize) throw new RangeError(`the log has ${log.length} bytes, its area ${logAreaSize}`)
  const logArea = concatBytes(log, new Uint8Array(logAreaSize - log.length).fill(0xff))
  return { table: ccelTable(), logArea, extended: events.map(({ rtmr, digest }) => ({ rtmr, digest })) }
}
