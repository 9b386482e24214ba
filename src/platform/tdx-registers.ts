import { constants } from 'node:fs'
import { access, open } from 'node:fs/promises'
import { join } from 'node:path'
import { matchTdReportHashes, parseTdReportStruct } from '../evidence/tdx/tdreport.ts'
import { readKernelFile } from './boot-log-files.ts'
import { SystemError } from './system-error.ts'
import type { TdxGuest } from './tdx-guest.ts'
import type { TdxPaths } from './tdx-paths.ts'

/** Measurement registers, for the TDX attester. Rejects with errors that carry `code` and `syscall`. */
export interface TdxRegisters {
  /** 48 bytes. */
  read(index: 0 | 1 | 2 | 3): Promise<Uint8Array>
  /** 48 bytes; whether the register took them, only reading it tells (TDX-031). */
  extend(index: 2 | 3, digest: Uint8Array): Promise<void>
}

const size = 48

/** By files of the kernel, Linux 6.16 or later (TDX-030). */
export function registerFiles(folder: string): TdxRegisters {
  const pathOf = (index: number) => join(folder, `rtmr${index}:sha384`)
  return {
    read: async (index) => {
      const path = pathOf(index)
      const value = await readKernelFile(path, size)
      if (value === null) throw new SystemError('ENOENT', 'open', path)
      return value
    },
    extend: async (index, digest) => {
      if (digest.length !== size) throw new TypeError(`takes ${size} bytes, got ${digest.length}`)
      const file = await open(pathOf(index), constants.O_WRONLY | constants.O_NOFOLLOW)
      try {
        const { bytesWritten } = await file.write(digest, 0, size, null)
        if (bytesWritten !== size) throw new SystemError('EIO', 'write', pathOf(index))
      } finally {
        await file.close()
      }
    },
  }
}

/** By the ioctl of vendors, with the values out of a TDREPORT (TDX-031). On mainline kernels `extend` is `ENOTTY`. */
export function deviceRegisters(guest: Pick<TdxGuest, 'report' | 'extend'>): TdxRegisters {
  return {
    read: async (index) => {
      const report = parseTdReportStruct(await guest.report(new Uint8Array(64)))
      if (!matchTdReportHashes(report).tdInfo) throw new SystemError('EIO', 'ioctl', 'the TDREPORT')
      return new Uint8Array(report.tdInfo.rtmr[index])
    },
    extend: (index, digest) => guest.extend(index, digest),
  }
}

/** The way that this kernel has; null where it has none. `guest` is null without native code or device. */
export async function findRegisters(
  { measurements }: Pick<TdxPaths, 'measurements'>,
  guest: Pick<TdxGuest, 'report' | 'extend'> | null,
): Promise<TdxRegisters | null> {
  const hasFiles = await access(join(measurements, 'rtmr3:sha384')).then(
    () => true,
    () => false,
  )
  if (hasFiles) return registerFiles(measurements)
  return guest === null ? null : deviceRegisters(guest)
}
