import { describe, expect, it } from 'vitest'
import { concatBytes } from '../../base/bytes.ts'
import { fileNameOf } from './journal-files.ts'
import { beginning, encodeRecord, type JournalFacts, type JournalHead } from './record.ts'
import { JournalVerifier } from './verify-journal.ts'

type Facts = (heads: readonly JournalHead[]) => JournalFacts

interface Entry {
  readonly event: string
  readonly facts: Facts
}

const issue = (at: number): Entry => ({ event: 'issue', facts: () => ({ at }) })

/** What a register was extended with, as the record behind the extension tells. */
const anchor = (headSeq: number, headHash: (heads: readonly JournalHead[]) => string): Entry => ({
  event: 'anchor',
  facts: (heads) => ({ register: 'rtmr3', head_seq: headSeq, head_hash: headHash(heads) }),
})

const hashOf = (seq: number) => (heads: readonly JournalHead[]) => heads[seq - 1]?.hash ?? ''
const truly = (seq: number) => anchor(seq, hashOf(seq))

/** A whole chain, as whoever may write the file can make one. */
function chainOf(entries: readonly Entry[], from = beginning) {
  const heads: JournalHead[] = []
  const lines = entries.map(({ event, facts }) => {
    const { line, head } = encodeRecord(heads.at(-1) ?? from, 'b', { event, wall: 1, bootMs: 1, facts: facts(heads) })
    heads.push(head)
    return line
  })
  const verifier = new JournalVerifier()
  verifier.take(fileNameOf(from.seq + 1), concatBytes(...lines))
  return { heads, verdict: verifier.verdict }
}

describe('what a journal tells of its anchors (BRK-123)', () => {
  it('holds where the records have the hashes that were anchored', () => {
    const { verdict, heads } = chainOf([issue(1), issue(2), truly(2), issue(3), truly(4), issue(4)])
    expect(verdict).toMatchObject({ records: 6, broken: null, anchors: 2 })
    expect(verdict.anchored).toEqual({ seq: 5, register: 'rtmr3', headSeq: 4, headHash: heads[3]?.hash })
  })

  it('a chain that was written anew around the hash in the register is found out', () => {
    const before = chainOf([issue(1), issue(2), truly(2), issue(3)])
    const kept = anchor(2, () => before.heads[1]?.hash ?? '')
    const { verdict } = chainOf([issue(7), issue(2), kept, issue(3)])
    expect(verdict).toMatchObject({ records: 2, anchors: 0, anchored: null })
    expect(verdict.broken).toMatchObject({ line: 3, says: expect.stringContaining('record 2') })
  })

  it.each([2, 3])('an anchor of a record that does not stand before it is none: %i in record 2', (headSeq) => {
    const { verdict } = chainOf([issue(1), anchor(headSeq, () => '0'.repeat(64)), issue(2)])
    expect(verdict.broken).toMatchObject({ line: 2, says: expect.stringContaining(`record ${headSeq}`) })
  })

  it('one whose record was removed with its file cannot be judged, and does not count', () => {
    const from = { seq: 70, hash: 'a'.repeat(64) }
    const { verdict } = chainOf([issue(1), anchor(70, () => from.hash), issue(2)], from)
    expect(verdict).toMatchObject({ records: 3, first: 71, broken: null, anchors: 0, anchored: null })
  })
})
