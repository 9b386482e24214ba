import { readFile } from 'node:fs/promises'

const form = /^[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}$/

/** The id that the kernel drew at this boot; null where it shows none. */
export async function readBootId(path = '/proc/sys/kernel/random/boot_id'): Promise<string | null> {
  const text = await readFile(path, 'latin1').catch(() => '')
  const id = text.trimEnd()
  return form.test(id) ? id : null
}
