import { existsSync, mkdirSync, readFileSync, rmdirSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'

/** Where the unified hierarchy is mounted; null where there is none. */
function findMount(): string | null {
  const lines = readFileSync('/proc/self/mountinfo', 'utf8').split('\n')
  const line = lines.find((one) => / - cgroup2 /.test(one))
  return line?.split(' ')[4] ?? null
}

const mount = findMount()

/** True where this process may make control groups right below the root, as a service manager does. */
export function canMakeControlGroups(): boolean {
  if (
    mount === null ||
    readFileSync('/proc/self/cgroup', 'utf8')
      .split('\n')
      .every((line) => line !== '0::/')
  )
    return false
  try {
    makeControlGroup('attestd-probe.slice').remove()
    return true
  } catch {
    return false
  }
}

export interface ControlGroup {
  /** Takes a process in. */
  take(pid: number): void
  /** Once no process is in it; with the groups above it that this call made. */
  remove(): void
}

/** Makes the group `path`, such as `system.slice/payments.service`, with the groups above it. */
export function makeControlGroup(path: string): ControlGroup {
  const made: string[] = []
  let folder = mount ?? ''
  for (const name of path.split('/')) {
    folder = join(folder, name)
    if (existsSync(folder)) continue
    mkdirSync(folder)
    made.unshift(folder)
  }
  return {
    take: (pid) => writeFileSync(join(folder, 'cgroup.procs'), String(pid)),
    remove: () => {
      for (const one of made.splice(0)) rmdirSync(one)
    },
  }
}

/** The kernel empties a group a moment after its last process has been waited for. */
export async function removeEmptied(group: ControlGroup): Promise<void> {
  for (let attempt = 0; attempt < 1000; attempt++) {
    try {
      return group.remove()
    } catch {
      await new Promise((wake) => setTimeout(wake, 5))
    }
  }
}
