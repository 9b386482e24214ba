import { createHash } from 'node:crypto'
import { concatBytes } from '../../src/base/bytes.ts'
import type { Rtmrs } from '../../src/evidence/tdx/td-report.ts'
import { SystemError } from '../../src/platform/system-error.ts'

type Index = 0 | 1 | 2 | 3

function requireIndex(index: number): Index {
  if (index === 0 || index === 1 || index === 2 || index === 3) return index
  throw new SystemError('ENOENT', 'open', `rtmr${index}:sha384`)
}

/** The runtime measurement registers of a TD, as the files `rtmr{0..3}:sha384` show them (TDX-030). */
export class SimulatedRegisters {
  #values: [Uint8Array, Uint8Array, Uint8Array, Uint8Array] = [zero(), zero(), zero(), zero()]
  /** False: as a kernel before 6.16, which has no such files. */
  supported = true

  get values(): Rtmrs {
    return [...this.#values]
  }

  read(index: number): Uint8Array {
    this.#requireSupport()
    return this.#values[requireIndex(index)]
  }

  /** SHA-384(register ‖ digest); anything but 48 bytes in one write is refused. */
  extend(index: number, digest: Uint8Array): void {
    this.#requireSupport()
    const register = requireIndex(index)
    if (digest.length !== 48) throw new SystemError('EINVAL', 'write', `rtmr${index}:sha384`)
    this.#values[register] = new Uint8Array(
      createHash('sha384').update(concatBytes(this.#values[register], digest)).digest(),
    )
  }

  #requireSupport(): void {
    if (!this.supported) throw new SystemError('ENOENT', 'open', 'measurements')
  }
}

const zero = () => new Uint8Array(48)
