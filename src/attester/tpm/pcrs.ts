import { type HashName, hashAlgorithms, hashNameOf } from '../../evidence/tpm/algorithms.ts'
import { capabilities } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { describeSelection, type PcrSelection } from '../../evidence/tpm/pcr-selection.ts'
import { attesterErrors } from '../errors.ts'
import type { TpmDialogue } from './dialogue.ts'
import { requireConsistent } from './refusals.ts'

/** Bank → PCR index → value. */
export type PcrValues = ReadonlyMap<HashName, ReadonlyMap<number, Uint8Array>>

/** One bank with the PCRs of it that a quote covers. */
export interface BankSelection {
  readonly hash: HashName
  /** 0 to 23, ascending. */
  readonly pcrs: readonly number[]
}

/** How often reading or quoting starts again because PCRs changed meanwhile (NAT-55, TPM-06). */
export const pcrAttempts = 5

/** The banks that hold PCRs, with the indices that they hold. Banks of hashes that we do not know are left out. */
export async function readActiveBanks(tpm: TpmDialogue): Promise<ReadonlyMap<HashName, readonly number[]>> {
  const request = { capability: capabilities.pcrs, property: 0, count: 1 }
  const { data } = await tpm.execute(tpm2.getCapability, request)
  requireConsistent(data.capability === 'pcrs', tpm2.getCapability, 'another capability than asked for')
  const banks = data.capability === 'pcrs' ? data.banks : []
  return new Map(
    banks.flatMap(({ hash, pcrs }) => {
      const name = hashNameOf(hash)
      return name === undefined || pcrs.length === 0 ? [] : [[name, pcrs] as const]
    }),
  )
}

/** What to quote: banks that must be there, and banks that are taken along where they are active. */
export interface WantedPcrs {
  readonly banks: readonly HashName[]
  readonly banksIfActive: readonly HashName[]
  /** 0 to 23. */
  readonly pcrs: readonly number[]
}

/**
 * One selection for all banks, in the order of their algorithm numbers, PCRs ascending. An inactive bank would
 * be dropped silently by the TPM (NAT-54, NAT-56), so a wanted one that is missing is `TPM_BANK_INACTIVE`.
 */
export async function selectPcrs(tpm: TpmDialogue, wanted: WantedPcrs): Promise<PcrSelection[]> {
  const active = await readActiveBanks(tpm)
  const pcrs = [...new Set(wanted.pcrs)].sort((a, b) => a - b)
  const holds = (bank: HashName) => pcrs.every((pcr) => active.get(bank)?.includes(pcr) ?? false)
  const missing = wanted.banks.find((bank) => !holds(bank))
  if (missing !== undefined) throw bankInactive(missing)
  return [...new Set([...wanted.banks, ...wanted.banksIfActive.filter(holds)])]
    .map((bank) => ({ hash: hashAlgorithms[bank].id as number, pcrs }))
    .sort((a, b) => a.hash - b.hash)
}

/** A selection by the names of its banks; banks of hashes that we do not know are never selected here. */
export function namedBanks(selection: readonly PcrSelection[]): BankSelection[] {
  return selection.flatMap(({ hash, pcrs }) => {
    const name = hashNameOf(hash)
    return name === undefined ? [] : [{ hash: name, pcrs }]
  })
}

/** A selection as the TPM takes it: banks in the order of their algorithm numbers, PCRs ascending. */
export function numberedBanks(selection: readonly BankSelection[]): PcrSelection[] {
  return selection
    .map(({ hash, pcrs }) => ({
      hash: hashAlgorithms[hash].id as number,
      pcrs: [...new Set(pcrs)].sort((a, b) => a - b),
    }))
    .sort((a, b) => a.hash - b.hash)
}

function bankInactive(bank: string): Error {
  return attesterErrors.error('TPM_BANK_INACTIVE', `the bank ${bank} does not hold the PCRs that are wanted`, {
    facts: { bank },
  })
}

/**
 * The values of all selected PCRs at one moment: a TPM gives at most eight a call, and counts updates, so that
 * values from different calls belong together only if the count did not move (NAT-55). Throws
 * `TPM_PCR_CHANGING` after five attempts, `TPM_BANK_INACTIVE` for PCRs that the TPM does not give.
 */
export async function readPcrs(tpm: TpmDialogue, selection: readonly PcrSelection[]): Promise<PcrValues> {
  for (let attempt = 0; attempt < pcrAttempts; attempt++) {
    const values = await readAtOnce(tpm, selection)
    if (values !== null) return values
  }
  throw attesterErrors.error('TPM_PCR_CHANGING', 'PCRs changed while they were read', {
    facts: { attempts: pcrAttempts },
  })
}

type Gathered = Map<HashName, Map<number, Uint8Array>>

async function readAtOnce(tpm: TpmDialogue, selection: readonly PcrSelection[]): Promise<PcrValues | null> {
  const gathered: Gathered = new Map()
  let missing = [...selection]
  let counter: number | undefined
  while (missing.length > 0) {
    const round = await tpm.execute(tpm2.pcrRead, { selection: missing })
    counter ??= round.updateCounter
    if (round.updateCounter !== counter) return null
    take(gathered, round.selection, round.values, missing)
    const left = without(missing, round.selection)
    if (left.length > 0 && round.values.length === 0) throw bankInactive(describeSelection(left))
    missing = left
  }
  return gathered
}

/** Adds one round: values come in the order of the returned selection, which must be part of what is missing. */
function take(
  gathered: Gathered,
  returned: readonly PcrSelection[],
  values: readonly Uint8Array[],
  missing: readonly PcrSelection[],
): void {
  const places = returned.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => ({ hash, pcr })))
  requireConsistent(places.length === values.length, tpm2.pcrRead, 'another number of values than of PCRs')
  places.forEach(({ hash, pcr }, at) => {
    const asked = missing.some((bank) => bank.hash === hash && bank.pcrs.includes(pcr))
    const name = hashNameOf(hash)
    const value = values[at]
    const fits = asked && name !== undefined && value?.length === hashAlgorithms[name].size
    requireConsistent(fits, tpm2.pcrRead, `PCR ${pcr} was not asked for, or its value has a wrong length`)
    if (name === undefined || value === undefined) return
    const bank = gathered.get(name) ?? new Map<number, Uint8Array>()
    requireConsistent(!bank.has(pcr), tpm2.pcrRead, `PCR ${pcr} came twice`)
    gathered.set(name, bank.set(pcr, value))
  })
}

function without(selection: readonly PcrSelection[], taken: readonly PcrSelection[]): PcrSelection[] {
  const isTaken = (hash: number, pcr: number) => taken.some((bank) => bank.hash === hash && bank.pcrs.includes(pcr))
  return selection
    .map(({ hash, pcrs }) => ({ hash, pcrs: pcrs.filter((pcr) => !isTaken(hash, pcr)) }))
    .filter(({ pcrs }) => pcrs.length > 0)
}

/** The values in the order in which a quote hashes them: that of the selection, PCRs ascending. */
export function inOrder(values: PcrValues, selection: readonly PcrSelection[]): Uint8Array[] {
  return selection.flatMap(({ hash, pcrs }) => {
    const name = hashNameOf(hash)
    const bank = name === undefined ? undefined : values.get(name)
    return pcrs.flatMap((pcr) => bank?.get(pcr) ?? [])
  })
}
