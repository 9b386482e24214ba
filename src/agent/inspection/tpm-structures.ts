import { toHex } from '../../base/bytes.ts'
import { type Layout, sized, u16be } from '../../base/layout.ts'
import { attestLayout } from '../../evidence/tpm/attest.ts'
import {
  hasAttribute,
  nameOf,
  type ObjectAttribute,
  objectAttributes,
  publicLayout,
  type TpmtPublic,
} from '../../evidence/tpm/public-area.ts'
import { signatureLayout } from '../../evidence/tpm/signature.ts'
import { heading, type InspectedField, type Inspection, inspectLayout } from './inspection.ts'

export const inspectAttest = (bytes: Uint8Array) => inspectLayout('TPMS_ATTEST', attestLayout, bytes)

export const inspectSignature = (bytes: Uint8Array) => inspectLayout('TPMT_SIGNATURE', signatureLayout, bytes)

function conclusions(area: TpmtPublic): InspectedField[] {
  const set = (Object.keys(objectAttributes) as ObjectAttribute[]).filter((name) => hasAttribute(area, name))
  return [heading('(attributes set)', 0, set.join(' ')), heading('(name)', 0, toHex(nameOf(area)))]
}

/** A public area, with (`TPM2B_PUBLIC`) or without (`TPMT_PUBLIC`) its size in front; adds attributes and Name. */
export function inspectPublic(bytes: Uint8Array): Inspection {
  const withSize = bytes.length > 2 && ((bytes[0] ?? 0) << 8) + (bytes[1] ?? 0) === bytes.length - 2
  const layout: Layout<TpmtPublic> = withSize ? sized(u16be, publicLayout) : publicLayout
  const kind = withSize ? 'TPM2B_PUBLIC' : 'TPMT_PUBLIC'
  let area: TpmtPublic | undefined
  const keeping: Layout<TpmtPublic> = {
    read: (reader) => {
      area = layout.read(reader)
      return area
    },
    write: layout.write,
  }
  const inspection = inspectLayout(kind, keeping, bytes)
  return area && !inspection.problem
    ? { ...inspection, fields: [...inspection.fields, ...conclusions(area)] }
    : inspection
}
