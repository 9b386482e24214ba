import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { pino } from 'pino'
import { afterAll, describe, expect, it } from 'vitest'
import { parseConfiguration } from '../configuration/load.ts'
import { openHost } from './host.ts'
import { registryPlace, wireRegistry } from './registry.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-registry-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))

const loaded = (...lines: readonly string[]) => {
  const text = ['[issuer]', 'url = "https://verifier.example"', '[registry]', ...lines, ''].join('\n')
  return { file: 'attestd.toml', text, configuration: parseConfiguration(text, 'attestd.toml') }
}
const placeOf = (given: ReturnType<typeof loaded>, usual: 'memory' | 'embedded' = 'memory') =>
  registryPlace(given, '/var/lib/attestd', usual)
const log = pino({ level: 'silent' })

describe('where the registry is kept', () => {
  it.each([
    [[], { kind: 'embedded', directory: '/var/lib/attestd/registry' }],
    [['url_file = "/etc/u"'], { kind: 'postgresql', urlFile: '/etc/u' }],
    [['store = "memory"'], { kind: 'memory' }],
    [['store = "embedded"'], { kind: 'embedded', directory: '/var/lib/attestd/registry' }],
    [['store = "embedded"', 'directory = "/srv/r"'], { kind: 'embedded', directory: '/srv/r' }],
    [['store = "postgresql"', 'url_file = "/etc/u"'], { kind: 'postgresql', urlFile: '/etc/u' }],
  ])('%j', (lines, place) => {
    expect(placeOf(loaded(...lines))).toEqual(place)
  })

  it.each([
    [['store = "postgresql"'], 'attestd.toml:4: registry.store needs url_file'],
    [['store = "embedded"', 'url_file = "/etc/u"'], 'attestd.toml:5: registry.url_file is for store = "postgresql"'],
    [['store = "memory"', 'url_file = "/etc/u"'], 'attestd.toml:5: registry.url_file is for store = "postgresql"'],
    [['url_file = "/etc/u"', 'directory = "/srv/r"'], 'attestd.toml:5: registry.directory is for store = "embedded"'],
    [['store = "memory"', 'directory = "/srv/r"'], 'attestd.toml:5: registry.directory is for store = "embedded"'],
  ])('%j is refused with its line', (lines, says) => {
    expect(() => placeOf(loaded(...lines))).toThrow(says)
  })
})

describe('without a section', () => {
  it('it lasts as long as the process', () => {
    const { file, text } = loaded()
    const plain = text.replace('[registry]\n', '')
    const without = { file, text: plain, configuration: parseConfiguration(plain, file) }
    expect(placeOf(without)).toEqual({ kind: 'memory' })
    expect(placeOf(without, 'embedded')).toEqual({ kind: 'embedded', directory: '/var/lib/attestd/registry' })
  })
})

describe('a server', () => {
  const urlFile = join(folder, 'url')
  const named = loaded('store = "postgresql"', `url_file = "${urlFile}"`)

  it('without its file is refused at the start', async () => {
    await expect(wireRegistry(named, openHost(), log)).rejects.toMatchObject({ code: 'registry_address' })
  })

  it('that does not answer is tried again whenever it is needed', async () => {
    writeFileSync(urlFile, 'postgresql://attestd:secret@127.0.0.1:1/attestd?sslmode=disable\n', { mode: 0o600 })
    const store = await wireRegistry(named, openHost(), log)
    await expect(store.findByAk('00')).rejects.toMatchObject({ code: 'registry_unavailable' })
    await expect(store.commit([])).rejects.toMatchObject({ code: 'registry_unavailable' })
    await store[Symbol.asyncDispose]()
  })
})
