import { open } from 'node:fs/promises'
import { readToEnd } from './protected-file.ts'

/** The kernel takes no longer one on any architecture. */
const longest = 4096

/** Text of a command line; null for bytes that are none, and for one that is too long. */
function textOf(bytes: Uint8Array | null): string | null {
  if (bytes === null) return null
  try {
    const text = new TextDecoder('utf-8', { fatal: true, ignoreBOM: true }).decode(bytes).replace(/\n$/, '')
    return text.includes('\0') ? null : text
  } catch {
    return null
  }
}

/**
 * What the kernel was started with, without the newline that it adds: a hint for who judges the event log, which has only
 * its digest where the kernel was started by firmware (ELOG-20). Null where it cannot be read or is no text.
 */
export async function readKernelCommandLine(path = '/proc/cmdline'): Promise<string | null> {
  const file = await open(path, 'r').catch(() => null)
  if (file === null) return null
  try {
    return textOf(await readToEnd(file, longest))
  } catch {
    return null
  } finally {
    await file.close()
  }
}
