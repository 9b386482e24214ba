import { isFilledWith, toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { escapedName } from '../../evidence/ima/escaped-name.ts'
import { type ImaRecord, readImaLog } from '../../evidence/ima/ima-log.ts'
import { type ImaFields, parseImaTemplate } from '../../evidence/ima/ima-template.ts'
import type { ImaLogPart } from '../../evidence/tpm/evidence.ts'
import type { PcrValues } from '../tpm/pcr-values.ts'
import { BoundedItems } from './bounded-items.ts'
import { bankLabel } from './event-documents.ts'

/** `tpm.pcrs` (POL-432): the signed values of all banks. */
export function pcrsDocument(quoted: PcrValues): object {
  const indexes = new Set([...quoted.values()].flatMap((bank) => [...bank.keys()]))
  const digestsOf = (index: number) =>
    [...quoted].flatMap(([bank, values]) => {
      const value = values.get(index)
      return value === undefined ? [] : [[bankLabel(bank), toHex(value)] as const]
    })
  const sorted = [...indexes].sort((left, right) => left - right)
  return { PCRs: sorted.map((index) => ({ Index: index, Digests: Object.fromEntries(digestsOf(index)) })) }
}

/** A policy that lists a million files belongs into reference values. */
export const mostImaEntries = { items: 20_000, characters: 8_388_608 }

/** Null for a template that is not known, and for data that have another form than theirs. */
function fieldsOf(record: ImaRecord): ImaFields | null {
  try {
    return parseImaTemplate(record).fields
  } catch (error) {
    if (error instanceof MalformedError) return null
    throw error
  }
}

/** Nothing covers the data of a violation (IMA-05). */
function entryObject(record: ImaRecord): object {
  const { index, template } = record
  if (isFilledWith(record.column, 0)) return { Index: index, Template: template, Violation: true }
  const fields = fieldsOf(record)
  if (fields === null) return { Index: index, Template: template, Violation: false }
  const { digest, name, signature } = fields
  return {
    Index: index,
    Template: template,
    ...(digest === null ? {} : { Digest: `${digest.algorithm}:${toHex(digest.digest)}` }),
    ...(name === null ? {} : { Path: escapedName(name) }),
    Signed: signature !== null && signature.length > 0,
    Violation: false,
  }
}

/**
 * `ima.log` (POL-432): the records of a log from the boot on that the quote covers, `covered` of them, without those of
 * registers that are not quoted. Null for a log that begins later, or that has more than a claim holds: with a part of it
 * left out, a policy could not tell what is not in it.
 */
export function imaDocument({ from, column, data }: ImaLogPart, covered: number, quoted: PcrValues): object | null {
  if (from !== 0 || covered > mostImaEntries.items) return null
  const items = new BoundedItems(mostImaEntries)
  const isQuoted = (pcr: number) => [...quoted.values()].some((bank) => bank.has(pcr))
  for (const record of readImaLog(data, column)) {
    if (record.index >= covered) break
    if (isQuoted(record.pcr) && !items.add(entryObject(record))) return null
  }
  return { Entries: items.items }
}
