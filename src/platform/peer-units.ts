import { groupHasId } from './cgroup-id.ts'
import { CgroupReader } from './cgroup-reader.ts'
import { parseCgroups, type ServiceUnit, solePath } from './cgroup-unit.ts'
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
 * that id to no other one, and lets none of the unified hierarchy be renamed (API-42). Where no mount shows that a text is
 * of that group it is read for each caller.
 */
export class PeerUnits {
  #reader: Pick<CgroupReader, 'read'>
  #hasId: typeof groupHasId
  #known = new Map<bigint, ServiceUnit>()

  constructor(reader: Pick<CgroupReader, 'read'> = new CgroupReader(), hasId = groupHasId) {
    this.#reader = reader
    this.#hasId = hasId
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
    requireThere(held)
    if (text === null) return unknownUnit
    const unit = parseCgroups(text)
    if (group !== null && this.#isOf(group, text)) this.#remember(group, unit)
    return unit
  }

  /** A process that was moved meanwhile, and perhaps back again, lends its group no text of another one. */
  #isOf(group: bigint, text: string): boolean {
    const path = solePath(text)
    return path !== null && this.#hasId(path, group)
  }

  #remember(group: bigint, unit: ServiceUnit): void {
    const [oldest] = this.#known.keys()
    if (oldest !== undefined && this.#known.size >= mostKnown) this.#known.delete(oldest)
    this.#known.set(group, unit)
  }
}
