import { equalBytes, isFilledWith } from '../../base/bytes.ts'
import { digestOf, type HashName, hashAlgorithms, hashNameOf } from '../../evidence/tpm/algorithms.ts'
import type { TpmAttest } from '../../evidence/tpm/attest.ts'
import { describeSelection, type PcrSelection } from '../../evidence/tpm/pcr-selection.ts'
import type { PcrBankSelection, TpmRequirements } from './inputs.ts'

export type PcrValues = ReadonlyMap<HashName, ReadonlyMap<number, Uint8Array>>

const lastPcr = 23

/** TPM-21, as far as one quote shows it. */
export function selectionProblem(selections: readonly PcrSelection[]): string | null {
  const unknown = selections.find(({ hash }) => hashNameOf(hash) === undefined)
  if (unknown) return `bank 0x${unknown.hash.toString(16).padStart(4, '0')} is not known`
  if (new Set(selections.map(({ hash }) => hash)).size < selections.length) return 'a bank is selected twice'
  const high = selections.flatMap(({ pcrs }) => pcrs).find((pcr) => pcr > lastPcr)
  if (high !== undefined) return `PCR ${high} is above ${lastPcr}`
  return selections.some(({ pcrs }) => pcrs.length > 0) ? null : 'no PCR is selected'
}

/** The signed selection by names; for one that `selectionProblem` found sound. */
export function namedSelection(selections: readonly PcrSelection[]): PcrBankSelection[] {
  return selections.flatMap(({ hash, pcrs }) => {
    const name = hashNameOf(hash)
    return name === undefined ? [] : [{ hash: name, pcrs }]
  })
}

/** EVD-04: with a bank in two quotes, one of them could show a value that the other contradicts. */
export function repeatedBankProblem(quotes: readonly (readonly PcrBankSelection[])[]): string | null {
  const banks = quotes.flatMap((selections) => selections.map(({ hash }) => hash))
  const repeated = banks.find((bank, index) => banks.indexOf(bank) < index)
  return repeated === undefined ? null : `bank ${repeated} is in two quotes`
}

const keysOf = (selections: readonly PcrBankSelection[]): Set<string> =>
  new Set(selections.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => `${hash}:${pcr}`)))

/** TPM-21: equal as sets of (bank, PCR), in whatever order and in however many quotes. */
export function askedProblem(signed: readonly PcrBankSelection[], asked: readonly PcrBankSelection[]): string | null {
  const [have, want] = [keysOf(signed), keysOf(asked)]
  if (have.size === want.size && [...want].every((key) => have.has(key))) return null
  const described = (selections: readonly PcrBankSelection[]) =>
    describeSelection(selections.map(({ hash, pcrs }) => ({ hash: hashAlgorithms[hash].id, pcrs })))
  return `asked for ${described(asked)}, signed is ${described(signed)}`
}

function listed(keys: readonly string[]): string {
  return keys.length > 8 ? `${keys.slice(0, 8).join(', ')} and ${keys.length - 8} more` : keys.join(', ')
}

/** TPM-22: names come only from the signed selection; a value under any other name could be a relabelled one. */
export function mapProblem(selections: readonly PcrBankSelection[], values: PcrValues): string | null {
  const wanted = keysOf(selections)
  const given = new Map(
    [...values].flatMap(([hash, bank]) => [...bank].map(([pcr, value]) => [`${hash}:${pcr}`, value])),
  )
  const missing = [...wanted].filter((key) => !given.has(key))
  if (missing.length > 0) return `no value for ${listed(missing)}`
  const surplus = [...given.keys()].filter((key) => !wanted.has(key))
  if (surplus.length > 0) return `a value for ${listed(surplus)}, which is not signed`
  // Even an empty bank: among the values of several quotes it would hide the signed ones of that name (EVD-07).
  const foreign = [...values.keys()].filter((bank) => !selections.some(({ hash }) => hash === bank))
  if (foreign.length > 0) return `the bank ${listed(foreign)}, which is not signed`
  const misfits = [...values].flatMap(([hash, bank]) =>
    [...bank].filter(([, value]) => value.length !== hashAlgorithms[hash].size).map(([pcr]) => `${hash}:${pcr}`),
  )
  return misfits.length > 0 ? `the value for ${listed(misfits)} has not the length of its bank` : null
}

/** TPM-23: H over the values in the order of the selection, PCRs ascending; H belongs to the scheme, not to the bank. */
export function digestProblem(attest: TpmAttest, values: PcrValues, hash: HashName): string | null {
  const parts = namedSelection(attest.pcrSelect).flatMap((selection) =>
    selection.pcrs.map((pcr) => values.get(selection.hash)?.get(pcr) ?? new Uint8Array()),
  )
  return equalBytes(attest.pcrDigest, digestOf(hash, ...parts)) ? null : 'the values do not give the signed digest'
}

const isStrong = ({ hash, pcrs }: PcrBankSelection) => hash !== 'sha1' && pcrs.length > 0

/** TPM-24: SHA-1 may stand beside another bank, never alone. */
export function weakBankProblem(selections: readonly PcrBankSelection[]): string | null {
  return selections.some(isStrong) ? null : 'only the SHA-1 bank is quoted'
}

/** TPM-25; the IMA register counts as required where the IMA log is. */
export function requiredPcrsProblem(
  selections: readonly PcrBankSelection[],
  { banks, pcrs, ima, imaPcr }: TpmRequirements,
): string | null {
  const wanted = ima === 'required' ? [...new Set([...pcrs, imaPcr])] : pcrs
  const strong = selections.filter(isStrong).filter(({ hash }) => banks.includes(hash))
  if (strong.some((bank) => wanted.every((pcr) => bank.pcrs.includes(pcr)))) return null
  const lacks = ({ hash, pcrs: quoted }: PcrBankSelection) =>
    `${hash} lacks PCR ${wanted.filter((pcr) => !quoted.includes(pcr)).join(', ')}`
  return strong.length > 0 ? strong.map(lacks).join('; ') : `none of the banks ${banks.join(', ')} is quoted`
}

/** TPM-28, for every bank of which at least one of PCR 0 to 7 is quoted. */
export function unmeasuredProblem(values: PcrValues): string | null {
  for (const [hash, bank] of values) {
    const firmware = [...bank].filter(([pcr]) => pcr <= 7)
    if (firmware.length > 0 && firmware.every(([, value]) => isFilledWith(value, 0))) {
      return `all quoted values of PCR 0 to 7 in ${hash} are zero`
    }
  }
  return null
}

/** All values of several quotes, whose banks are disjoint (EVD-04). */
export function mergedValues(quotes: readonly PcrValues[]): PcrValues {
  return new Map(quotes.flatMap((values) => [...values]))
}
