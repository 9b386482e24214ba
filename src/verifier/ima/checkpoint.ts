import { MalformedError } from '../../base/errors.ts'
import {
  bytesOf,
  constant,
  encode,
  type Layout,
  listOf,
  mapped,
  parse,
  sizedBytes,
  struct,
  u8,
  u16be,
  u32be,
} from '../../base/layout.ts'
import { hashAlgorithms, hashField } from '../../evidence/tpm/algorithms.ts'
import { type ImaCounts, type ImaProgress, imaCountNames } from './ima-progress.ts'
import { imaNamedKinds } from './named-records.ts'

/**
 * How far the IMA log of one boot was judged (IMA-10): all that the next appraisal needs to go on from there. What was
 * judged is covered by quotes that were accepted; `pending` is not.
 */
export interface ImaCheckpoint extends ImaProgress {
  /** Name of the attestation key: u16 hash algorithm, digest. */
  readonly akName: Uint8Array
  readonly resetCount: number
  readonly restartCount: number
  /** Records behind `records` that were sent and not covered: the next log has to have them again (IMA-09). */
  readonly pending: ImaPending | null
}

export interface ImaPending {
  readonly records: number
  /** SHA-256 of these records, as `PendingDigest` takes them. */
  readonly sha256: Uint8Array
}

/** What parts of a log lead to that no quote covers yet (IMA-24): it means nothing before one does. */
export interface ImaStage extends ImaProgress {
  readonly akName: Uint8Array
  /** Of the checkpoint that the first part went on from; null where that part began with the boot. */
  readonly resetCount: number | null
}

/** Largest encoded checkpoint, in bytes. */
export const maximumCheckpoint = 65_536

const version = 1
const checkpointMagic = 0x494d4143
const stageMagic = 0x494d4153
const maximumPcr = 23

/** What one checkpoint holds of keys, and of every number. */
const limits = { keys: 64, der: 8192, keyring: 256, count: 0xffffffff } as const

const text = (max: number): Layout<string> =>
  mapped(
    sizedBytes(u16be, { max }),
    (bytes, refuse) => {
      try {
        return new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes)
      } catch {
        throw refuse('is not UTF-8')
      }
    },
    (value) => new TextEncoder().encode(value),
  )

/** One of some names, as its place in the list. */
function nameIn<Name extends string>(names: readonly Name[]): Layout<Name> {
  return mapped(
    u8,
    (index, refuse) => {
      const name = names[index]
      if (name === undefined) throw refuse(`${index} is not known`)
      return name
    },
    (name) => names.indexOf(name),
  )
}

const flag: Layout<boolean> = mapped(
  u8,
  (value, refuse) => {
    if (value > 1) throw refuse(`${value} is neither 0 nor 1`)
    return value === 1
  },
  (value) => (value ? 1 : 0),
)

/** A value that may be missing: a flag, then the value. */
function optional<T>(inner: Layout<T>): Layout<T | null> {
  return {
    read: (reader) => (flag.read(reader) ? inner.read(reader) : null),
    write: (writer, value) => {
      flag.write(writer, value !== null)
      if (value !== null) inner.write(writer, value)
    },
  }
}

const pcrIndex = mapped(
  u8,
  (value, refuse) => {
    if (value > maximumPcr) throw refuse(`PCR ${value} is above ${maximumPcr}`)
    return value
  },
  (value) => value,
)

const runningLayout = mapped(
  struct({
    bank: hashField,
    pcr: pcrIndex,
    form: nameIn(['native', 'sha1-padded']),
    value: sizedBytes(u8, { max: 64 }),
  }),
  (running, refuse) => {
    if (running.value.length !== hashAlgorithms[running.bank].size) throw refuse('has not the length of its bank')
    return running
  },
  (running) => running,
)

const countsLayout: Layout<ImaCounts> = struct(
  Object.fromEntries(imaCountNames.map((name) => [name, u32be])),
) as Layout<ImaCounts>

const progressFields = {
  judgedBy: text(512),
  pcr: pcrIndex,
  records: u32be,
  running: listOf(u8, runningLayout, { max: 200 }),
  bootAggregate: optional(struct({ algorithm: text(32), digest: sizedBytes(u8, { max: 64 }) })),
  counts: countsLayout,
  named: listOf(u16be, struct({ kind: nameIn(imaNamedKinds), name: text(2048), count: u32be }), { max: 1000 }),
  keys: listOf(u8, struct({ keyring: text(limits.keyring), der: sizedBytes(u16be, { max: limits.der }) }), {
    max: limits.keys,
  }),
} as const

const checkpointLayout = struct({
  magic: constant(u32be, checkpointMagic),
  version: constant(u16be, version),
  akName: sizedBytes(u8, { max: 66 }),
  resetCount: u32be,
  restartCount: u32be,
  pending: optional(struct({ records: u32be, sha256: bytesOf(32) })),
  ...progressFields,
})

const stageLayout = struct({
  magic: constant(u32be, stageMagic),
  version: constant(u16be, version),
  akName: sizedBytes(u8, { max: 66 }),
  resetCount: optional(u32be),
  ...progressFields,
})

/** What is kept is small; what is larger was not written by this verifier. */
function parseState<T extends ImaProgress>(layout: Layout<T>, bytes: Uint8Array): T {
  const place = { path: 'ima' }
  if (bytes.length > maximumCheckpoint) {
    throw new MalformedError(place, `${bytes.length} bytes are above the limit ${maximumCheckpoint}`)
  }
  const state = parse(layout, bytes, 'ima')
  const registers = new Set(state.running.map(({ bank, pcr, form }) => `${bank}:${pcr}:${form}`))
  if (registers.size < state.running.length) throw new MalformedError(place, 'holds a register twice')
  return state
}

/** Operators may list more keys, or longer ones, and guests log records that nothing covers without end. */
function isBounded({ records, counts, keys }: ImaProgress): boolean {
  const isShort = ({ keyring, der }: ImaProgress['keys'][number]) =>
    der.length <= limits.der && new TextEncoder().encode(keyring).length <= limits.keyring
  const numbers = [records, ...Object.values(counts)]
  return keys.length <= limits.keys && keys.every(isShort) && numbers.every((number) => number <= limits.count)
}

function encodeBounded<T extends ImaProgress>(layout: Layout<T>, state: T): Uint8Array | null {
  if (!isBounded(state)) return null
  const bytes = encode(layout, state, 'ima')
  return bytes.length > maximumCheckpoint ? null : bytes
}

/**
 * The checkpoint as bytes, at most `maximumCheckpoint` of them: what it lists by name is bounded where it is collected.
 * Null if it should ever be larger, or holds more keys or higher numbers than it has room for, which asks for the whole log the next time.
 */
export function encodeImaCheckpoint(checkpoint: ImaCheckpoint): Uint8Array | null {
  return encodeBounded(checkpointLayout, { ...checkpoint, magic: checkpointMagic, version })
}

/** Reads a checkpoint strictly; another version, or a byte too many, throws `MalformedError`. */
export function parseImaCheckpoint(bytes: Uint8Array): ImaCheckpoint {
  const { magic: _magic, version: _version, ...checkpoint } = parseState(checkpointLayout, bytes)
  return checkpoint
}

/** As `encodeImaCheckpoint`. */
export function encodeImaStage(stage: ImaStage): Uint8Array | null {
  return encodeBounded(stageLayout, { ...stage, magic: stageMagic, version })
}

/** A stage is no checkpoint, nor the other way: nothing in it was covered by a quote. */
export function parseImaStage(bytes: Uint8Array): ImaStage {
  const { magic: _magic, version: _version, ...stage } = parseState(stageLayout, bytes)
  return stage
}
