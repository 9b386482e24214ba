import { type FileHandle, open } from 'node:fs/promises'
import { platformErrors } from './errors.ts'
import { messageBounds, type TpmChannel, tpmSystemError } from './tpm-channel.ts'

/** A TPM character device, `/dev/tpmrm0`: one write carries a command, one read its response (NAT 2.2). */
class DeviceChannel implements TpmChannel {
  #file: FileHandle
  #path: string

  constructor(file: FileHandle, path: string) {
    this.#file = file
    this.#path = path
  }

  /** The kernel runs the command inside of the write; neither it nor the read can be cancelled, so no signal is looked at. */
  async exchange(command: Uint8Array): Promise<Uint8Array> {
    const { bytesWritten } = await this.#attempt('write', () => this.#file.write(command, 0, command.length, null))
    if (bytesWritten !== command.length) {
      throw platformErrors.error('TPM_IO', `${this.#path}: took ${bytesWritten} of ${command.length} bytes`)
    }
    const response = new Uint8Array(messageBounds.max)
    const { bytesRead } = await this.#attempt('read', () => this.#file.read(response, 0, response.length, null))
    return response.slice(0, bytesRead)
  }

  usable(): boolean {
    return true
  }

  /** Waits for a write or read that is under way. The kernel flushes the objects and sessions of this descriptor. */
  async close(): Promise<void> {
    await this.#file.close()
  }

  async #attempt<T>(doing: 'write' | 'read', run: () => Promise<T>): Promise<T> {
    try {
      return await run()
    } catch (cause) {
      throw tpmSystemError(cause, doing, this.#path)
    }
  }
}

/** Opens a TPM device. Throws `TPM_UNAVAILABLE` or `TPM_PERMISSION`. */
export async function openDeviceChannel(path: string): Promise<TpmChannel> {
  try {
    return new DeviceChannel(await open(path, 'r+'), path)
  } catch (cause) {
    throw tpmSystemError(cause, 'open', path)
  }
}
