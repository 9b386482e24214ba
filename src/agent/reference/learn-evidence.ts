import { hash } from 'node:crypto'
import { isFilledWith, toBase64, toHex, toLatin1 } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { parseCertificate } from '../../base/pki/certificate.ts'
import { type ImaRecord, parseImaLog, readImaLog } from '../../evidence/ima/ima-log.ts'
import { type ImaFields, parseImaTemplate } from '../../evidence/ima/ima-template.ts'
import { readImaTextLog } from '../../evidence/ima/ima-text-log.ts'
import { type HashName, hashNames } from '../../evidence/tpm/algorithms.ts'
import type { TpmEvidence } from '../../evidence/tpm/evidence.ts'
import { digestSet, isReferenceAlgorithm } from '../../reference-values/digest-set.ts'
import type { GoldenBank } from '../../reference-values/reference-values.ts'
import { agentErrors } from '../errors.ts'
import { parseEvidenceDocument } from '../evidence-document.ts'
import type { Learning } from './learning.ts'

export interface EvidenceLearning {
  /** Name of the golden image; null: PCRs are not learned. */
  readonly image: string | null
  /** PCRs that are learned as far as they are quoted. */
  readonly pcrs: readonly number[]
  /** The register of IMA: records of others are left out. */
  readonly imaPcr: number
}

/**
 * PCRs that depend on the firmware, the boot chain and its settings. PCR 10 grows with every file that is read, 11 with
 * the phases of the boot, 15 holds what is of one machine, 16 and 23 can be reset by anybody (TPM-22).
 */
export const defaultGoldenPcrs: readonly number[] = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9, 14]

const bootAggregate = 'boot_aggregate'

/** A measured key is DER of a certificate; whatever else is measured as a buffer is not. */
function isCertificate(bytes: Uint8Array): boolean {
  try {
    parseCertificate(bytes, 'buffer')
    return true
  } catch (error) {
    if (error instanceof MalformedError) return false
    throw error
  }
}

function learnBuffer(fields: ImaFields, name: string, buffer: Uint8Array, learning: Learning): void {
  const algorithm = fields.digest?.algorithm
  if (fields.digest === null || algorithm === undefined || !isReferenceAlgorithm(algorithm) || algorithm === 'sm3') {
    learning.leaveOut('unknown-algorithm', name)
  } else if (hash(algorithm, buffer, 'hex') !== toHex(fields.digest.digest)) learning.leaveOut('false-buffer', name)
  else if (isCertificate(buffer)) {
    learning.add({ kind: 'key', keyring: name, sha256: hash('sha256', buffer, 'hex'), der: toBase64(buffer) })
  } else learning.add({ kind: 'buffer', name, digests: digestSet([{ algorithm, digest: fields.digest.digest }]) })
}

function learnFields(fields: ImaFields, learning: Learning): void {
  const { digest, name: bytes, buffer } = fields
  const name = bytes === null ? '' : toLatin1(bytes)
  if (name === bootAggregate) learning.leaveOut('boot-aggregate', name)
  else if (digest === null || name === '') learning.leaveOut('unknown-template', name)
  else if (buffer !== null) learnBuffer(fields, name, buffer, learning)
  else if (digest.of !== 'ima' || !isReferenceAlgorithm(digest.algorithm)) learning.leaveOut('unknown-algorithm', name)
  else {
    const digests = digestSet([{ algorithm: digest.algorithm, digest: digest.digest }])
    // The name stands as it was measured: it is not to be written once more as IMA would.
    learning.add({ kind: 'file', path: name, digests })
  }
}

function nameInViolation(record: ImaRecord): string {
  try {
    const { fields } = parseImaTemplate(record, { violation: true })
    return fields?.name ? toLatin1(fields.name) : ''
  } catch (error) {
    if (error instanceof MalformedError) return ''
    throw error
  }
}

function learnRecords(records: Iterable<ImaRecord>, imaPcr: number, learning: Learning): void {
  for (const record of records) {
    const { pcr, column, template, index } = record
    if (isFilledWith(column, 0)) {
      learning.leaveOut('violation', nameInViolation(record))
      continue
    }
    const { fields } = parseImaTemplate(record, { path: `ima.records.${index}` })
    if (fields === null) learning.leaveOut('unknown-template', template)
    else if (pcr !== imaPcr) learning.leaveOut('other-register', fields.name === null ? '' : toLatin1(fields.name))
    else learnFields(fields, learning)
  }
}

function learnPcrs({ quotes }: TpmEvidence, { image, pcrs }: EvidenceLearning, learning: Learning): void {
  if (image === null) return
  const banks = quotes.flatMap((quote) => [...quote.pcrs]).filter(([bank]) => bank !== 'sha1')
  const golden = banks.flatMap(([bank, values]): GoldenBank[] => {
    const known = [...values].filter(([pcr]) => pcrs.includes(pcr)).sort(([left], [right]) => left - right)
    return known.length === 0
      ? []
      : [{ hash: bank, pcrs: known.map(([pcr, value]) => ({ pcr, accepted: [toHex(value)] })) }]
  })
  if (golden.length === 0)
    throw agentErrors.error('USAGE', `--image ${image}: none of PCR ${pcrs.join(', ')} is quoted`)
  learning.add({ kind: 'pcrs', image, banks: golden })
}

/** The column of an IMA log is not named in it: the one in which every record parses. */
function imaColumn(bytes: Uint8Array): HashName | undefined {
  return hashNames.find((column) => {
    try {
      return parseImaLog(bytes, column).length > 0
    } catch (error) {
      if (error instanceof MalformedError) return false
      throw error
    }
  })
}

function learnBareLog(bytes: Uint8Array, name: string, { image, imaPcr }: EvidenceLearning, learning: Learning): void {
  if (image !== null) throw agentErrors.error('USAGE', `${name}: an IMA log has no PCRs for --image; give TPM evidence`)
  if (/^ ?[0-9]{1,2} [0-9a-f]{40}/.test(toLatin1(bytes.subarray(0, 64)))) {
    learnRecords(readImaTextLog(bytes), imaPcr, learning)
    return
  }
  const column = imaColumn(bytes)
  if (column === undefined) throw agentErrors.error('UNKNOWN_INPUT', `${name}: is neither TPM evidence nor an IMA log`)
  learnRecords(readImaLog(bytes, column), imaPcr, learning)
}

/**
 * Learns from what a machine in the wanted state measured: TPM evidence, or an IMA log in binary or text form. Nothing of
 * it is verified: whoever learns vouches for the machine and the way the file took. Throws `MalformedError`, also for
 * a text log that is ambiguous (IMA-23), and `UNKNOWN_INPUT`.
 */
export function learnEvidence(bytes: Uint8Array, name: string, options: EvidenceLearning, learning: Learning): void {
  if (!/^\s*\{/.test(toLatin1(bytes.subarray(0, 64)))) {
    learnBareLog(bytes, name, options, learning)
    return
  }
  const { tpm } = parseEvidenceDocument(bytes)
  if (tpm === null) throw agentErrors.error('EVIDENCE_UNSUPPORTED', `${name}: has no evidence of a TPM`)
  learnPcrs(tpm.evidence, options, learning)
  const { ima } = tpm.evidence
  if (ima !== null) learnRecords(readImaLog(ima.data, ima.column), options.imaPcr, learning)
}
