import { equalBytes, isFilledWith } from '../../base/bytes.ts'
import { type ImaRecord, readImaLog } from '../../evidence/ima/ima-log.ts'
import { digestOf, type HashName, hashAlgorithms } from '../../evidence/tpm/algorithms.ts'

export interface ImaReplayInputs {
  /** Bank → quoted value of the register that IMA extends. */
  readonly quoted: ReadonlyMap<HashName, Uint8Array>
  /** 10 unless the kernel was built otherwise. */
  readonly pcr: number
  readonly column: HashName
  /**
   * Takes banks in which an old kernel extended the SHA-1 template hash padded with zeros. Such a bank has the
   * strength of SHA-1 whatever its name says (IMA-06).
   */
  readonly acceptSha1Padded: boolean
}

export type BankForm = 'native' | 'sha1-padded'

export interface ImaReplay {
  /** Smallest number of records after which every quoted bank equals the register (IMA-08); null if there is none. */
  readonly matched: number | null
  /** Records behind the match: no evidence, no claim (IMA-09). */
  readonly pending: number
  readonly records: number
  readonly violations: number
  /** Index of the first record whose column is not the hash of its data (IMA-04); null if all are right. */
  readonly wrongColumn: number | null
  /** How each bank was extended; empty without a match. */
  readonly forms: ReadonlyMap<HashName, BankForm>
}

interface Track {
  readonly bank: HashName
  readonly form: BankForm
  readonly quoted: Uint8Array
  value: Uint8Array
}

/** IMA-05: a violation shows as an all-zero column, and the kernel extended FF instead of a hash. */
const isViolation = ({ column }: ImaRecord) => isFilledWith(column, 0)

function padded(digest: Uint8Array, size: number): Uint8Array {
  const bytes = new Uint8Array(size)
  bytes.set(digest)
  return bytes
}

function extension(record: ImaRecord, { bank, form }: Track): Uint8Array {
  const { size } = hashAlgorithms[bank]
  if (form === 'native') return isViolation(record) ? new Uint8Array(size).fill(0xff) : digestOf(bank, record.hashed)
  return padded(isViolation(record) ? new Uint8Array(20).fill(0xff) : digestOf('sha1', record.hashed), size)
}

function tracksOf({ quoted, acceptSha1Padded }: ImaReplayInputs): Track[] {
  return [...quoted].flatMap(([bank, value]) => {
    const start = { bank, quoted: value, value: new Uint8Array(hashAlgorithms[bank].size) }
    const native: Track = { ...start, form: 'native' }
    if (!acceptSha1Padded || bank === 'sha1') return [native]
    return [native, { ...start, form: 'sha1-padded' as const }]
  })
}

/** The forms in which every quoted bank equals its register now; undefined if one does not. */
function matchingForms(tracks: readonly Track[], banks: Iterable<HashName>): Map<HashName, BankForm> | undefined {
  const forms = new Map<HashName, BankForm>()
  for (const bank of banks) {
    const found = tracks.find((track) => track.bank === bank && equalBytes(track.value, track.quoted))
    if (!found) return undefined
    forms.set(bank, found.form)
  }
  return forms
}

/**
 * Replays a binary IMA log against quoted registers (IMA-02 to IMA-09). Hashes run over the raw bytes as sent.
 * The log may be ahead of the quote, never behind. Throws `MalformedError` for a log that does not parse.
 */
export function replayImaLog(bytes: Uint8Array, inputs: ImaReplayInputs): ImaReplay {
  const tracks = tracksOf(inputs)
  let forms: Map<HashName, BankForm> | undefined
  let matched: number | null = null
  let wrongColumn: number | null = null
  let records = 0
  let violations = 0
  for (const record of readImaLog(bytes, inputs.column)) {
    records++
    const violation = isViolation(record)
    if (violation) violations++
    else if (wrongColumn === null && !equalBytes(digestOf(inputs.column, record.hashed), record.column)) {
      wrongColumn = record.index
    }
    if (record.pcr !== inputs.pcr || matched !== null) continue
    for (const track of tracks) track.value = digestOf(track.bank, track.value, extension(record, track))
    forms = tracks.length > 0 ? matchingForms(tracks, inputs.quoted.keys()) : undefined
    if (forms) matched = records
  }
  return {
    matched,
    pending: records - (matched ?? records),
    records,
    violations,
    wrongColumn,
    forms: forms ?? new Map(),
  }
}
