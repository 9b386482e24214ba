import type { DerCursor } from './der-cursor.ts'
import { type DistinguishedName, readName } from './distinguished-name.ts'

const directoryName = 0xa4
const address = 0x87
/** otherName, rfc822Name, dNSName, x400Address, ediPartyName, uniformResourceIdentifier, registeredID. */
const otherForms = new Set([0xa0, 0x81, 0x82, 0xa3, 0xa5, 0x86, 0x88])
/** An address, or in name constraints an address and its mask. */
const addressSizes = new Set([4, 8, 16, 32])

export interface GeneralNames {
  readonly count: number
  readonly directoryNames: readonly DistinguishedName[]
}

/** Reads all GeneralNames that are left (RFC 5280 section 4.2.1.6). Only directory names are decoded. */
export function readGeneralNames(names: DerCursor): GeneralNames {
  const directoryNames: DistinguishedName[] = []
  let count = 0
  for (; !names.atEnd; count++) {
    if (names.meets(directoryName)) {
      const choice = names.enter(directoryName)
      directoryNames.push(readName(choice))
      choice.requireEnd()
    } else if (names.meets(address)) {
      if (!addressSizes.has(names.content(address).length)) throw names.unstructured()
    } else if (otherForms.has(names.next())) names.element()
    else throw names.unstructured()
  }
  return { count, directoryNames }
}
