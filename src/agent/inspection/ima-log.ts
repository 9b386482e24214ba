import { toHex } from '../../base/bytes.ts'
import { MalformedError } from '../../base/errors.ts'
import { escapedName } from '../../evidence/ima/escaped-name.ts'
import { type ImaRecord, readImaLog } from '../../evidence/ima/ima-log.ts'
import { digestText, type HashName, hashAlgorithms, hashNames } from '../../evidence/tpm/algorithms.ts'
import type { KeyReference } from '../../reference-values/reference-values.ts'
import { ExtendedRegister } from '../../verifier/extended-register.ts'
import { ImaKeyRing } from '../../verifier/ima/ima-key-ring.ts'
import { hasWrongColumn, isViolation, readRecord, recordFields, shownKey } from './ima-record.ts'
import { heading, type InspectedField, type Inspection, type InspectionView } from './inspection.ts'

/** Records at each end of a log that is not shown whole. */
const shownAtEachEnd = 100
/** Templates that are counted one by one: a custom name is any order of field ids. */
const maximumTemplates = 32
/** Keys in the log that are tried on its signatures. */
const maximumKeys = 256

/** The records to be shown: all, or those at both ends. */
class ShownRecords {
  readonly #whole: boolean
  readonly #first: ImaRecord[] = []
  #last: ImaRecord[] = []
  count = 0

  constructor(whole: boolean) {
    this.#whole = whole
  }

  add(record: ImaRecord): void {
    this.count += 1
    if (this.#whole || this.#first.length < shownAtEachEnd) this.#first.push(record)
    else this.#last.push(record)
    if (this.#last.length >= 2 * shownAtEachEnd) this.#last = this.#last.slice(-shownAtEachEnd)
  }

  fields(fieldsOf: (record: ImaRecord) => InspectedField[]): InspectedField[] {
    const last = this.#last.slice(-shownAtEachEnd)
    const left = this.count - this.#first.length - last.length
    const gap = left === 0 ? [] : [heading(`(${left} records not shown)`, 0, '--json shows all')]
    return [...this.#first.flatMap(fieldsOf), ...gap, ...last.flatMap(fieldsOf)]
  }
}

/** The registers of every bank to which the records lead, if the kernel extends banks by their own hash (IMA-06). */
class ReplayedRegisters {
  readonly #registers = new Map<number, readonly ExtendedRegister[]>()

  add(record: ImaRecord): void {
    const registers = this.#registers.get(record.pcr) ?? hashNames.map((bank) => new ExtendedRegister(bank))
    this.#registers.set(record.pcr, registers)
    const violation = isViolation(record)
    for (const register of registers) {
      const { bank } = register
      register.extend(violation ? '\xff'.repeat(hashAlgorithms[bank].size) : digestText(bank, record.hashed))
    }
  }

  fields(): InspectedField[] {
    const all = [...this.#registers].sort(([a], [b]) => a - b)
    return hashNames.flatMap((bank, index) => [
      heading(`(replayed ${bank})`, 0),
      ...all.map(([pcr, registers]) => heading(`PCR ${pcr}`, 1, toHex(registers[index]?.value ?? new Uint8Array()))),
    ])
  }
}

/** Registers in a log, so that a hostile one cannot ask for one a record: IMA extends one of 24. */
const isRegister = ({ pcr }: ImaRecord) => pcr < 24

class Totals {
  readonly #column: HashName
  readonly #templates = new Map<string, number>()
  #violations = 0
  #signed = 0
  #unreadable = 0
  #wrongColumns = 0

  constructor(column: HashName) {
    this.#column = column
  }

  add(record: ImaRecord): void {
    const read = readRecord(record)
    const name = read.fields === null ? '(unreadable)' : escapedName(Buffer.from(record.template, 'latin1'))
    const template = this.#templates.has(name) || this.#templates.size < maximumTemplates ? name : '(others)'
    this.#templates.set(template, (this.#templates.get(template) ?? 0) + 1)
    if (isViolation(record)) this.#violations += 1
    if (read.fields === null) this.#unreadable += 1
    if (read.fields?.signature?.length) this.#signed += 1
    if (hasWrongColumn(record, this.#column)) this.#wrongColumns += 1
  }

  fields(records: number): InspectedField[] {
    const templates = [...this.#templates].map(([name, count]) => `${name} ${count}`).join('  ')
    const counts: readonly [string, number][] = [
      ['records', records],
      ['violations', this.#violations],
      ['signed', this.#signed],
      ['unreadable', this.#unreadable],
      ['wrong template hashes', this.#wrongColumns],
    ]
    return [
      heading('(totals)', 0),
      ...counts.map(([name, count]) => heading(name, 1, String(count))),
      heading('templates', 1, templates),
    ]
  }
}

interface Collected {
  readonly shown: ShownRecords
  readonly totals: Totals
  readonly registers: ReplayedRegisters
  readonly keys: KeyReference[]
  readonly problem: MalformedError | null
}

function collectRecord(record: ImaRecord, { shown, totals, registers, keys }: Collected): void {
  shown.add(record)
  totals.add(record)
  if (isRegister(record)) registers.add(record)
  const key = keys.length < maximumKeys ? shownKey(record) : null
  if (key !== null) keys.push(key)
}

function collect(bytes: Uint8Array, column: HashName, whole: boolean): Collected {
  const registers = new ReplayedRegisters()
  const collected = { shown: new ShownRecords(whole), totals: new Totals(column), registers, keys: [], problem: null }
  try {
    for (const record of readImaLog(bytes, column)) collectRecord(record, collected)
    return collected
  } catch (error) {
    if (!(error instanceof MalformedError)) throw error
    return { ...collected, problem: error }
  }
}

/**
 * A binary IMA log as a table: one line a record, totals, and the registers to which the log leads. As far as it parses.
 * Nothing in it is verified: signatures are compared with keys that the log itself shows. `from`: number of records
 * before the first one; a log that does not begin with its boot leads to no register. Of a long log only the records
 * at both ends are shown, unless `view.whole`.
 */
export function inspectImaLog(bytes: Uint8Array, column: HashName, view: InspectionView, from = 0): Inspection {
  const { shown, totals, registers, keys, problem } = collect(bytes, column, view.whole)
  const recordView = { column, ring: new ImaKeyRing(keys), whole: view.whole, from, start: bytes.byteOffset }
  const fields = [
    ...shown.fields((record) => recordFields(record, recordView)),
    ...totals.fields(shown.count),
    ...(from === 0 ? registers.fields() : [heading('(not replayed)', 0, `begins with record ${from}`)]),
  ]
  return { kind: `IMA log (${column} column)`, fields, ...(problem === null ? {} : { problem }) }
}
