import { join } from 'node:path'
import type { FileThread } from './file-thread.ts'

const plainName = /^[A-Za-z0-9._-]{1,64}$/

/** A name that leads elsewhere would be a bug of ours; it never comes from outside. */
function requirePlain(name: string): string {
  if (!plainName.test(name) || name === '.' || name === '..') throw new TypeError('a name is one plain component')
  return name
}

/** The report folder of configfs-tsm at `folder`, for the TDX attester; its operations block a thread of their own. */
export function tsmFilesIn(folder: string, thread: FileThread) {
  const entry = (name: string) => join(folder, requirePlain(name))
  const attributeOf = (name: string, attribute: string) => join(entry(name), requirePlain(attribute))
  return {
    mkdir: async (name: string): Promise<void> => {
      await thread.run({ op: 'mkdir', path: entry(name) })
    },
    writeOnce: async (name: string, attribute: string, bytes: Uint8Array): Promise<void> => {
      await thread.run({ op: 'writeOnce', path: attributeOf(name, attribute), bytes })
    },
    readAll: async (name: string, attribute: string, limit: number): Promise<Uint8Array> => {
      const read = await thread.run({ op: 'readAll', path: attributeOf(name, attribute), limit })
      return read instanceof Uint8Array ? read : new Uint8Array()
    },
    rmdir: async (name: string): Promise<void> => {
      await thread.run({ op: 'rmdir', path: entry(name) })
    },
    list: async (): Promise<readonly string[]> => {
      const names = await thread.run({ op: 'list', path: folder })
      return Array.isArray(names) ? names : []
    },
  }
}
