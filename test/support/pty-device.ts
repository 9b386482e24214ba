import { spawnSync } from 'node:child_process'
import { close, openSync, read, write } from 'node:fs'
import { promisify } from 'node:util'
import { loadLibc } from '../../native/libc.ts'

/** A character device whose other end is the test: a pseudo terminal in raw mode. Stands in for `/dev/tpmrm0`. */
export interface PtyDevice {
  readonly path: string
  /** What was written to the device since the last call; waits for at least one byte. */
  take(): Promise<Uint8Array>
  give(bytes: Uint8Array): Promise<void>
  close(): Promise<void>
}

/** TIOCSPTLCK and TIOCGPTN of ioctl_tty(2). */
const unlock = 0x40045431n
const number = 0x80045430n

/** Opens a new pseudo terminal. */
export function openPtyDevice(): PtyDevice {
  const libc = loadLibc()
  const master = openSync('/dev/ptmx', 'r+')
  const cell = Buffer.alloc(4)
  libc.ioctl(master, unlock, cell)
  libc.ioctl(master, number, cell)
  const path = `/dev/pts/${cell.readUInt32LE(0)}`
  // The test holds the device open: the settings last as long as somebody does.
  const held = openSync(path, 'r+')
  spawnSync('stty', ['-F', path, 'raw', '-echo'])
  const room = Buffer.alloc(8192)
  return {
    path,
    async take() {
      const { bytesRead } = await promisify(read)(master, room, 0, room.length, null)
      return new Uint8Array(room.subarray(0, bytesRead))
    },
    async give(bytes) {
      await promisify(write)(master, bytes)
    },
    async close() {
      await promisify(close)(held)
      await promisify(close)(master)
    },
  }
}
