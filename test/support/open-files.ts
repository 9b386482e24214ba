import { readdirSync, readlinkSync } from 'node:fs'

const linkOf = (fd: string) => {
  try {
    return readlinkSync(`/proc/self/fd/${fd}`)
  } catch {
    return ''
  }
}

/** Paths of what this process has open below `folder`, and of the folder itself. */
export function openFilesIn(folder: string): readonly string[] {
  const all = readdirSync('/proc/self/fd').map(linkOf)
  return all.filter((path) => path === folder || path.startsWith(`${folder}/`))
}
