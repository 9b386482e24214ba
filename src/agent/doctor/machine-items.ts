import type { DeviceFact, HostFacts } from '../../platform/host-facts.ts'
import { type Item, ok, problem, warning } from './item.ts'

/** Who can be told from whom on the workload socket, and why not better. */
export interface CallerFacts {
  readonly identity: 'pidfd' | 'procfs' | 'socket'
  readonly degraded: { readonly message: string; readonly remedy: string } | null
}

const oldestNode = [20, 19] as const

export function nodeItem(version: string): Item {
  const [major = 0, minor = 0] = version.split('.').map(Number)
  const [wantedMajor, wantedMinor] = oldestNode
  const recent = major > wantedMajor || (major === wantedMajor && minor >= wantedMinor)
  if (recent) return ok('node', `Node ${version}`)
  return problem('node', `Node ${version} is too old`, `install Node ${oldestNode.join('.')} or newer`)
}

export function hostItem({ kernel, distribution, architecture, hypervisor }: HostFacts): Item {
  const where = hypervisor === null ? 'no hypervisor seen' : `on ${hypervisor}`
  return ok('host', `${distribution}, Linux ${kernel}, ${architecture}, ${where}`)
}

function libraryItem({ libraries }: HostFacts): Item {
  const tctildr = libraries.find(({ soname }) => soname.startsWith('libtss2-tctildr'))
  const id = 'tctildr'
  if (tctildr?.found) return ok(id, `${tctildr.soname} found`)
  return ok(id, 'libtss2-tctildr not found; device: and swtpm: are reached without it')
}

function callersItem({ identity, degraded }: CallerFacts, hidepid: string | null): Item {
  const id = 'callers'
  if (degraded !== null) return warning(id, `callers cannot be told apart: ${degraded.message}`, degraded.remedy)
  if (hidepid !== null) {
    const remedy = 'mount /proc without hidepid for the agent (ProtectProc=default): units of callers are not seen else'
    return warning(id, `callers are known by ${identity}, but /proc is mounted with ${hidepid}`, remedy)
  }
  if (identity === 'pidfd') return ok(id, 'callers are known by pidfd')
  return ok(id, 'callers are known by /proc: this kernel has no SO_PEERPIDFD (Linux 6.5)')
}

/** What is there and is not attested yet: silence would look like a promise. */
function unsupportedItem(id: string, what: string, devices: readonly DeviceFact[]): Item[] {
  const seen = devices.filter(({ access }) => access !== 'absent').map(({ path }) => path)
  if (seen.length === 0) return []
  const remedy = 'nothing to do: evidence of this machine is that of its TPM alone'
  return [warning(id, `${what} (${seen.join(', ')}): not supported by this version`, remedy)]
}

/** What can be told of the machine without asking any device. */
export function machineItems(facts: HostFacts, callers: CallerFacts): Item[] {
  const devices = (pattern: RegExp) => facts.devices.filter(({ path }) => pattern.test(path))
  return [
    hostItem(facts),
    libraryItem(facts),
    callersItem(callers, facts.hidepid),
    ...unsupportedItem('gpu', 'an NVIDIA GPU', devices(/^\/dev\/nvidia/)),
  ]
}
