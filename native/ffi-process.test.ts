import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

const root = resolve(import.meta.dirname, '..')
const compiler = join(root, 'node_modules/typescript/bin/tsc')
const permissionFlag = Number(process.versions.node.split('.')[0]) >= 24 ? '--permission' : '--experimental-permission'
let folder = ''

/** The layer as JavaScript, in a folder of its own: worker threads and `process.exit` need processes of their own. */
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-ffi-'))
  const made = spawnSync(
    process.execPath,
    [
      ...[compiler, '--ignoreConfig', join(root, 'native/ffi.ts'), '--outDir', folder, '--rootDir', root],
      ...['--module', 'nodenext', '--target', 'es2023', '--types', 'node', '--skipLibCheck'],
      ...['--rewriteRelativeImportExtensions', '--typeRoots', join(root, 'node_modules/@types')],
    ],
    { encoding: 'utf8' },
  )
  expect(made.stdout + made.stderr).toBe('')
  symlinkSync(join(root, 'node_modules'), join(folder, 'node_modules'))
  writeFileSync(join(folder, 'package.json'), '{"type":"module"}')
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function run(script: string, ...flags: string[]) {
  writeFileSync(join(folder, 'main.js'), `import { openLibrary } from './native/ffi.js'\n${script}`)
  return spawnSync(process.execPath, [...flags, join(folder, 'main.js')], { encoding: 'utf8', timeout: 30_000 })
}

describe('a process that uses native code (NAT-205)', () => {
  it('survives the end of worker threads that used it, also in the middle of a call', () => {
    const { status, stdout, stderr } = run(`
      import { Worker, isMainThread } from 'node:worker_threads'
      const usleep = openLibrary(null).bind('usleep', 'i32', ['u32'])
      if (isMainThread) {
        const workers = Array.from({ length: 8 }, () => new Worker(new URL(import.meta.url)))
        const ends = workers.map((worker, at) => new Promise((resolve) => {
          worker.once('exit', resolve)
          worker.once('message', () => { if (at % 2 === 0) worker.terminate() })
        }))
        await Promise.all(ends)
        console.log((await usleep.later(1000)).value)
      } else {
        const { parentPort } = await import('node:worker_threads')
        const call = usleep.later(200000)
        parentPort.postMessage('in the call')
        await call
      }`)
    expect([status, stdout, stderr]).toEqual([0, '0\n', ''])
  })

  it('exits with its own code behind a call that still runs', () => {
    const { status, signal } = run(`
      void openLibrary(null).bind('usleep', 'i32', ['u32']).later(500000)
      setImmediate(() => process.exit(7))`)
    expect([status, signal]).toEqual([7, null])
  })

  it('is told by name when the permission model forbids native code (NAT-15)', () => {
    const { stdout } = run(
      'try { openLibrary(null) } catch (error) { console.log(error.code, error.facts.errno) }',
      permissionFlag,
      '--allow-fs-read=*',
    )
    expect(stdout).toBe('NATIVE_UNAVAILABLE ERR_DLOPEN_DISABLED\n')
  })

  it('without the optional package is told by name (NAT-01)', () => {
    rmSync(join(folder, 'node_modules'))
    const { stdout } = run(
      'try { openLibrary(null) } catch (error) { console.log(error.code, error.exitCode, error.remedy) }',
    )
    expect(stdout).toMatch(/^NATIVE_UNAVAILABLE 75 .*koffi/)
  })
})
