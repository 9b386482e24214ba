import { describe, expect, it } from 'vitest'
import type { PeerProcess, PeerState } from './peer-process.ts'
import { PeerUnits, unknownUnit } from './peer-units.ts'

/** A process in a control group, by its id; what `/proc` says of it stands in `texts` under its pid. */
class Process implements PeerProcess {
  readonly visible: boolean
  group: bigint | null
  is: PeerState = 'there'

  constructor(group: bigint | null, visible = true) {
    this.group = group
    this.visible = visible
  }

  controlGroup(): bigint | null {
    return this.group
  }

  state(): PeerState {
    return this.is
  }

  close(): void {
    this.is = 'caller_gone'
  }
}

const textOf = (name: string) => `0::/system.slice/${name}\n`
const of = (unit: string | null) => ({ unit, slice: 'system.slice', container: null })

/** Groups with the ids 10 and 11 are of one unit each, all others of either. */
const names = new Map([
  [10n, 'a.service'],
  [11n, 'b.service'],
])
const hasId = (path: string, id: bigint) => path === `/system.slice/${names.get(id) ?? 'a.service'}`

/** `during` happens while a text is read. */
function openUnits(texts: ReadonlyMap<number, string>, during: (pid: number) => void = () => undefined) {
  const read: number[] = []
  const reader = {
    read: async (pid: number) => {
      read.push(pid)
      await undefined
      during(pid)
      return texts.get(pid) ?? null
    },
  }
  const units = new PeerUnits(reader, hasId)
  return { units, read }
}

describe('units of callers, by the ids of control groups (API-42)', () => {
  const texts = new Map([1, 2, 3].map((pid) => [pid, textOf(pid === 3 ? 'b.service' : 'a.service')]))

  it('a group is read once, and without a wait from then on', async () => {
    const { units, read } = openUnits(texts)
    expect(await units.unitOf(1, new Process(10n))).toEqual(of('a.service'))
    expect(units.unitOf(2, new Process(10n))).toEqual(of('a.service'))
    expect(await units.unitOf(3, new Process(11n))).toEqual(of('b.service'))
    expect(read).toEqual([1, 3])
  })

  it('a kernel that does not say is asked by every text', async () => {
    const { units, read } = openUnits(texts)
    for (const pid of [1, 1, 3]) await units.unitOf(pid, new Process(null))
    expect(read).toEqual([1, 1, 3])
  })

  it.each(['1:name=systemd:/a.service\n0::/\n', '1:name=systemd:/a.service\n'])(
    'where the unified hierarchy does not tell the unit, as in %j, no id stands for one',
    async (text) => {
      const { units, read } = openUnits(new Map([[1, text]]))
      for (let round = 0; round < 2; round++) await units.unitOf(1, new Process(1n))
      expect(read).toEqual([1, 1])
    },
  )

  it('a process that is moved while it is looked at lends its old group nothing', async () => {
    const moved = new Process(10n)
    const { units, read } = openUnits(new Map([...texts, [4, textOf('b.service')]]), (pid) => {
      if (pid === 4) moved.group = 11n
    })
    expect(await units.unitOf(4, moved)).toEqual(of('b.service'))
    expect(await units.unitOf(1, new Process(10n))).toEqual(of('a.service'))
    expect(read).toEqual([4, 1])
  })

  it('a process that is moved while it is looked at, and back again, lends its group nothing either', async () => {
    const { units, read } = openUnits(new Map([...texts, [4, textOf('b.service')]]))
    expect(await units.unitOf(4, new Process(10n))).toEqual(of('b.service'))
    expect(await units.unitOf(1, new Process(10n))).toEqual(of('a.service'))
    expect(read).toEqual([4, 1])
  })

  it.each(['caller_gone', 'caller_changed'] as const)(
    '%s while it is looked at: refused, and nothing is kept (API-41)',
    async (state) => {
      const ended = new Process(10n)
      const { units, read } = openUnits(texts, (pid) => {
        if (pid === 3) ended.is = state
      })
      await expect(units.unitOf(3, ended)).rejects.toMatchObject({ code: state })
      expect(await units.unitOf(1, new Process(10n))).toEqual(of('a.service'))
      expect(read).toEqual([3, 1])
      const late = new Process(10n)
      late.is = state
      expect(() => units.unitOf(1, late)).toThrow(expect.objectContaining({ code: state }))
    },
  )

  it('a process without a number here has no unit, whatever its group', async () => {
    const { units, read } = openUnits(texts)
    await units.unitOf(1, new Process(10n))
    expect(await units.unitOf(0, new Process(10n, false))).toEqual(unknownUnit)
    expect(read).toEqual([1])
  })

  it('a text that is hidden is not remembered', async () => {
    const { units, read } = openUnits(new Map())
    expect(await units.unitOf(1, new Process(10n))).toEqual(unknownUnit)
    await units.unitOf(1, new Process(10n))
    expect(read).toEqual([1, 1])
  })

  it('1024 groups are remembered, and the oldest makes place', async () => {
    const { units, read } = openUnits(texts)
    for (let group = 100n; group < 1125n; group++) await units.unitOf(1, new Process(group))
    expect(units.unitOf(1, new Process(101n))).toEqual(of('a.service'))
    expect(units.unitOf(1, new Process(100n))).toBeInstanceOf(Promise)
    expect(read).toHaveLength(1026)
  })
})
