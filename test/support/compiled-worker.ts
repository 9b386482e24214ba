import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { basename, join, resolve } from 'node:path'
import { pathToFileURL } from 'node:url'
import { afterAll } from 'vitest'

const root = resolve(import.meta.dirname, '../..')

/**
 * Compiles one source file that imports nothing of this project but what is beside it, for all tests of the calling file, after which it is
 * removed: threads of tests run what Node can load. Takes a second. Gives the URL of the module.
 */
export function compiledWorker(source: string): URL {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-worker-'))
  afterAll(() => rmSync(folder, { recursive: true, force: true }))
  const options = [
    '--ignoreConfig',
    '--target',
    'es2023',
    '--module',
    'nodenext',
    '--types',
    'node',
    '--rewriteRelativeImportExtensions',
    '--outDir',
    folder,
  ]
  const made = spawnSync(join(root, 'node_modules/.bin/tsc'), [...options, join(root, source)], {
    cwd: root,
    encoding: 'utf8',
  })
  if (made.status !== 0) throw new Error(`${source} does not compile: ${made.stdout}${made.stderr}`)
  return pathToFileURL(join(folder, basename(source).replace(/\.ts$/, '.js')))
}
