import { describe, expect, it } from 'vitest'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { ScriptedTpm } from '../../../test/support/scripted-tpm.ts'
import { concatBytes } from '../../base/bytes.ts'
import { encode } from '../../base/layout.ts'
import { digestOf } from '../../evidence/tpm/algorithms.ts'
import { type NvPublic, nvPublicLayout } from '../../evidence/tpm/command-structures.ts'
import { tpm2 } from '../../evidence/tpm/commands.ts'
import { TpmDialogue } from './dialogue.ts'
import { readNvIndex } from './nv-index.ts'

const index = 0x01c00002
const written = 2 ** 29
const authRead = 2 ** 18
const ownerRead = 2 ** 17

function area(fields: Partial<NvPublic> = {}): NvPublic {
  const attributes = written + authRead + ownerRead
  return { index, nameAlg: 'sha256', attributes, authPolicy: new Uint8Array(), dataSize: 1300, ...fields }
}

function nameOf(nvPublic: NvPublic): Uint8Array {
  return concatBytes(Uint8Array.of(0, 0x0b), digestOf('sha256', encode(nvPublicLayout, nvPublic)))
}

/** A TPM with one index whose byte i is i % 256, and a limit on what it reads at once. */
function tpmWith(nvPublic: NvPublic, { name = nameOf(nvPublic), maxNvBuffer = 1024 as number | null } = {}) {
  const properties = maxNvBuffer === null ? [] : [{ property: 0x12c, value: maxNvBuffer }]
  return new ScriptedTpm()
    .on(tpm2.nvReadPublic, () => ({ nvPublic, name }))
    .on(tpm2.getCapability, () => ({ moreData: false, data: { capability: 'properties' as const, properties } }))
    .on(tpm2.nvRead, ({ size, offset }) => ({ data: Uint8Array.from({ length: size }, (_, at) => offset + at) }))
}

const read = (tpm: ScriptedTpm) =>
  readNvIndex(new TpmDialogue(tpm, new FakeClock(), new AbortController().signal), index)

const reads = (tpm: ScriptedTpm) =>
  tpm.sent
    .filter((bytes) => bytes[9] === 0x4e)
    .map((bytes) => {
      const view = new DataView(bytes.buffer, bytes.byteOffset)
      return {
        authority: view.getUint32(10),
        size: view.getUint16(bytes.length - 4),
        offset: view.getUint16(bytes.length - 2),
      }
    })

describe('reading an NV index', () => {
  it('goes in chunks that the TPM takes, with the authority of the index', async () => {
    const tpm = tpmWith(area())
    const bytes = await read(tpm)
    expect(bytes).toEqual(Uint8Array.from({ length: 1300 }, (_, at) => at))
    expect(reads(tpm)).toEqual([
      { authority: index, size: 1024, offset: 0 },
      { authority: index, size: 276, offset: 1024 },
    ])
  })

  it('uses the authority of the owner where that of the index does not read', async () => {
    const tpm = tpmWith(area({ attributes: written + ownerRead, dataSize: 10 }))
    await read(tpm)
    expect(reads(tpm)).toEqual([{ authority: 0x40000001, size: 10, offset: 0 }])
  })

  it.each([
    [null, 512],
    [0, 32],
    [31, 32],
    [0xffffffff, 1300],
  ])('keeps its chunks sane where the TPM says %s', async (maxNvBuffer, size) => {
    const tpm = tpmWith(area(), { maxNvBuffer })
    await read(tpm)
    expect(reads(tpm)[0]?.size).toBe(size)
  })

  it('gives null where there is no index, or nothing in it', async () => {
    expect(await read(new ScriptedTpm().on(tpm2.nvReadPublic, () => 0x18b))).toBeNull()
    expect(await read(tpmWith(area({ attributes: authRead })))).toBeNull()
  })

  it('another refusal than "absent" is an error', async () => {
    const tpm = new ScriptedTpm().on(tpm2.nvReadPublic, () => 0x149)
    await expect(read(tpm)).rejects.toMatchObject({ code: 'TPM_COMMAND_REFUSED', facts: { rc: '0x149' } })
  })

  it.each([
    ['another index', tpmWith(area({ index: index + 1 }))],
    ['a name that is not of this index', tpmWith(area(), { name: nameOf(area({ dataSize: 1301 })) })],
    ['too few bytes', tpmWith(area()).on(tpm2.nvRead, ({ size }) => ({ data: new Uint8Array(size - 1) }))],
    ['too many bytes', tpmWith(area()).on(tpm2.nvRead, ({ size }) => ({ data: new Uint8Array(size + 1) }))],
  ])('%s is inconsistent (NAT-54)', async (_, tpm) => {
    await expect(read(tpm)).rejects.toMatchObject({ code: 'TPM_INCONSISTENT' })
  })

  it('a password that we do not have is TPM_AUTH, after one try', async () => {
    const tpm = tpmWith(area()).on(tpm2.nvRead, () => 0x98e)
    await expect(read(tpm)).rejects.toMatchObject({ code: 'TPM_AUTH' })
    expect(reads(tpm)).toHaveLength(1)
  })
})
