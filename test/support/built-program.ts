import { spawnSync } from 'node:child_process'
import { existsSync, readdirSync, statSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { loadLibc } from '../../native/libc.ts'
import { takeLock } from '../../src/platform/lock-file.ts'

const root = resolve(import.meta.dirname, '../..')
const program = join(root, 'dist/src/agent/main.js')
const lockFile = join(root, 'node_modules/.attestd-build')

function newestChange(folder: string): number {
  return readdirSync(folder, { recursive: true, withFileTypes: true })
    .filter((entry) => entry.isFile() && entry.name.endsWith('.ts') && !entry.name.endsWith('.test.ts'))
    .reduce((newest, { parentPath, name }) => Math.max(newest, statSync(join(parentPath, name)).mtimeMs), 0)
}

function isStale(): boolean {
  if (!existsSync(program)) return true
  const builtAt = statSync(program).mtimeMs
  return ['src', 'native', 'mocks', 'test/faults/matrix'].some((folder) => newestChange(join(root, folder)) > builtAt)
}

function build(): void {
  const { status, stdout, stderr } = spawnSync('npm', ['run', '-s', 'build'], { cwd: root, encoding: 'utf8' })
  if (status !== 0) throw new Error(`the build failed:\n${stdout}${stderr}`)
}

async function takeBuildLock(): Promise<AsyncDisposable> {
  for (;;) {
    try {
      return await takeLock(lockFile, loadLibc())
    } catch (error) {
      if ((error as { code?: string }).code !== 'LOCK_HELD') throw error
      await new Promise((wake) => setTimeout(wake, 100))
    }
  }
}

/**
 * Path of the built `attestd`. The first of all test files of a run builds it if a source is newer; the others wait for
 * that, so that none starts a program that is half written.
 */
export async function builtProgram(): Promise<string> {
  await using _held = await takeBuildLock()
  if (isStale()) build()
  return program
}
