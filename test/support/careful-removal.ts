import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { tmpdir } from 'node:os'
import { relative, resolve } from 'node:path'

/**
 * For every test process: whole directories are removed only where tests make theirs, in folders named `attestd-…` of the
 * directory for temporary files or of /dev/shm. A path that was computed from something empty removes nothing of anybody else.
 */
const homes = [tmpdir(), '/dev/shm']

function requireOwn(path: unknown, options: unknown): void {
  const { recursive = false } = (options ?? {}) as { readonly recursive?: boolean }
  if (!recursive) return
  const place = resolve(String(path))
  if (homes.some((home) => relative(home, place).startsWith('attestd-'))) return
  throw new Error(`a test would remove ${place}, which is no folder of a test`)
}

const { rmSync, rm, rmdirSync, promises } = fs
const removeLater = promises.rm
Object.assign(fs, {
  rmSync: (...args: Parameters<typeof rmSync>) => {
    requireOwn(...(args as [unknown, unknown]))
    rmSync(...args)
  },
  rmdirSync: (...args: Parameters<typeof rmdirSync>) => {
    requireOwn(...(args as [unknown, unknown]))
    rmdirSync(...args)
  },
  rm: (...args: [string, fs.RmOptions, fs.NoParamCallback]) => {
    requireOwn(args[0], args[1])
    rm(...args)
  },
})
Object.assign(promises, {
  rm: async (...args: Parameters<typeof removeLater>) => {
    requireOwn(...(args as [unknown, unknown]))
    await removeLater(...args)
  },
})
syncBuiltinESMExports()
