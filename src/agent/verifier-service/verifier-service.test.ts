import { createPrivateKey } from 'node:crypto'
import { readFileSync, statSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { describe, expect, it } from 'vitest'
import { freePort } from '../../../mocks/demo/free-port.ts'
import { bindReceiver } from '../../../test/support/datagram-receiver.ts'
import { makePolicySigner } from '../../../test/support/policy-signers.ts'
import { runInProcess } from '../../../test/support/recorded-io.ts'
import { askHttp, useServedVerifier } from '../../../test/support/served-verifier.ts'
import { throwAwayTls } from '../../../test/support/throw-away-tls.ts'
import { keySha256 } from '../../issuer/administration/descriptions.ts'
import { notifyAddress } from '../../platform/service-manager.ts'
import { policyDigest, signPolicy } from '../../policies/index.ts'
import { verifierCommand } from '../commands/verifier.ts'
import { version } from '../version.ts'

const { serve, state, endings, folder: folderOf } = useServedVerifier()
const ask = askHttp

const challenge = (headers: Readonly<Record<string, string>> = {}) => ({ method: 'POST', headers })

describe('the sockets of the verifier service', () => {
  it('are for its group, that of the administration for its owner alone; at both it answers', async () => {
    const { listen, admin, told } = await serve()
    expect(told()).toContain('policies_in_memory')
    expect([listen, admin].map((path) => statSync(path).mode & 0o777)).toEqual([0o660, 0o600])
    expect((await ask({ socketPath: listen }, '/challenge', challenge())).status).toBe(200)
    const status = await ask({ socketPath: admin }, '/v1/admin/status')
    expect(status.json).toMatchObject({ listen, simulator: false, facades: [], policies: { default: null } })
  })

  it('tell which policies stay active although their signer was removed, and the log warns (POL-704)', async () => {
    const { admin: socketPath, lines } = await serve()
    const [ann, bob] = [makePolicySigner('P-256'), makePolicySigner('P-256')]
    const change = (method: string, path: string, body: string, type = 'application/json') =>
      ask({ socketPath }, `/v1/admin${path}`, {
        method,
        body,
        headers: { 'content-type': type, 'content-length': `${body.length}` },
      })
    for (const { authority } of [ann, bob]) {
      const certificate = Buffer.from(authority.certificate.der).toString('base64')
      expect((await change('POST', '/signers', JSON.stringify({ certificate }))).status).toBe(200)
    }
    const text = Buffer.from('version=1.0;authorizationrules{=> permit();};')
    await change('PUT', '/policies/id:site', signPolicy(text, ann), 'application/jwt')
    const untrusted = async () => (await ask({ socketPath }, '/v1/admin/status')).json.policies.untrusted
    expect(await untrusted()).toEqual([])
    await change('DELETE', `/signers/${keySha256(ann)}`, '{}')
    expect(await untrusted()).toEqual(['id:site'])
    await expect
      .poll(() => lines)
      .toContainEqual(expect.objectContaining({ event: 'policy_signer_untrusted', policy: 'id:site', level: 40 }))
    const shown = await runInProcess(verifierCommand, 'status', '--socket', socketPath)
    expect(shown.out).toContain('id:site is active, and nobody who is trusted now has signed it\n')
  })

  it('are gone when it has stopped', async () => {
    const { listen, end, told } = await serve()
    await end()
    await expect(ask({ socketPath: listen }, '/status')).rejects.toThrow()
    expect(told().slice(-2)).toEqual(['stopping', 'stopped'])
  })
})

describe('a challenge', () => {
  it('is signed by a key that signs no tokens and is not published (TOK-50, SVC-31)', async () => {
    const { listen: socketPath, lines, told } = await serve()
    const { json } = await ask({ socketPath }, '/challenge', challenge())
    const [header = ''] = String(json['extra-params'].jwt).split('.')
    const { kid } = JSON.parse(Buffer.from(header, 'base64url').toString())
    const published = await ask({ socketPath }, '/jwks.json')
    expect(published.headers['cache-control']).toContain('max-age=3600')
    expect(published.json.keys).toHaveLength(1)
    expect(published.json.keys[0].kid).not.toBe(kid)
    await expect.poll(() => lines.filter(({ event }) => event === 'request')).toHaveLength(2)
    expect(told()).not.toContain('simulator')
  })
})

describe('a policy', () => {
  const text = new TextEncoder().encode('version= 1.2;authorizationrules{=> permit();};issuancerules{};')
  const put = (socketPath: string, body: string) =>
    ask({ socketPath }, '/v1/admin/policies/id:site', {
      ...{ method: 'PUT', headers: { 'content-type': 'application/jwt', 'content-length': String(body.length) } },
      body,
    })

  it.each(['id-token', 'challenge'])(
    'that is signed by a key of purpose %s is not taken (POL-712)',
    async (purpose) => {
      const { admin } = await serve()
      const file = JSON.parse(readFileSync(join(state, `${purpose}-keys.json`), 'utf8'))
      const der = Buffer.from(file.keys[0].pkcs8, 'base64')
      const privateKey = createPrivateKey({ key: der, format: 'der', type: 'pkcs8' })
      const answer = await put(admin, signPolicy(text, { privateKey, certificates: [] }))
      expect([answer.status, answer.json.code]).toEqual([403, 'policy_signer_key'])
    },
  )

  it('that is set is told to the log, with who set it and what was active before', async () => {
    const { admin, lines } = await serve()
    const { privateKey } = makePolicySigner('P-256')
    expect((await put(admin, signPolicy(text, { privateKey, certificates: [] }))).status).toBe(200)
    const told = { slot: 'id:site', by: `uid:${process.geteuid?.()}`, before: null, after: policyDigest(text) }
    expect(lines.find(({ event }) => event === 'policy.set')).toMatchObject(told)
  })
})

describe('what the configuration says', () => {
  it('of requests reaches the attestation API: unbound ones, origins, and how much a refusal tells', async () => {
    const service = ['allow_unbound = true', 'allowed_origins = ["https://console.example"]', 'bare_problems = true']
    const { listen: socketPath } = await serve({ service })
    expect((await ask({ socketPath }, '/status')).json).toMatchObject({ unbound: true })
    const from = async (origin: string) => (await ask({ socketPath }, '/challenge', challenge({ origin }))).status
    expect([await from('https://console.example'), await from('https://other.example')]).toEqual([200, 400])
    const refused = await ask({ socketPath }, '/nothing')
    expect(refused.json).not.toHaveProperty('detail')
  })

  it('of proxies decides whom limits of rate count (SVC-43)', async () => {
    const port = await freePort()
    const listen = `listen = "127.0.0.1:${port}"`
    await serve({ service: [listen, 'trusted_proxies = ["127.0.0.1"]'] })
    const from = async (address: string) =>
      (await ask({ port }, '/challenge', challenge({ 'x-forwarded-for': address }))).status
    for (let asked = 0; asked < 40; asked++) expect(await from('192.0.2.1')).toBe(200)
    expect([await from('192.0.2.1'), await from('192.0.2.2')]).toEqual([429, 200])
  })
})

describe('a service manager', () => {
  it('is told once that all listeners answer, that the service lives, and that it stops (SYS-51, SYS-53)', async () => {
    const socket = join(folderOf(), 'notify.sock')
    const receiver = bindReceiver(notifyAddress(socket) ?? new Uint8Array())
    endings.push(() => receiver.close())
    const tls = throwAwayTls().server
    const [certificate, key] = [join(folderOf(), 'tls.pem'), join(folderOf(), 'tls.key')]
    writeFileSync(certificate, tls.cert, { mode: 0o644 })
    writeFileSync(key, tls.key, { mode: 0o600 })
    const facade = async (name: string) => [
      ...[`[azure.${name}]`, `url = "https://${name}.example"`, `listen = "127.0.0.1:${await freePort()}"`],
      ...[`certificate = "${certificate}"`, `key = "${key}"`],
    ]
    const ann = `administrators = [{ name = "ann", token_sha256 = "${'0'.repeat(64)}" }]`
    const tables = [...(await facade('attestation')), ...(await facade('administration')), ann]
    const environment = { NOTIFY_SOCKET: socket, WATCHDOG_USEC: '30000000' }
    const { clock, told, lines, end } = await serve({ tables, environment })
    const ready = lines.filter(({ event }) => event === 'ready')
    expect(ready).toMatchObject([{ issuer: 'https://verifier.example', version }])
    expect(told().at(-1)).toBe('ready')
    expect(lines.filter(({ facade: name }) => name !== undefined)).toHaveLength(2)
    const first = receiver.receive()
    expect(first).toContain('READY=1')
    expect(first).toContain('STATUS=serving as https://verifier.example')
    expect(receiver.receive()).toBe(null)
    await clock.advance(10_000)
    expect(receiver.receive()).toBe('WATCHDOG=1')
    await end()
    expect(receiver.receive()).toBe('STOPPING=1')
  })

  it('that does not hear is told to the log, and ends nothing', async () => {
    const { lines, end } = await serve({ environment: { NOTIFY_SOCKET: join(folderOf(), 'nobody.sock') } })
    expect(lines.filter(({ level, code }) => level === 40 && code !== undefined)).not.toEqual([])
    await end()
  })
})

describe('a service that runs', () => {
  it('looks after its collateral and its keys', async () => {
    writeFileSync(join(state, 'collateral/root-crl.item'), 'broken', { mode: 0o600 })
    const { told, clock } = await serve()
    await expect.poll(told).toContain('collateral_stored_unusable')
    clock.jump(90 * 86_400_000)
    await clock.advance(60_000)
    const published = () => told().filter((event) => event === 'signing_key_published')
    await expect.poll(published, { timeout: 25_000 }).toHaveLength(2)
  })
})
