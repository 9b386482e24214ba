/** What the control group of a process says about who started it. */
export interface ServiceUnit {
  /** `payments.service`, without the manager's escaping; null outside of any unit. */
  readonly unit: string | null
  /** Innermost slice above the unit: `system.slice`, `system-getty.slice`; it names those above it by its dashes. */
  readonly slice: string | null
  /** 64 hexadecimal digits out of the name of a container scope. */
  readonly container: string | null
}

const nowhere: ServiceUnit = { unit: null, slice: null, container: null }
const unitForm = /.\.(?:service|scope|socket|mount|swap)$/
const containerForm = /^(?:docker|libpod|cri-containerd|crio)-([0-9a-f]{64})\.scope$/

const unifiedPath = (lines: readonly string[]) => lines.find((line) => line.startsWith('0::'))?.slice(3)

/**
 * The path in the unified hierarchy where nothing but it tells the unit, so that all processes of one control group of it
 * have the same; null otherwise: at its root another hierarchy tells, where there is one.
 */
export function solePath(cgroups: string): string | null {
  const lines = cgroups.trimEnd().split('\n')
  const path = unifiedPath(lines)
  return path !== undefined && (path !== '/' || lines.length === 1) ? path : null
}

/** The path in the unified hierarchy, or that of the manager where it is the root or absent (v1 and hybrid hosts). */
function managedPath(cgroups: string): string | undefined {
  const lines = cgroups.split('\n')
  const unified = unifiedPath(lines)
  if (unified !== undefined && unified !== '/') return unified
  const named = lines.map((line) => /^[0-9]+:name=systemd:(.*)$/.exec(line)?.[1]).find((path) => path !== undefined)
  return named ?? unified
}

/** The manager puts `_` before names that would collide with files of the kernel. */
function unescaped(component: string): string {
  return component.startsWith('_') ? component.slice(1) : component
}

/**
 * Derives the unit from the text of `/proc/<pid>/cgroup` (API-50). The outermost unit is the identity: all names
 * below it are chosen by whoever it was delegated to, a user or a container (API-51).
 */
export function parseCgroups(cgroups: string): ServiceUnit {
  const path = managedPath(cgroups)
  // `/..` is outside of our own cgroup namespace: its names are not those of our manager.
  if (path === undefined || !path.startsWith('/') || path.startsWith('/..')) return nowhere
  const components = path.slice(1).split('/').map(unescaped)
  const end = components.findIndex((component) => !component.endsWith('.slice'))
  const slices = end < 0 ? components : components.slice(0, end)
  const next = end < 0 ? undefined : components[end]
  const unit = next !== undefined && unitForm.test(next) ? next : null
  const container = unit === null ? null : (containerForm.exec(unit)?.[1] ?? null)
  return { unit, slice: slices.at(-1) ?? null, container }
}
