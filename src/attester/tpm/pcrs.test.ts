import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ScriptedTpm } from '../../../test/support/scripted-tpm.ts'
import { digestOf, hashAlgorithms, hashNameOf } from '../../evidence/tpm/algorithms.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import type { PcrSelection } from '../../evidence/tpm/pcr-selection.ts'
import { TpmDialogue } from './dialogue.ts'
import { inOrder, readActiveBanks, readPcrs, selectPcrs } from './pcrs.ts'

const sha1 = hashAlgorithms.sha1.id
const sha256 = hashAlgorithms.sha256.id
const sha384 = hashAlgorithms.sha384.id
const all = Array.from({ length: 24 }, (_, pcr) => pcr)

const dialogueWith = (tpm: ScriptedTpm) => new TpmDialogue(tpm, new FakeClock(), new AbortController().signal)

/** The value of a PCR in these tests: as long as its bank says, its index in every byte. */
const valueIn = (hash: number, pcr: number) => new Uint8Array(hashAlgorithms[hashNameOf(hash) ?? 'sha1'].size).fill(pcr)

/** What a TPM answers: the first eight of what was asked, in order. */
function firstEight(selection: readonly PcrSelection[]) {
  const places = selection.flatMap(({ hash, pcrs }) => pcrs.map((pcr) => ({ hash, pcr }))).slice(0, 8)
  const given = selection
    .map(({ hash }) => ({ hash, pcrs: places.filter((place) => place.hash === hash).map(({ pcr }) => pcr) }))
    .filter(({ pcrs }) => pcrs.length > 0)
  return { selection: given, values: places.map(({ hash, pcr }) => valueIn(hash, pcr)) }
}

describe('reading PCRs', () => {
  it('asks as often as it takes, eight values a call, over all banks', async () => {
    const tpm = new ScriptedTpm().on(tpm2.pcrRead, ({ selection }) => ({ updateCounter: 7, ...firstEight(selection) }))
    const selection = [
      { hash: sha256, pcrs: all },
      { hash: sha384, pcrs: [0, 7, 10] },
    ]
    const values = await readPcrs(dialogueWith(tpm), selection)
    expect(tpm.received).toEqual(Array(4).fill('PCR_Read'))
    expect([...values.keys()]).toEqual(['sha256', 'sha384'])
    expect([...(values.get('sha256')?.keys() ?? [])]).toEqual(all)
    expect(values.get('sha384')?.get(10)).toEqual(valueIn(sha384, 10))
    expect(inOrder(values, selection)).toEqual([
      ...all.map((pcr) => valueIn(sha256, pcr)),
      ...[0, 7, 10].map((pcr) => valueIn(sha384, pcr)),
    ])
  })

  it('starts again when a PCR was extended between two calls (NAT-55)', async () => {
    const tpm = new ScriptedTpm().on(tpm2.pcrRead, ({ selection }, turn) => ({
      updateCounter: turn < 1 ? 7 : 8,
      ...firstEight(selection),
    }))
    const values = await readPcrs(dialogueWith(tpm), [{ hash: sha256, pcrs: all }])
    expect(values.get('sha256')?.size).toBe(24)
    expect(tpm.received).toHaveLength(2 + 3)
  })

  it('gives up when they never stand still', async () => {
    const tpm = new ScriptedTpm().on(tpm2.pcrRead, ({ selection }, turn) => ({
      updateCounter: turn,
      ...firstEight(selection),
    }))
    await expect(readPcrs(dialogueWith(tpm), [{ hash: sha256, pcrs: all }])).rejects.toMatchObject({
      code: 'TPM_PCR_CHANGING',
      exitCode: 75,
    })
    expect(tpm.received).toHaveLength(10)
  })

  it('refuses a bank that the TPM leaves out silently', async () => {
    const tpm = new ScriptedTpm().on(tpm2.pcrRead, ({ selection }) => ({
      updateCounter: 7,
      ...firstEight(selection.filter(({ hash }) => hash === sha256)),
    }))
    const selection = [
      { hash: sha256, pcrs: [0] },
      { hash: sha384, pcrs: [0] },
    ]
    await expect(readPcrs(dialogueWith(tpm), selection)).rejects.toMatchObject({ code: 'TPM_BANK_INACTIVE' })
  })

  it.each([
    ['a PCR that was not asked for', [{ hash: sha256, pcrs: [16] }], [valueIn(sha256, 16)]],
    ['a bank that was not asked for', [{ hash: sha384, pcrs: [0] }], [valueIn(sha384, 0)]],
    ['more values than PCRs', [{ hash: sha256, pcrs: [0] }], [valueIn(sha256, 0), valueIn(sha256, 1)]],
    ['fewer values than PCRs', [{ hash: sha256, pcrs: [0, 1] }], [valueIn(sha256, 0)]],
    ['a value of another bank', [{ hash: sha256, pcrs: [0] }], [valueIn(sha384, 0)]],
    ['an empty value', [{ hash: sha256, pcrs: [0] }], [new Uint8Array()]],
    [
      'a PCR twice',
      [
        { hash: sha256, pcrs: [0] },
        { hash: sha256, pcrs: [0] },
      ],
      [valueIn(sha256, 0), valueIn(sha256, 0)],
    ],
  ])('takes no %s from the TPM', async (_, selection, values) => {
    const tpm = new ScriptedTpm().on(tpm2.pcrRead, () => ({ updateCounter: 7, selection, values }))
    await expect(readPcrs(dialogueWith(tpm), [{ hash: sha256, pcrs: [0, 1] }])).rejects.toMatchObject({
      code: 'TPM_INCONSISTENT',
      exitCode: 65,
    })
    expect(tpm.received).toEqual(['PCR_Read'])
  })
})

describe('banks', () => {
  const withBanks = (...banks: PcrSelection[]) =>
    new ScriptedTpm().on(tpm2.getCapability, () => ({
      moreData: false,
      data: { capability: 'pcrs' as const, banks },
    }))

  it('are active where they hold a PCR: an inactive one has an empty bitmap (TPM-06)', async () => {
    const tpm = withBanks({ hash: sha1, pcrs: [] }, { hash: sha256, pcrs: all }, { hash: 0x12, pcrs: all })
    expect([...(await readActiveBanks(dialogueWith(tpm)))]).toEqual([['sha256', all]])
  })

  it('SHA-384 is added where it is active, each bank once, in the order of the algorithm numbers', async () => {
    const tpm = withBanks({ hash: sha384, pcrs: all }, { hash: sha256, pcrs: all }, { hash: sha1, pcrs: all })
    const wanted = { banks: ['sha256', 'sha256'] as const, banksIfActive: ['sha384'] as const, pcrs: [7, 0, 7] }
    expect(await selectPcrs(dialogueWith(tpm), wanted)).toEqual([
      { hash: sha256, pcrs: [0, 7] },
      { hash: sha384, pcrs: [0, 7] },
    ])
  })

  it('SHA-384 is left out where it is not active, or holds other PCRs', async () => {
    const wanted = { banks: ['sha256'] as const, banksIfActive: ['sha384'] as const, pcrs: [0, 10] }
    const expected = [{ hash: sha256, pcrs: [0, 10] }]
    const active = { hash: sha256, pcrs: all }
    expect(await selectPcrs(dialogueWith(withBanks(active)), wanted)).toEqual(expected)
    expect(await selectPcrs(dialogueWith(withBanks(active, { hash: sha384, pcrs: [0] })), wanted)).toEqual(expected)
  })

  it('a wanted bank that is not active, or lacks a PCR, is TPM_BANK_INACTIVE', async () => {
    for (const pcrs of [[], [0]]) {
      const tpm = withBanks({ hash: sha1, pcrs: all }, { hash: sha256, pcrs })
      const wanted = { banks: ['sha256'] as const, banksIfActive: [], pcrs: [0, 10] }
      await expect(selectPcrs(dialogueWith(tpm), wanted)).rejects.toMatchObject({
        code: 'TPM_BANK_INACTIVE',
        exitCode: 78,
        facts: { bank: 'sha256' },
      })
    }
  })

  it('an answer about something else is inconsistent', async () => {
    const tpm = new ScriptedTpm().on(tpm2.getCapability, () => ({
      moreData: false,
      data: { capability: 'handles' as const, handles: [] },
    }))
    await expect(readActiveBanks(dialogueWith(tpm))).rejects.toMatchObject({ code: 'TPM_INCONSISTENT' })
  })
})

it('values are put in the order of the selection, whatever the order of the map', () => {
  const bank = new Map([1, 0].map((pcr) => [pcr, valueIn(sha256, pcr)]))
  const selection = [{ hash: sha256, pcrs: [0, 1] }]
  const hashed = digestOf('sha256', ...inOrder(new Map([['sha256', bank]]), selection))
  expect(hashed).toEqual(digestOf('sha256', valueIn(sha256, 0), valueIn(sha256, 1)))
})
