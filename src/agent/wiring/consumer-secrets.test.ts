import { randomBytes } from 'node:crypto'
import { chmodSync, mkdtempSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { consumerKeys, loopbackAddress } from '../configuration/consumer-form.ts'
import { parseConfiguration } from '../configuration/load.ts'
import { readConsumerSecrets, type SecretConsumer } from './consumer-secrets.ts'

let folder = ''
beforeAll(() => {
  folder = mkdtempSync(join(tmpdir(), 'attestd-secrets-'))
})
afterAll(() => rmSync(folder, { recursive: true }))

const fresh = () => randomBytes(32).toString('base64url')

function file(name: string, content: string, mode = 0o400): string {
  const path = join(folder, name)
  rmSync(path, { force: true })
  writeFileSync(path, content, { mode })
  chmodSync(path, mode)
  return path
}

function link(name: string, target: string): string {
  symlinkSync(target, join(folder, name))
  return join(folder, name)
}

const text = `[issuer]\nurl = "https://issuer.example"\n`
const loaded = () => ({ file: '/etc/x.toml', text, configuration: parseConfiguration(text, '/etc/x.toml') })
const read = (consumers: readonly SecretConsumer[], environment: NodeJS.ProcessEnv = {}) =>
  readConsumerSecrets(consumers, ['compat', 'github', 'consumers'], loaded(), environment)
const one = (secret: string, environment?: NodeJS.ProcessEnv) => read([{ name: 'ci', secret }], environment)

describe('secrets of consumers in files (API-150)', () => {
  it.each([0o400, 0o600])('are read where the mode is %o', async (mode) => {
    const secret = fresh()
    expect((await one(file('own', `${secret}\n`, mode))).consumerOf(secret)).toBe('ci')
  })

  it.each([0o440, 0o404, 0o640, 0o644, 0o420, 0o402])(
    'are refused where others come to them: mode %o',
    async (mode) => {
      await expect(one(file('open', fresh(), mode))).rejects.toMatchObject({
        code: 'CONFIGURATION_INVALID',
        message: expect.stringContaining('/etc/x.toml:1: compat.github.consumers[0].secret'),
      })
    },
  )

  it('are credentials of the unit where they are named so, which an access list may grant', async () => {
    const secret = fresh()
    for (const mode of [0o400, 0o440]) {
      file('granted', secret, mode)
      expect((await one('credential:granted', { CREDENTIALS_DIRECTORY: folder })).consumerOf(secret)).toBe('ci')
    }
    file('granted', secret, 0o444)
    await expect(one('credential:granted', { CREDENTIALS_DIRECTORY: folder })).rejects.toThrow('mode 444')
    await expect(one('credential:granted')).rejects.toThrow('LoadCredential=')
    await expect(one('credential:granted', { CREDENTIALS_DIRECTORY: 'here' })).rejects.toThrow('LoadCredential=')
    await expect(one('credential:..', { CREDENTIALS_DIRECTORY: folder })).rejects.toThrow('names no credential')
  })

  it.each([
    ['a link', () => link('link', file('aim', fresh()))],
    ['a folder', () => folder],
    ['nothing', () => join(folder, 'absent')],
    ['a weak secret', () => file('weak', 'changeme')],
    ['too much', () => file('long', 'A'.repeat(2000))],
  ])('are not read from %s', async (_what, make) => {
    await expect(one(make())).rejects.toMatchObject({ code: 'CONFIGURATION_INVALID' })
  })

  it('never appear in what is said about them', async () => {
    const secret = fresh()
    const error = await one(file('twice', `${secret}${'\n'}${secret}`)).catch((reason) => reason)
    expect(error.code).toBe('CONFIGURATION_INVALID')
    expect(`${error.message}${JSON.stringify(error.facts)}`).not.toContain(secret.slice(0, 8))
  })

  it('of two consumers are two', async () => {
    const [same, other] = [file('same', fresh()), file('other', fresh())]
    const both = (name: string, secret: string) =>
      read([
        { name: 'a', secret: same },
        { name, secret },
      ])
    await expect(both('b', same)).rejects.toThrow('consumers[1].secret is the secret of another consumer')
    await expect(both('a', other)).rejects.toThrow('consumers[1].name is the name of another consumer')
    await expect(both('b', other)).resolves.toBeDefined()
  })
})

describe('names and files of consumers in the configuration', () => {
  it.each(['ci', '0', 'a-b-1', 'a'.repeat(32)])('%s is a name', (name) => {
    expect(consumerKeys.name.safeParse(name).success).toBe(true)
  })

  it.each(['', 'CI', 'a/b', 'a.b', '-a', 'a'.repeat(33), '{name}', ':name', '*'])('%j is none', (name) => {
    expect(consumerKeys.name.safeParse(name).success).toBe(false)
  })

  it.each(['secret', './secret', 'credential:', 'credential:a/b', 'Credential:a', 'file:///secret', ''])(
    '%j names no file',
    (secret) => {
      expect(consumerKeys.secret.safeParse(secret).success).toBe(false)
    },
  )
})

describe('addresses of TCP surfaces in the configuration (API-09)', () => {
  it.each(['127.0.0.1:1', '127.0.0.1:8006', '[::1]:65535'])('%s is one', (address) => {
    expect(loopbackAddress.safeParse(address).success).toBe(true)
  })

  it.each([
    '0.0.0.0:8006',
    '[::]:8006',
    '*:8006',
    'localhost:8006',
    '127.0.0.2:8006',
    '10.0.0.1:8006',
    '169.254.169.254:80',
    '127.0.0.1:0',
    '127.0.0.1:65536',
    '127.0.0.1:99999',
    '127.0.0.1',
    '8006',
    '127.0.0.1:8006\n',
    '',
  ])('%j is none', (address) => {
    expect(loopbackAddress.safeParse(address).success).toBe(false)
  })
})
