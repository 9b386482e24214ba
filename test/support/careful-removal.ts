import fs from 'node:fs'
import { syncBuiltinESMExports } from 'node:module'
import { requireTestFolder } from './test-folder.ts'

/** For every test process: a path that was computed from something empty removes nothing of anybody else. */
function requireOwn(path: unknown, options: unknown): void {
  const { recursive = false } = (options ?? {}) as { readonly recursive?: boolean }
  if (recursive) requireTestFolder(String(path))
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
