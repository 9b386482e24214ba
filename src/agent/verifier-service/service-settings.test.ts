import { chmodSync, mkdtempSync, readFileSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { parse as parseToml } from 'smol-toml'
import { afterAll, describe, expect, it } from 'vitest'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { parseConfigurationBy } from '../configuration/load.ts'
import { serviceSchema } from '../configuration/service-schema.ts'
import { composeServiceSettings } from './service-settings.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-service-'))
afterAll(() => rmSync(folder, { recursive: true, force: true }))
const file = 'verifier.toml'
const tls = throwAwayTls().server
const put = (name: string, text: string, mode = 0o600) => {
  writeFileSync(join(folder, name), text)
  chmodSync(join(folder, name), mode)
  return join(folder, name)
}
const [certificate, key] = [put('tls.pem', tls.cert, 0o644), put('tls.key', tls.key)]

const linkTo = (target: string) => {
  const path = join(folder, 'link.key')
  symlinkSync(target, path)
  return path
}

const issuer = ['[issuer]', 'url = "https://verifier.example"']
const loaded = (...lines: readonly string[]) => {
  const text = [...lines, ''].join('\n')
  return { file, text, configuration: parseConfigurationBy(serviceSchema, text, file) }
}
const compose = async (...lines: readonly string[]) => composeServiceSettings(loaded(...lines))
const facade = (name: string, url: string, change: Readonly<Record<string, string>> = {}) => {
  const listen = name === 'attestation' ? '127.0.0.1:8443' : '127.0.0.1:8444'
  const values = { url, listen, certificate, key, ...change }
  return [`[azure.${name}]`, ...Object.entries(values).map(([member, value]) => `${member} = "${value}"`)]
}
const ann = `administrators = [{ name = "ann", token_sha256 = "${'0'.repeat(64)}" }]`

const administeredBy = (...names: readonly string[]) => {
  const entries = names.map((name) => `{ name = "${name}", token_sha256 = "${'0'.repeat(64)}" }`)
  return [...facade('administration', 'https://a.example'), `administrators = [${entries.join(', ')}]`]
}

describe('the configuration of the verifier service', () => {
  it('needs a URL and nothing else', async () => {
    const settings = await compose(...issuer)
    expect(settings).toMatchObject({ issuerUrl: 'https://verifier.example', lifetimeS: 21_600, tls: {} })
    expect(settings.configuration).toMatchObject({
      service: { listen: '127.0.0.1:8087', allow_unbound: false, trusted_proxies: [] },
      tdx: { simulator: false },
      azure: {},
      policies: {},
    })
    expect(settings.tdRequirements.policy).toMatchObject({ acceptDebug: false })
  })

  it('reads key and certificate of a façade', async () => {
    const lines = [...facade('attestation', 'https://verifier.example:8443')]
    expect((await compose(...issuer, ...lines)).tls).toEqual({ attestation: { key: tls.key, cert: tls.cert } })
    const both = [...lines, ...facade('administration', 'https://verifier.example:8444'), ann]
    expect(Object.keys((await compose(...issuer, ...both)).tls)).toEqual(['attestation', 'administration'])
  })

  it.each([
    ['60s', 60],
    ['24h', 86_400],
  ])('takes a life of %s', async (lifetime, seconds) => {
    expect((await compose(...issuer, `lifetime = "${lifetime}"`)).lifetimeS).toBe(seconds)
  })

  it('takes an http URL on loopback where that is allowed, and nowhere else', async () => {
    const local = ['[issuer]', 'url = "http://127.0.0.1:8087"']
    await expect(compose(...local)).rejects.toThrow('the issuer URL')
    expect((await compose(...local, 'allow_http_loopback = true')).issuerUrl).toBe('http://127.0.0.1:8087')
  })

  it('reads the policies that come with the machine', async () => {
    const policy = put('site.policy', 'version= 1.2;authorizationrules{=> permit();};issuancerules{};')
    const lines = ['[[policies.files]]', 'id = "site"', `file = "${policy}"`]
    expect((await compose(...issuer, ...lines)).policyFiles).toMatchObject([{ id: 'site' }])
    put('site.policy', 'version= 9.9;')
    await expect(compose(...issuer, ...lines)).rejects.toThrow('policies.files[0].file')
  })

  it.each<readonly [string, readonly string[], string]>([
    ['an unknown section', ['[servcie]'], 'verifier.toml:1: servcie is not a key; did you mean service?'],
    ['an unknown key', ['[service]', 'allow_unbuond = true'], 'verifier.toml:2: service.allow_unbuond is not a key'],
    ['a section of the agent', ['[callers]'], 'verifier.toml:1: callers is not a key; allowed: service, issuer'],
    ['no issuer', ['[service]'], 'issuer is missing'],
    [
      'an address that is none',
      ['[service]', 'listen = "localhost:80"', ...issuer],
      'service.listen must be ADDRESS:PORT',
    ],
    ['a proxy that is no address', ['[service]', 'trusted_proxies = ["proxy"]', ...issuer], 'service.trusted_proxies'],
    [
      'an origin with a path',
      ['[service]', 'allowed_origins = ["https://x.example/a"]', ...issuer],
      'must be an origin',
    ],
    ...[
      'https://X.example',
      'https://x.example:443',
      'https://u@x.example',
      'https://x.example?a',
      'https://*',
      'null',
      'https://münchen.example',
    ].map(
      (origin) =>
        [
          `an origin as no browser sends it, ${origin} (SVC-05)`,
          ['[service]', `allowed_origins = ["https://x.example:8443", "${origin}"]`, ...issuer],
          'service.allowed_origins[1] must be an origin',
        ] as const,
    ),
    [
      'a policy id that is none',
      [...issuer, '[policies]', 'default = ["a b"]'],
      'policies.default[0] must be 1 to 128',
    ],
    ['no default policy at all', [...issuer, '[policies]', 'default = []'], 'verifier.toml:4: policies.default'],
    ['a short life', [...issuer, 'lifetime = "59s"'], 'verifier.toml:3: issuer.lifetime is not within 60s and 24h'],
    ['a long life', [...issuer, 'lifetime = "25h"'], 'issuer.lifetime is not within 60s and 24h'],
    ['http', ['[issuer]', 'url = "http://verifier.example"'], 'the issuer URL'],
    ['anchors of simulators alone', [...issuer, '[verifier]', 'tdx_anchors = ["/x"]'], 'need tdx.simulator = true'],
    ['a source that is none', [...issuer, '[collateral]', 'pccs = ["ftp://x"]'], 'verifier.toml:4: collateral.pccs[0]'],
    [
      'the URL twice',
      [...issuer, ...facade('attestation', 'https://verifier.example')],
      'azure.attestation.url is the URL of another issuer',
    ],
    [
      'a URL that clients cannot use',
      [...issuer, ...facade('attestation', 'https://a.example/')],
      'verifier.toml:4: azure.attestation.url cannot be used: the issuer URL ends with a slash',
    ],
    [
      'http for a façade',
      [...issuer, ...facade('attestation', 'http://127.0.0.1:8443')],
      'the issuer URL is not https',
    ],
    [
      'the name of the service that a façade resembles (TOK-02)',
      [...issuer, ...facade('attestation', 'https://mine.weu.attest.azure.net')],
      'azure.attestation.url cannot be used: mine.weu.attest.azure.net is the host of another service',
    ],
    [
      'a long life of tokens of a façade',
      [...issuer, ...facade('attestation', 'https://a.example', { lifetime: '481m' })],
      'verifier.toml:8: azure.attestation.lifetime is not within 60s and 8h',
    ],
    [
      'two façades at one port',
      [
        ...issuer,
        ...facade('attestation', 'https://a.example'),
        ...facade('administration', 'https://b.example', { listen: '0.0.0.0:8443' }),
        ann,
      ],
      'verifier.toml:10: azure.administration.listen is where azure.attestation.listen already listens',
    ],
    [
      'a façade at all addresses of the port of the service',
      [
        '[service]',
        'listen = "127.0.0.1:9"',
        ...issuer,
        ...facade('attestation', 'https://a.example', { listen: '[::]:9' }),
      ],
      'azure.attestation.listen is where service.listen already listens',
    ],
    [
      'a façade at the port of a service at all addresses',
      [
        '[service]',
        'listen = "0.0.0.0:9"',
        ...issuer,
        ...facade('attestation', 'https://a.example', { listen: '127.0.0.1:9' }),
      ],
      'azure.attestation.listen is where service.listen already listens',
    ],
    [
      'two administrators of one token',
      [...issuer, ...administeredBy('ann', 'bob')],
      'has the same token_sha256 twice',
    ],
    [
      'two administrators of one name',
      [...issuer, ...administeredBy('ann', 'ann')],
      'verifier.toml:8: azure.administration.administrators has the same name twice',
    ],
    [
      'a URL for both façades',
      [
        ...issuer,
        ...facade('attestation', 'https://a.example'),
        ...facade('administration', 'https://a.example', { listen: '127.0.0.1:9' }),
        ann,
      ],
      'azure.administration.url is the URL of another issuer',
    ],
    [
      'a façade without administrators',
      [...issuer, ...facade('administration', 'https://a.example')],
      'azure.administration.administrators',
    ],
    [
      'a hash that is none',
      [
        ...issuer,
        ...facade('administration', 'https://a.example'),
        'administrators = [{ name = "ann", token_sha256 = "00" }]',
      ],
      'token_sha256 must be a SHA-256',
    ],
  ])('%s is refused by its place', async (_, lines, says) => {
    await expect(compose(...lines)).rejects.toThrow(says)
  })

  it.each([
    ['one port at two addresses', '127.0.0.1:9', '127.0.0.2:9'],
    ['any free port, twice', '127.0.0.1:0', '127.0.0.1:0'],
  ])('takes façades of %s', async (_, first, second) => {
    const lines = [
      ...facade('attestation', 'https://a.example', { listen: first }),
      ...facade('administration', 'https://b.example', { listen: second }),
    ]
    await expect(compose(...issuer, ...lines, ann)).resolves.toMatchObject({
      tls: { administration: { key: tls.key } },
    })
  })

  it.each([
    ['certificate', 'others may write', () => put('open.pem', tls.cert, 0o666), /has mode 666; 22 of it is too much/],
    ['certificate', 'is not there', () => join(folder, 'absent'), /does not exist/],
    ['certificate', 'has no end', () => put('long.pem', `${tls.cert}${' '.repeat(1 << 18)}`), /262144/],
    ['certificate', 'is a key', () => put('mixed.pem', tls.key), /holds no certificate in PEM/],
    ['certificate', 'is text', () => put('text.pem', 'text'), /holds no certificate in PEM/],
    [
      'certificate',
      'has another one behind it that is none',
      () => put('chain.pem', `${tls.cert}-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n`),
      /chain\.pem cannot be used for TLS$/,
    ],
    ['key', 'is a certificate', () => put('mixed.key', tls.cert), /holds no private key in PEM/],
    [
      'key',
      'belongs to another certificate',
      () => put('other.key', throwAwayTls().server.key),
      /is not the key of the first/,
    ],
    ['key', 'is text', () => put('text.key', 'text'), /holds no private key in PEM/],
  ])('a %s that %s is refused by its place, without a byte of it', async (member, _, make, says) => {
    const lines = facade('attestation', 'https://a.example', { [member]: make() })
    const refused: unknown = await compose(...issuer, ...lines).catch((error: unknown) => error)
    expect(refused).toMatchObject({
      ...{ code: 'CONFIGURATION_INVALID', exitCode: 78, facts: { key: `azure.attestation.${member}` } },
      message: expect.stringMatching(says),
    })
    expect(String(refused)).not.toMatch(/BEGIN|MII[\w+/]{20}/)
  })

  it.each([
    ['is not there', () => join(folder, 'absent')],
    ['others may read', () => put('open.key', tls.key, 0o640)],
    ['is a link', () => linkTo(key)],
  ])('a key that %s is refused', async (_, make) => {
    const lines = facade('attestation', 'https://a.example', { key: make() })
    await expect(compose(...issuer, ...lines)).rejects.toThrow(/^verifier\.toml:7: azure\.attestation\.key /)
  })
})

describe('systemd/verifier.toml', () => {
  const example = readFileSync(join(import.meta.dirname, '../../../systemd/verifier.toml'), 'utf8')
  const uncommented = example.replace(/^#(?=[[a-z])/gm, '')
  /** What has no default stands in text. */
  const whole = example
    .replace(/^# ?(?=\[\[?(?:registry|azure|policies)|[a-z_0-9]+ = )/gm, '')
    .replaceAll('"…"', `"${'0'.repeat(64)}"`)
    .replace(/"0{64}"\]/, `"${'0'.repeat(96)}"]`)

  it('is a valid configuration as shipped, with every line uncommented, and with the examples of what has no default', () => {
    for (const text of [example, uncommented, whole]) {
      expect(() => parseConfigurationBy(serviceSchema, text, file)).not.toThrow()
    }
  })

  it('shows every key, and the default that the code has', () => {
    const shown = parseToml(uncommented) as Record<string, Record<string, unknown>>
    const defaults = parseConfigurationBy(serviceSchema, issuer.join('\n'), file) as typeof shown
    for (const [section, keys] of Object.entries(defaults)) {
      const { threads: _, td: __, ...given } = shown[section] ?? {}
      const { td: ___, ...expected } = keys
      if (section === 'policies') delete expected['files']
      expect(given, section).toEqual(expected)
    }
    const named = parseToml(whole) as Record<string, Record<string, object>>
    for (const [name, section] of Object.entries(serviceSchema.shape.azure.unwrap().shape)) {
      const { shape } = section.unwrap()
      expect(Object.keys(named['azure']?.[name] ?? {}).sort(), name).toEqual(Object.keys(shape).sort())
    }
  })
})
