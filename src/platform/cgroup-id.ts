import { statfsSync, statSync } from 'node:fs'
import { errnoOf } from './proc-files.ts'

/** Where the unified hierarchy is mounted: alone, or beside older ones. */
const mounts = ['/sys/fs/cgroup', '/sys/fs/cgroup/unified']
/** Of the file system of the unified hierarchy; those of older ones count their groups by themselves. */
const cgroup2Magic = 0x63677270

function idOf(folder: string): bigint | null {
  try {
    return statfsSync(folder).type === cgroup2Magic ? statSync(folder, { bigint: true }).ino : null
  } catch (error) {
    errnoOf(error)
    return null
  }
}

/**
 * Whether the control group at `path` of the unified hierarchy has this id: the kernel makes it the number of its folder. False too
 * where no mount shows the group. Does not wait.
 */
export function groupHasId(path: string, id: bigint): boolean {
  // `/..` is outside of our own cgroup namespace, and of the mount.
  return path.startsWith('/') && !path.startsWith('/..') && mounts.some((mount) => idOf(mount + path) === id)
}
