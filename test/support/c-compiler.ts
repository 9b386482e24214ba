import { spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { onTestFinished } from 'vitest'

/** True where `cc` is installed: tests that need it are skipped (and counted) elsewhere. */
export const haveCompiler = spawnSync('cc', ['--version'], { stdio: 'ignore' }).status === 0

export function haveHeader(name: string): boolean {
  if (!haveCompiler) return false
  return (
    spawnSync('cc', ['-E', '-'], { input: `#include <${name}>\n`, stdio: ['pipe', 'ignore', 'ignore'] }).status === 0
  )
}

function compile(source: string, output: string, flags: readonly string[]): string {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-cc-'))
  onTestFinished(() => rmSync(folder, { recursive: true, force: true }))
  const path = join(folder, 'source.c')
  writeFileSync(path, source)
  const made = spawnSync('cc', ['-O1', '-Wall', '-Werror', ...flags, '-o', join(folder, output), path])
  if (made.status !== 0) throw new Error(`cc: ${made.stderr}`)
  return join(folder, output)
}

/** Compiles a shared library for the running test, after which it is removed; gives its path. */
export function compileLibrary(source: string): string {
  return compile(source, 'library.so', ['-shared', '-fPIC'])
}

/** Compiles and runs a program; gives what it printed. */
export function runProgram(source: string): string {
  return String(spawnSync(compile(source, 'program', [])).stdout)
}
