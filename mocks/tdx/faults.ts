import { SystemError } from '../../src/platform/system-error.ts'

/** A place at which the simulated kernel can refuse: an operation, for files with the attribute. */
export type FaultPlace =
  | 'mkdir'
  | 'rmdir'
  | 'list'
  | 'provider'
  | 'inblob'
  | 'generation'
  | 'outblob'
  | 'readRegister'
  | 'extendRegister'
  | 'readBootLog'
  | 'readRuntimeLog'
  | 'writeRuntimeLog'
  | 'readRecord'
  | 'writeRecord'
  | 'removeRecord'

const syscalls: Readonly<Partial<Record<FaultPlace, string>>> = {
  mkdir: 'mkdir',
  rmdir: 'rmdir',
  list: 'scandir',
  inblob: 'write',
  extendRegister: 'write',
  writeRuntimeLog: 'write',
  writeRecord: 'rename',
  removeRecord: 'unlink',
}

/** Errors that are due: each place has a queue, and each use of the place takes one from it (TDX-284). */
export class Faults {
  #queues = new Map<FaultPlace, string[]>()

  /** The next uses of `place` fail with these errnos, one each. */
  inject(place: FaultPlace, ...errnos: readonly string[]): void {
    this.#queues.set(place, [...(this.#queues.get(place) ?? []), ...errnos])
  }

  /** Errors that nobody has met yet. */
  pending(place: FaultPlace): number {
    return this.#queues.get(place)?.length ?? 0
  }

  /** Throws the error that is due at `place`, if one is. */
  meet(place: FaultPlace): void {
    const errno = this.#queues.get(place)?.shift()
    if (errno !== undefined) throw new SystemError(errno, syscalls[place] ?? 'read', place)
  }
}
