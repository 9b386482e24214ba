import { closeSync, constants, mkdirSync, openSync, readdirSync, readSync, rmdirSync, writeSync } from 'node:fs'
import { parentPort } from 'node:worker_threads'

/** One file operation; `path` is absolute. */
export type FileOperation =
  | { readonly op: 'mkdir' | 'rmdir' | 'list'; readonly path: string }
  | { readonly op: 'writeOnce'; readonly path: string; readonly bytes: Uint8Array }
  | { readonly op: 'readAll'; readonly path: string; readonly limit: number }

export interface FileJob {
  readonly id: number
  readonly operation: FileOperation
}

export type FileOutcome = {
  readonly id: number
} & ({ readonly value: Uint8Array | string[] | null } | { readonly code: string; readonly syscall: string })

const { O_NOFOLLOW, O_RDONLY, O_WRONLY } = constants
const stepBytes = 65_536

/** Errors of the system, as two texts: an error object would lose its errno on the way between threads. */
class Refused extends Error {
  readonly code: string
  readonly syscall: string

  constructor(code: string, syscall: string) {
    super(code)
    this.code = code
    this.syscall = syscall
  }
}

/** TDX-003: opened for writing only, one write, close; the kernel commits at close. */
function writeOnce(path: string, bytes: Uint8Array): null {
  const file = openSync(path, O_WRONLY | O_NOFOLLOW)
  try {
    if (writeSync(file, bytes, 0, bytes.length, null) !== bytes.length) throw new Refused('EIO', 'write')
    return null
  } finally {
    closeSync(file)
  }
}

/** TDX-005: one open, to the end of the file; what `stat` says of the size is 0 and is not asked. */
function readAll(path: string, limit: number): Uint8Array {
  const file = openSync(path, O_RDONLY | O_NOFOLLOW)
  try {
    const parts: Uint8Array[] = []
    for (let total = 0; ; ) {
      const room = new Uint8Array(stepBytes)
      const size = readSync(file, room, 0, room.length, null)
      if (size === 0) return new Uint8Array(Buffer.concat(parts, total))
      total += size
      if (total > limit) throw new Refused('EFBIG', 'read')
      parts.push(room.subarray(0, size))
    }
  } finally {
    closeSync(file)
  }
}

function perform(operation: FileOperation): Uint8Array | string[] | null {
  switch (operation.op) {
    case 'mkdir':
      mkdirSync(operation.path, { mode: 0o700 })
      return null
    case 'rmdir':
      rmdirSync(operation.path)
      return null
    case 'list':
      return readdirSync(operation.path)
    case 'writeOnce':
      return writeOnce(operation.path, operation.bytes)
    case 'readAll':
      return readAll(operation.path, operation.limit)
  }
}

function outcomeOf({ id, operation }: FileJob): FileOutcome {
  try {
    return { id, value: perform(operation) }
  } catch (error) {
    const { code, syscall } = error as NodeJS.ErrnoException
    if (code === undefined || syscall === undefined) throw error
    return { id, code, syscall }
  }
}

/**
 * Entry of the thread that does file operations which may block for half a minute (TDX-013): one after another. A bug
 * in it ends the thread, and with it the agent. It imports nothing of this project, so that it starts at once.
 */
parentPort?.on('message', (job: FileJob) => parentPort?.postMessage(outcomeOf(job)))
