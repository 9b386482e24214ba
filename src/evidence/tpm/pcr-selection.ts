import { type Layout, listOf, mapped, sizedBytes, struct, u8, u16be, u32be } from '../../base/layout.ts'
import { hashNameOf } from './algorithms.ts'

/** One TPMS_PCR_SELECTION: the bank's TPM_ALG_ID and the selected PCR indices, ascending. */
export interface PcrSelection {
  readonly hash: number
  readonly pcrs: readonly number[]
}

/** NAT-52: at most 16 banks, bitmaps of at most 32 bytes. */
const maximumBanks = 16
const maximumBitmap = 32

function indicesOf(bitmap: Uint8Array): number[] {
  const pcrs: number[] = []
  bitmap.forEach((byte, at) => {
    for (let bit = 0; bit < 8; bit++) if (byte & (1 << bit)) pcrs.push(8 * at + bit)
  })
  return pcrs
}

/** Three bytes, as every TPM takes them (TPM-06); PCR i is bit i % 8 of byte i / 8. */
export function bitmapOf(pcrs: readonly number[]): Uint8Array {
  const bitmap = new Uint8Array(3)
  for (const pcr of pcrs) {
    if (!Number.isInteger(pcr) || pcr < 0 || pcr > 23) throw new RangeError(`PCR ${pcr} is not 0 to 23`)
    const at = pcr >> 3
    bitmap[at] = (bitmap[at] ?? 0) | (1 << (pcr & 7))
  }
  return bitmap
}

const selectionLayout: Layout<PcrSelection> = mapped(
  struct({ hash: u16be, bitmap: sizedBytes(u8, { min: 1, max: maximumBitmap }) }),
  ({ hash, bitmap }) => ({ hash, pcrs: indicesOf(bitmap) }),
  ({ hash, pcrs }) => ({ hash, bitmap: bitmapOf(pcrs) }),
)

/** TPML_PCR_SELECTION: u32 count, then {hash u16, sizeofSelect u8, bitmap} each; big endian. */
export const pcrSelectionList: Layout<PcrSelection[]> = listOf(u32be, selectionLayout, { max: maximumBanks })

/** `sha256:0,1,2`, for messages. */
export function describeSelection(selections: readonly PcrSelection[]): string {
  const bank = ({ hash, pcrs }: PcrSelection) => `${hashNameOf(hash) ?? `0x${hash.toString(16)}`}:${pcrs.join(',')}`
  return selections.length === 0 ? 'nothing' : selections.map(bank).join(' + ')
}
