import { cpSync, mkdirSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import type { FaultResult } from '../faults/matrix/run-simulated.ts'
import { builtProgram } from '../support/built-program.ts'
import { runCommand } from '../support/run-command.ts'

const root = resolve(import.meta.dirname, '../..')
const json = (path: string) => JSON.parse(readFileSync(join(root, path), 'utf8'))

/** The files of the release, as npm would pack them; nothing is asked of a registry. */
async function packedFiles(): Promise<string[]> {
  await builtProgram()
  const { out } = await runCommand('npm', ['--prefix', root, 'pack', root, '--dry-run', '--json', '--ignore-scripts'])
  const [packed] = Object.values<{ files: { path: string }[] }>(JSON.parse(out))
  return (packed?.files ?? []).map(({ path }) => path)
}

/** The package as others install it: with its files, and with what it depends on in production and nothing else. */
function install(files: readonly string[], folder: string): void {
  const { dependencies, optionalDependencies } = json('package.json')
  for (const name of Object.keys({ ...dependencies, ...optionalDependencies })) {
    const place = join(folder, 'node_modules', name)
    mkdirSync(dirname(place), { recursive: true })
    symlinkSync(join(root, 'node_modules', name), place)
  }
  for (const file of files) cpSync(join(root, file), join(folder, file))
}

describe('the fault matrix of the release (BRK-173)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-package-'))
  let files: string[] = []
  beforeAll(async () => {
    files = await packedFiles()
    install(files, folder)
  })
  afterAll(() => rmSync(folder, { recursive: true }))
  const run = (...args: string[]) =>
    runCommand(process.execPath, [join(folder, 'dist/src/agent/main.js'), 'fault-matrix', ...args])

  it('runs from the packed files alone, without hardware, and every fault is held', async () => {
    const { code, out, err } = await run('--json')
    const results = out
      .trimEnd()
      .split('\n')
      .map((line): FaultResult => JSON.parse(line))
    expect([code, err, results.filter(({ held }) => !held)]).toEqual([0, '', []])
    const ids = results.map(({ id }) => id)
    expect(ids).toEqual([...new Set(ids)].sort())
    expect(ids).toEqual(expect.arrayContaining(['F01', 'F11', 'F13', 'F14', 'F15', 'F16', 'F22', 'F30']))
    for (const { expired, wrong, blocked } of results) expect([expired, wrong, blocked]).toEqual([0, 0, 0])
  }, 120_000)

  it('judges the packed code: says which fault it does not hold any more, and ends with 1', async () => {
    const limits = join(folder, 'dist/src/passport/limits.js')
    const text = readFileSync(limits, 'utf8')
    writeFileSync(limits, text.replace('minUsableLifeS: 10', 'minUsableLifeS: 1'))
    const { code, out } = await run('F08', 'F11')
    writeFileSync(limits, text)
    expect([code, out]).toEqual([1, expect.stringMatching(/^F08 {2}BROKEN/m)])
  })

  it('takes numbers of faults that it has, and nothing else', async () => {
    expect((await run('F17')).code).toBe(64)
    expect((await run('all')).code).toBe(64)
  })

  it('lacks no file that one of its files imports', () => {
    const packed = new Set(files)
    const missing = files
      .filter((file) => file.endsWith('.js'))
      .flatMap((file) =>
        [...readFileSync(join(root, file), 'utf8').matchAll(/^(?:import|export) (?:[^'"]* from )?'(\.[^']+)'/gm)]
          .map(([, target = '']) => join(dirname(file), target))
          .filter((target) => !packed.has(target)),
      )
    expect(missing).toEqual([])
  })
})
