import { mkdtempSync, readFileSync, rmSync, statSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { parseConfiguration } from '../src/agent/configuration/load.ts'
import { parseCallerRules } from '../src/policies/caller-rules.ts'
import { parseConsumerSecret } from '../src/workload-api/compat/consumer-secrets.ts'
import { runCommand } from './support/run-command.ts'

const page = readFileSync(resolve(import.meta.dirname, '../docs/loopback-surfaces.md'), 'utf8')
const blocks = (language: string) =>
  [...page.matchAll(new RegExp(`\`\`\`${language}\n([\\s\\S]*?)\`\`\``, 'g'))].map(([, text = '']) => text)

describe('docs/loopback-surfaces.md', () => {
  it('shows configurations that the agent takes, one a surface, with rules that match callers over TCP', () => {
    const shown = blocks('toml').map((text) => parseConfiguration(text, 'page'))
    const tables = shown.flatMap(({ compat }) => Object.keys(compat))
    expect(tables).toEqual(['github', 'gcp_url', 'gce_metadata', 'coco_rest'])
    for (const table of tables) expect(page).toContain(`| \`[compat.${table}]\``)
    const rules = shown.flatMap(({ callers }) => parseCallerRules(callers.rules).rules)
    expect(rules.map(({ id, match }) => [id, match.uid !== null])).toEqual([
      ['shop', true],
      ['tng', true],
    ])
  })

  it('names URLs that these configurations listen at', () => {
    const listening = blocks('toml').flatMap((text) => /^listen = "(.*)"$/m.exec(text)?.[1] ?? [])
    const named = [...page.matchAll(/(?:http:\/\/|\| `)(127\.0\.0\.1:\d+)/g)].map(([, address]) => address)
    expect(named.length).toBeGreaterThan(2)
    for (const address of named) expect(listening).toContain(address)
    const [credentials = '{}'] = blocks('json')
    expect(JSON.parse(credentials).credential_source.url).toMatch(/\/gcp\/shop$/)
  })

  it('makes secrets that the agent takes, and their digests, for nobody else to read', async () => {
    const folder = mkdtempSync(join(tmpdir(), 'attestd-page-'))
    onTestFinished(() => rmSync(folder, { recursive: true }))
    const { code, err } = await runCommand('sh', ['-c', `set -e\ncd ${folder}\n${blocks('sh')[0]}`])
    expect([code, err]).toEqual([0, ''])
    const [secret, digest] = ['shop.secret', 'shop.digest'].map(
      (name) => new Uint8Array(readFileSync(join(folder, name))),
    )
    expect(secret).toHaveLength(43)
    expect(parseConsumerSecret(secret ?? new Uint8Array(), 'secret')).toEqual(
      parseConsumerSecret(digest ?? new Uint8Array(), 'digest'),
    )
    for (const name of ['shop.secret', 'shop.digest']) expect(statSync(join(folder, name)).mode & 0o777).toBe(0o400)
  })
})
