import { CgroupReader } from './cgroup-reader.ts'
import { isUnified, parseCgroups, type ServiceUnit } from './cgroup-unit.ts'
import { platformErrors } from './errors.ts'
import type { PeerProcess } from './peer-process.ts'

export const unknownUnit: ServiceUnit = { unit: null, slice: null, container: null }

/** Control groups whose units are remembered; the oldest makes place. */
const mostKnown = 1024

/** Facts count only if the process still lives, unchanged, after they were read (API-41, API-46, NAT-62). */
function requireThere(held: PeerProcess): void {
  const state = held.state()
  if (state !== 'there') throw platformErrors.error(state, 'the peer did not stay what it was when it connected')
}

/**
 * Units of callers. The text of a control group is read once: the kernel says by its id which one a process is in, gives
 * that id to no other one, and lets none of the unified hierarchy be renamed (API-42).
 */
export class PeerUnits {
  #reader: Pick<CgroupReader, 'read'>
  #known = new Map<bigint, ServiceUnit>()

  constructor(reader: Pick<CgroupReader, 'read'> = new CgroupReader()) {
    this.#reader = reader
  }

  /** A promise only where the text must be read. Throws, or rejects with, `caller_gone` and `caller_changed`. */
  unitOf(pid: number, held: PeerProcess): ServiceUnit | Promise<ServiceUnit> {
    const group = held.visible ? held.controlGroup() : null
    const known = group === null ? undefined : this.#known.get(group)
    if (known === undefined) return this.#read(pid, held, group)
    requireThere(held)
    return known
  }

  async #read(pid: number, held: PeerProcess, group: bigint | null): Promise<ServiceUnit> {
    const text = held.visible ? await this.#reader.read(pid) : null
    // A process that was moved meanwhile has the text of another group.
    const isOfGroup = group !== null && held.controlGroup() === group
    requireThere(held)
    if (text === null) return unknownUnit
    const unit = parseCgroups(text)
    if (isOfGroup && isUnified(text)) this.#remember(group, unit)
    return unit
  }

  #remember(group: bigint, unit: ServiceUnit): void {
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= mostKnown) this.#known.delete(oldest)
    this.#known.set(group, unit)
  }
}
