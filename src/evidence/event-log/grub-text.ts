const labels = ['grub_cmd: ', 'kernel_cmdline: ', 'module_cmdline: ', 'grub_cmd ', 'grub_kernel_cmdline '] as const

/** What a boot loader logged in an EV_IPL event. */
export interface GrubText {
  /** As in the log; it is not measured. Null where there is none. */
  readonly label: (typeof labels)[number] | null
  /** What is measured, without a NUL. */
  readonly text: Uint8Array
}

function beginsWith(data: Uint8Array, label: string): boolean {
  return data.length >= label.length && Array.from(label).every((letter, at) => data[at] === letter.charCodeAt(0))
}

/** The text up to the first NUL, behind which there can be garbage, without its label (TDX-238). */
export function grubTextOf(data: Uint8Array): GrubText {
  const end = data.indexOf(0)
  const content = end < 0 ? data : data.subarray(0, end)
  const label = labels.find((candidate) => beginsWith(content, candidate)) ?? null
  return { label, text: content.subarray(label?.length ?? 0) }
}
