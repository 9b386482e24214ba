import { concatBytes, equalBytes, isFilledWith } from '../../base/bytes.ts'
import { digestOf, isHashName } from '../../evidence/tpm/algorithms.ts'
import type { ImaBootAggregate } from './ima-progress.ts'
import type { QuotedValues } from './ima-registers.ts'

/** Over which PCRs the digest of the first record is: Linux before 5.8, and SHA-1, take 0 to 7 (IMA-13). */
export type BootAggregatePcrs = '0-7' | '0-9'

/** `pcrs` is null with a `problem` where nothing matches, and with a `lack` where the quote does not tell. */
export interface BootAggregateMatch {
  readonly pcrs: BootAggregatePcrs | null
  readonly problem: string | null
  readonly lack: string | null
}

const matched = (pcrs: BootAggregatePcrs): BootAggregateMatch => ({ pcrs, problem: null, lack: null })
const wrong = (problem: string): BootAggregateMatch => ({ pcrs: null, problem, lack: null })
const unknown = (lack: string): BootAggregateMatch => ({ pcrs: null, problem: null, lack })

/** The values of PCR 0 to `last` behind each other; null if one of them is not quoted. */
function valuesTo(last: number, bank: ReadonlyMap<number, Uint8Array>): Uint8Array | null {
  const values: Uint8Array[] = []
  for (let pcr = 0; pcr <= last; pcr++) {
    const value = bank.get(pcr)
    if (value === undefined) return null
    values.push(value)
  }
  return concatBytes(...values)
}

/**
 * Compares the first record of a boot with the PCRs of the same bank of this quote (IMA-13): it ties the list of the
 * kernel to the boot that the other PCRs tell about. All zeros mean that IMA found no TPM when it started.
 */
export function matchBootAggregate({ algorithm, digest }: ImaBootAggregate, quoted: QuotedValues): BootAggregateMatch {
  if (isFilledWith(digest, 0)) return wrong('the digest is zero: IMA found no TPM when it started')
  const bank = isHashName(algorithm) ? quoted.get(algorithm) : undefined
  if (!isHashName(algorithm) || bank === undefined) return unknown(`bank ${algorithm} is not quoted`)
  const is = (values: Uint8Array | null) => values !== null && equalBytes(digestOf(algorithm, values), digest)
  const [firmware, all] = [valuesTo(7, bank), valuesTo(9, bank)]
  if (is(firmware)) return matched('0-7')
  if (is(all)) return matched('0-9')
  const needed = algorithm === 'sha1' ? firmware : all
  const range = algorithm === 'sha1' ? '0 to 7' : '0 to 9'
  return needed === null
    ? unknown(`not all of PCR ${range} are quoted in ${algorithm}`)
    : wrong(`the digest is not that of the quoted PCR 0 to 7 or 0 to 9 in ${algorithm}`)
}
