import { readFile } from 'node:fs/promises'
import { dirname, join } from 'node:path'

/**
 * How many records the kernel's IMA log has, from the file beside the log; null where the kernel keeps none, or shows it to
 * root only.
 */
export async function readImaCount(imaLog: string): Promise<number | null> {
  const text = await readFile(join(dirname(imaLog), 'runtime_measurements_count'), 'latin1').catch(() => '')
  return /^[0-9]{1,15}\n?$/.test(text) ? Number(text) : null
}
