import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ScriptedTpm } from '../../../test/support/scripted-tpm.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { TpmDialogue } from './dialogue.ts'
import { flushAllBut, listHandles, listLoaded } from './loaded-handles.ts'

const dialogueWith = (tpm: ScriptedTpm) => new TpmDialogue(tpm, new FakeClock(), new AbortController().signal)

describe('listing handles', () => {
  const list = (tpm: ScriptedTpm) => listHandles(dialogueWith(tpm), 0x01c00100, 0x01c001ff)
  const answering = (pages: readonly (readonly number[])[], more = true) =>
    new ScriptedTpm().on(tpm2.getCapability, (_, turn) => ({
      moreData: more && turn < pages.length - 1,
      data: { capability: 'handles' as const, handles: [...(pages[turn] ?? [])] },
    }))

  it('goes on while there are more, and stops where the range ends', async () => {
    expect(await list(answering([[0x01c00100, 0x01c00101], [0x01c00102], [0x01c00103, 0x01c08000], [1]]))).toEqual([
      0x01c00100, 0x01c00101, 0x01c00102, 0x01c00103,
    ])
  })

  it('does not go round in circles with a TPM that always has more', async () => {
    const same = Array(1000).fill([0x01c00100])
    const tpm = answering(same)
    expect(await list(tpm)).toEqual([0x01c00100])
    expect(tpm.received).toHaveLength(2)
    const one = answering(Array.from({ length: 1000 }, (_, at) => [0x01c00100 + at]))
    expect(await list(one)).toHaveLength(8)
  })

  it('is empty where there are none', async () => {
    expect(await list(answering([[]]))).toEqual([])
    expect(await list(answering([[0x01c08000]]))).toEqual([])
  })
})

describe('what is loaded', () => {
  const holding = (...handles: number[]) =>
    new ScriptedTpm().on(tpm2.getCapability, ({ property }) => ({
      moreData: false,
      data: { capability: 'handles' as const, handles: handles.filter((handle) => handle >>> 24 === property >>> 24) },
    }))

  it('are objects and sessions', async () => {
    const tpm = holding(0x80000000, 0x80000001, 0x02000002)
    expect([...(await listLoaded(dialogueWith(tpm)))]).toEqual([0x80000000, 0x80000001, 0x02000002])
  })

  it('is flushed but for what was there before', async () => {
    const flushed: number[] = []
    const tpm = holding(0x80000000, 0x80000001, 0x02000002).on(tpm2.flushContext, (request) => {
      flushed.push(request.flushed)
      return request.flushed === 0x80000001 ? 0x1cb : {}
    })
    await flushAllBut(dialogueWith(tpm), new Set([0x80000000]))
    expect(flushed).toEqual([0x80000001, 0x02000002])
  })
})
