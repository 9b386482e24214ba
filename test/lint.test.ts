import { spawnSync } from 'node:child_process'
import { cpSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'

/** What the linter must find, wherever somebody writes it: a rule that a slip switched off would find nothing. */

const root = resolve(import.meta.dirname, '..')

const ambient: Readonly<Record<string, string>> = {
  'the wall clock': 'export const at = Date.now()',
  'the wall clock, handed on': 'export const read = Date.now',
  'a date of now': 'export const at = new Date()',
  'the monotonic clock': 'export const at = process.hrtime.bigint()',
  chance: 'export const drawn = Math.random()',
  'chance, handed on': 'export const draw = Math.random',
  bytes: "import { randomBytes } from 'node:crypto'\nexport const drawn = randomBytes(8)",
}
const globals: Readonly<Record<string, string>> = {
  'a timer': 'export const timer = setTimeout(() => undefined, 5)',
  'a timer that goes on': 'export const timer = setInterval(() => undefined, 5)',
  'the monotonic clock of a browser': 'export const at = performance.now()',
  'the network': "export const got = fetch('https://issuer.example')",
}
const harmless = 'export const at = 1'

/** `platform` is where time, chance and devices come from; `client` runs in processes of workloads and has theirs. */
const rooms = readdirSync(join(root, 'src')).filter((room) => !['platform', 'client', 'agent'].includes(room))

interface Report {
  readonly diagnostics: readonly { readonly location: { readonly path: string | { readonly file: string } } }[]
}

/** Lints source files, by their paths, with the configuration of this repository; gives those in which something is found. */
function findings(folder: string, files: ReadonlyMap<string, string>): Set<string> {
  const { vcs: _, ...configuration } = JSON.parse(readFileSync(join(root, 'biome.json'), 'utf8'))
  writeFileSync(join(folder, 'biome.json'), JSON.stringify(configuration))
  cpSync(join(root, 'scripts/lint'), join(folder, 'scripts/lint'), { recursive: true })
  for (const [path, source] of files) {
    mkdirSync(dirname(join(folder, path)), { recursive: true })
    writeFileSync(join(folder, path), `${source}\n`)
  }
  const biome = join(root, 'node_modules/.bin/biome')
  const options = ['lint', '--reporter=json', '--max-diagnostics=none', 'src']
  const { stdout } = spawnSync(biome, options, { cwd: folder, encoding: 'utf8' })
  const { diagnostics } = JSON.parse(stdout) as Report
  return new Set(
    diagnostics.map(({ location: { path } }) => (typeof path === 'string' ? path : path.file).replace(/^\.\//, '')),
  )
}

describe('time, chance, timers and the network are arguments (BRK-172)', () => {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-lint-'))
  const files = new Map<string, string>()
  const place = (room: string, name: string) => `src/${room}/${name.replaceAll(/[^a-z]+/g, '-')}.ts`
  let found = new Set<string>()
  beforeAll(() => {
    for (const room of [...rooms, 'agent', 'agent/embedded', 'platform']) {
      for (const [name, source] of Object.entries({ ...ambient, ...globals, harmless }))
        files.set(place(room, name), source)
    }
    files.set('src/agent/wiring/host.ts', ambient['bytes'] ?? '')
    found = findings(folder, files)
  })
  afterAll(() => rmSync(folder, { recursive: true }))
  const missed = (room: string, sources: object) => Object.keys(sources).filter((name) => !found.has(place(room, name)))

  it.each(rooms)('in every module of %s', (room) => {
    expect(missed(room, { ...ambient, ...globals })).toEqual([])
    expect(missed(room, { harmless })).toEqual(['harmless'])
  })

  it.each(['agent', 'agent/embedded'])('time and chance also in %s', (room) => {
    expect(missed(room, ambient)).toEqual([])
    expect(missed(room, { harmless })).toEqual(['harmless'])
  })

  it('and are taken from the machine in one place', () => {
    expect(missed('platform', ambient)).toEqual(Object.keys(ambient))
    expect(found).not.toContain('src/agent/wiring/host.ts')
  })
})
