/** TCG_PCClientTaggedEvent, the data of EV_EVENT_TAG: u32 id, u32 size, content; little-endian. */
export interface TaggedEvent {
  readonly id: number
  readonly content: Uint8Array
}

/** What the Linux EFI stub measures into PCR 9: the load options it was started with, and its initial ramdisk. */
export const loadOptionsTag = 0x8f3b22ed
export const initrdTag = 0x8f3b22ec

/** Null where the size does not fill `data` exactly. */
export function taggedEventOf(data: Uint8Array): TaggedEvent | null {
  if (data.length < 8) return null
  const view = new DataView(data.buffer, data.byteOffset, data.length)
  return view.getUint32(4, true) === data.length - 8 ? { id: view.getUint32(0, true), content: data.subarray(8) } : null
}
