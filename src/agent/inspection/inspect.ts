import { MalformedError } from '../../base/errors.ts'
import { findPem } from '../../base/pki/pem.ts'
import { parseEventLog } from '../../evidence/event-log/event-log.ts'
import { readImaLog } from '../../evidence/ima/ima-log.ts'
import { parseCcEventLog, sha384Of } from '../../evidence/tdx/cc-event-log.ts'
import { type HashName, hashNames } from '../../evidence/tpm/algorithms.ts'
import { agentErrors } from '../errors.ts'
import { inspectCertificate, inspectCrl } from './certificates.ts'
import { inspectJson, inspectToken } from './documents.ts'
import { inspectCcEventLog, inspectEventLog } from './event-logs.ts'
import { inspectImaLog } from './ima-log.ts'
import type { Inspection, InspectionView } from './inspection.ts'
import { inspectCcelTable, inspectQuote, inspectTdReport, kindOfTdx } from './tdx-structures.ts'
import { inspectAttest, inspectPublic, inspectSignature } from './tpm-structures.ts'

type Inspector = (bytes: Uint8Array, view: InspectionView) => Inspection

const latin1 = new TextDecoder('latin1')
const textOf = (bytes: Uint8Array) => latin1.decode(bytes)

const pemOr =
  (label: string, inspector: Inspector): Inspector =>
  (bytes, view) =>
    inspector(textOf(bytes.subarray(0, 4096)).includes('-----BEGIN') ? findPem(textOf(bytes), label) : bytes, view)

function readToEnd(bytes: Uint8Array, column: HashName): void {
  for (const _record of readImaLog(bytes, column));
}

/** The column of an IMA log is not named in it: the one in which every record parses. */
function imaColumn(bytes: Uint8Array): HashName | undefined {
  return hashNames.find((column) => holds(() => readToEnd(bytes, column)))
}

/** By the names that `--kind` takes. */
export const inspectors: Readonly<Record<string, Inspector>> = {
  evidence: (bytes, view) => inspectJson(new TextDecoder().decode(bytes), view),
  token: (bytes) => inspectToken(textOf(bytes).trim()),
  certificate: pemOr('CERTIFICATE', inspectCertificate),
  crl: pemOr('X509 CRL', inspectCrl),
  attest: inspectAttest,
  signature: inspectSignature,
  public: inspectPublic,
  quote: inspectQuote,
  tdreport: inspectTdReport,
  ccel: inspectCcelTable,
  'cc-event-log': inspectCcEventLog,
  'event-log': inspectEventLog,
  'ima-log': (bytes, view) => inspectImaLog(bytes, imaColumn(bytes) ?? 'sha1', view),
}

function holds(parse: () => unknown): boolean {
  try {
    parse()
    return true
  } catch (error) {
    if (error instanceof MalformedError) return false
    throw error
  }
}

const u16At = (bytes: Uint8Array, at: number) => ((bytes[at] ?? 0) << 8) + (bytes[at + 1] ?? 0)
const without = (inspector: (bytes: Uint8Array) => Inspection, bytes: Uint8Array) =>
  holds(() => inspector(bytes)) && !inspector(bytes).problem

/** A log of a TD names registers 0 to 4 only, and extends them by SHA-384: a TPM's log has events of PCR 5 to 7. */
function isCcEventLog(bytes: Uint8Array): boolean {
  return holds(() => parseCcEventLog(bytes)) && parseCcEventLog(bytes).events.every((event) => sha384Of(event))
}

function kindOfBinary(bytes: Uint8Array): string | undefined {
  if (u16At(bytes, 0) === 0xff54 && u16At(bytes, 2) === 0x4347) return 'attest'
  if (bytes[0] === 0x30) return without(inspectCertificate, bytes) ? 'certificate' : 'crl'
  if ([0x0014, 0x0016, 0x0018].includes(u16At(bytes, 0)) && without(inspectSignature, bytes)) return 'signature'
  if (without(inspectPublic, bytes)) return 'public'
  if (isCcEventLog(bytes)) return 'cc-event-log'
  if (bytes.length >= 32 && holds(() => parseEventLog(bytes))) return 'event-log'
  return bytes.length > 0 && imaColumn(bytes) ? 'ima-log' : undefined
}

function kindOf(bytes: Uint8Array): string | undefined {
  // First of all: quotes have certificates in PEM form inside.
  const tdx = kindOfTdx(bytes)
  if (tdx) return tdx
  const start = textOf(bytes.subarray(0, 65_536))
  if (/^\s*\{/.test(start)) return 'evidence'
  if (/^[A-Za-z0-9_-]+\.[A-Za-z0-9_-]+\.[A-Za-z0-9_-]*\s*$/.test(start)) return 'token'
  if (start.includes('-----BEGIN X509 CRL-----')) return 'crl'
  if (start.includes('-----BEGIN CERTIFICATE-----')) return 'certificate'
  return kindOfBinary(bytes)
}

/**
 * Shows a file as a tree with byte offsets: evidence, event logs, IMA log, structures of TPM and TDX, certificate, CRL,
 * token.
 * Nothing is verified. Throws `UNKNOWN_INPUT` where no kind fits, `MalformedError` where the kind is clear but the
 * bytes are not it. Of logs that can be very long, a share is shown unless `view.whole`.
 */
export function inspect(bytes: Uint8Array, kind?: string, view: InspectionView = { whole: true }): Inspection {
  const name = kind ?? kindOf(bytes)
  const inspector = name === undefined ? undefined : inspectors[name]
  if (!inspector) throw agentErrors.error('UNKNOWN_INPUT', `${bytes.length} bytes of no known kind`)
  return inspector(bytes, view)
}
