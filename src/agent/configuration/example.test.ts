import { readFileSync } from 'node:fs'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { describe, expect, it } from 'vitest'
import { parseConfiguration } from './load.ts'
import { configurationSchema } from './schema.ts'

const example = readFileSync(join(import.meta.dirname, '../../../systemd/attestd.toml'), 'utf8')
const uncommented = example.replace(/^#(?=[[a-z])/gm, '')

describe('systemd/attestd.toml', () => {
  it('is a valid configuration as shipped, and with every line uncommented', () => {
    expect(() => parseConfiguration(example, 'attestd.toml')).not.toThrow()
    expect(() => parseConfiguration(uncommented, 'attestd.toml')).not.toThrow()
  })

  it('shows every key', () => {
    const shown = parseToml(uncommented) as Record<string, object>
    for (const [section, schema] of Object.entries(configurationSchema.shape)) {
      const minimal = { issuer: { url: 'https://x.example' }, registry: { store: 'memory' }, policies: {} }
      const keys = Object.keys(configurationSchema.parse(minimal)[section as 'tpm'])
      expect(Object.keys(shown[section] ?? {}), `${section} ${schema.type}`).toEqual(expect.arrayContaining(keys))
    }
  })

  it('shows the default that the code has', () => {
    const shipped = parseConfiguration(example, 'attestd.toml')
    const all = parseConfiguration(uncommented, 'attestd.toml')
    const examples = {
      instance_id: undefined,
      audiences: [],
      rules: [],
      listen: undefined,
      subject: undefined,
      max_characters: undefined,
      simulator_socket: undefined,
      region: undefined,
      tpm_firmware: undefined,
    }
    const sections = [
      ...(['agent', 'listen', 'tpm', 'tdx', 'verifier'] as const),
      ...(['collateral', 'issuer', 'callers', 'broker'] as const),
    ]
    for (const section of sections) {
      const shown =
        section === 'listen'
          ? { ...all[section], cred: undefined }
          : { ...all[section], ...pick(examples, all[section]) }
      expect(JSON.parse(JSON.stringify(shown)), section).toEqual(JSON.parse(JSON.stringify(shipped[section])))
    }
  })
})

function pick(examples: Record<string, unknown>, section: object): Record<string, unknown> {
  return Object.fromEntries(Object.entries(examples).filter(([key]) => key in section))
}
