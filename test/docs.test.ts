import { readdirSync, readFileSync } from 'node:fs'
import { join, resolve } from 'node:path'
import { describe, expect, it } from 'vitest'
import { generatedPages } from '../scripts/docs/render.ts'
import { parseConfiguration, parseConfigurationBy } from '../src/agent/configuration/load.ts'
import { serviceSchema } from '../src/agent/configuration/service-schema.ts'

const root = resolve(import.meta.dirname, '..')
const read = (path: string) => readFileSync(join(root, path), 'utf8')

describe('the documentation', () => {
  it.each(Object.entries(generatedPages()))('%s says what the code says (npm run docs writes it)', (path, text) => {
    expect(read(path)).toBe(text)
  })

  it('shows a configuration that the agent takes: the toml of the README', () => {
    const [, toml = ''] = /```toml\n([\s\S]*?)```/.exec(read('README.md')) ?? []
    expect(() => parseConfiguration(toml, 'README.md')).not.toThrow()
    expect(toml).toContain('[issuer]')
  })

  it('shows a configuration that the verifier service takes: the toml of its page, with that of the surfaces for Azure', () => {
    const tomlOf = (page: string) => /```toml\n([\s\S]*?)```/.exec(read(page))?.[1] ?? ''
    const text = `${tomlOf('docs/verifier-service.md')}\n${tomlOf('docs/azure-attestation.md')}`
    const filled = text.replace('"…"', `"${'0'.repeat(64)}"`)
    expect(parseConfigurationBy(serviceSchema, filled, 'pages')).toMatchObject({
      issuer: { url: 'https://verifier.example' },
      azure: { attestation: {}, administration: {} },
    })
  })

  it('has a row for every fault of the matrix, held or with the reason why it is not run', () => {
    const rows = read('docs/fault-matrix.md').match(/^\| F\d\d .*$/gm) ?? []
    const ids = Array.from({ length: 30 }, (_, at) => `F${String(at + 1).padStart(2, '0')}`)
    expect(rows.map((row) => row.slice(2, 5))).toEqual(ids)
    for (const row of rows) expect(row).toMatch(/ \| 0 \| 0 \| 0 \| [^|]* \| held| \| not run: \S/)
  })

  it('sends whoever needs a token for longer than a credential lasts to the socket or to a token file (API-168)', () => {
    const [, rules] = read('docs/systemd-credentials.md').split('## Rules for the program that reads it')
    const snapshot = rules?.split('\n- ').find((rule) => rule.includes('**It is a snapshot.**'))
    expect(snapshot).toContain('while the unit runs')
    expect(snapshot).toContain('/run/attestd/api.sock')
    expect(snapshot).toContain('docs/token-files.md')
  })

  it('has no link that leads nowhere', () => {
    const pages = [
      'README.md',
      'CONTRIBUTING.md',
      ...readdirSync(join(root, 'docs'))
        .filter((name) => name.endsWith('.md'))
        .map((name) => `docs/${name}`),
    ]
    const broken = pages.flatMap((page) =>
      [...read(page).matchAll(/\]\((?!https?:|#)([^)#]+)/g)]
        .map(([, target]) => ({ page, target: target ?? '' }))
        .filter(({ target }) => {
          try {
            readFileSync(resolve(root, page, '..', target))
            return false
          } catch (error) {
            return (error as NodeJS.ErrnoException).code !== 'EISDIR'
          }
        }),
    )
    expect(broken).toEqual([])
  })
})
