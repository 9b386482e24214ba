import { type AttestdError, AttestdError as KnownError } from '../base/errors.ts'
import { platformErrors } from './errors.ts'

/** One open way to a TPM, for one command at a time. What comes out is untrusted (NAT-25). */
export interface TpmChannel {
  /**
   * Sends a command and gives the bytes that came back. Never called while another call is under way. When
   * `signal` aborts the channel stops as soon as it can; it is then closed and not used again (NAT-26).
   */
  exchange(command: Uint8Array, signal: AbortSignal): Promise<Uint8Array>
  /** False once the other end has gone: the next command then needs another channel. */
  usable(): boolean
  /** Resolves when nothing of the channel is left; waits for a native call or a kernel call that is in flight. */
  close(): Promise<void>
}

export type OpenTpmChannel = (signal: AbortSignal) => Promise<TpmChannel>

/** Smallest and largest command or response (NAT-24). */
export const messageBounds = { min: 10, max: 4096 } as const

/** Total length that the header of a command or response states: u32 big endian at byte 2. */
export function statedLength(message: Uint8Array): number {
  return new DataView(message.buffer, message.byteOffset, message.length).getUint32(2)
}

type DeviceErrorCode = 'TPM_UNAVAILABLE' | 'TPM_PERMISSION' | 'TPM_IO'

const openingErrors: Readonly<Record<string, DeviceErrorCode>> = {
  ENOENT: 'TPM_UNAVAILABLE',
  ENODEV: 'TPM_UNAVAILABLE',
  ENXIO: 'TPM_UNAVAILABLE',
  ECONNREFUSED: 'TPM_UNAVAILABLE',
  ENOTSOCK: 'TPM_UNAVAILABLE',
  EACCES: 'TPM_PERMISSION',
  EPERM: 'TPM_PERMISSION',
}

/** The error of a system call by the table of NAT 2.2; what is not from the system is a bug and comes back as it is. */
export function tpmSystemError(cause: unknown, doing: 'open' | 'write' | 'read', place: string): unknown {
  if (cause instanceof KnownError) return cause
  const errno = (cause as NodeJS.ErrnoException | undefined)?.code
  if (errno === undefined || (cause as NodeJS.ErrnoException).syscall === undefined) return cause
  const code = openingErrors[errno] ?? (doing === 'open' ? 'TPM_UNAVAILABLE' : 'TPM_IO')
  return systemError(code, `${place}: ${doing} failed with ${errno}`, errno, cause)
}

function systemError(code: DeviceErrorCode, detail: string, errno: string, cause: unknown): AttestdError {
  return platformErrors.error(code, detail, { cause, facts: { errno } })
}
