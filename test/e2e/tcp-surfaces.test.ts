import { createHash, randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { encodeCollateral } from '../../src/endorsements/tdx/collateral.ts'
import { parseTdxEvidence } from '../../src/evidence/tdx/evidence-json.ts'
import { parseQuote, reportDataOf } from '../../src/evidence/tdx/quote.ts'
import { AgentHome, AgentProcess, audience, callerRule, freePort, partOf } from '../support/agent-process.ts'
import { holdConnections, listeningSockets } from '../support/held-connections.ts'
import { RawClient } from '../support/raw-http.ts'
import { runAttestd, runCommand } from '../support/run-command.ts'
import { startAt } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { tokensIn } from '../support/tokens-in.ts'
import { canChangeUser } from '../support/unix-caller.ts'

/** Surfaces on loopback TCP: who is calling, with which secret, and what the requests of others' clients get. */

const [shop, bank, tng, nobody] = [65_530, 65_531, 65_532, 65_533] as const
const shopAudience = 'https://shop.example'
const bankAudience = 'https://bank.example'
const surfaces = ['github', 'gcp_url', 'gce_metadata', 'coco_rest'] as const
type SurfaceName = (typeof surfaces)[number]

const enc = encodeURIComponent
const secrets = { shop: randomBytes(32).toString('base64url'), bank: randomBytes(32).toString('base64url') }
const bearer = (secret: string) => ['-H', `Authorization: Bearer ${secret}`]
const flavor = ['-H', 'Metadata-Flavor: Google']
const identity = '/computeMetadata/v1/instance/service-accounts/default/identity'

const rules = [
  callerRule('own', 'uid = 0', [audience, shopAudience]),
  callerRule('shop', `uid = ${shop}`, [shopAudience]),
  callerRule('bank', `uid = ${bank}`, [bankAudience]),
  `[[callers.rules]]
id = "tng"
match = { uid = ${tng}, listener = "tcp:coco_rest" }
allow = { methods = ["token", "raw_report_data", "measure"], audiences = ["${audience}"], domains = [{ prefix = "tng.example/" }] }
`,
  `[[callers.rules]]
id = "everybody"
match = { listener = ["tcp:github", "tcp:gce_metadata", "tcp:coco_rest"] }
allow = { methods = ["token", "raw_report_data", "measure"], audiences = ["${shopAudience}", "${bankAudience}"] }
`,
]

describe.skipIf(!canChangeUser)('surfaces on loopback TCP', () => {
  const { machine, folder } = useTdMachine()
  const ports = new Map<SurfaceName, number>()
  let agent: AgentProcess

  const at = (surface: SurfaceName) => `127.0.0.1:${ports.get(surface)}`
  const secretFile = (name: 'shop' | 'bank') => join(folder, `${name}.secret`)
  const consumer = (surface: string, name: 'shop' | 'bank', more = '') =>
    `[[compat.${surface}.consumers]]\nname = "${name}"\nsecret = "${secretFile(name)}"\n${more}\n`
  const table = (surface: SurfaceName, ...lines: string[]) =>
    `[compat.${surface}]\nlisten = "${at(surface)}"\n${lines.join('\n')}\n`

  beforeAll(async () => {
    writeFileSync(secretFile('shop'), `${secrets.shop}\n`, { mode: 0o400 })
    const digest = createHash('sha256').update(secrets.bank).digest('hex')
    writeFileSync(secretFile('bank'), `sha256:${digest}\n`, { mode: 0o400 })
    for (const surface of surfaces) ports.set(surface, await freePort())
    const tables = [
      table('github', `default_audience = "${shopAudience}"`),
      consumer('github', 'shop'),
      consumer('github', 'bank'),
      table('gcp_url'),
      consumer('gcp_url', 'shop', `audience = "${shopAudience}"`),
      consumer('gcp_url', 'bank', `audience = "${bankAudience}"`),
      table('gce_metadata'),
      table('coco_rest', `default_audience = "${audience}"`),
    ]
    agent = await startAt(new AgentHome(join(folder, 'agent'), machine(), { rules, tables }))
  })
  afterAll(() => agent?.stop())

  /** What curl gets that runs as another user. */
  async function curlAs(uid: number, surface: SurfaceName, target: string, more: readonly string[] = []) {
    const user = ['--reuid', String(uid), '--regid', String(uid), '--clear-groups']
    const curl = ['curl', '-sS', '-i', '--max-time', '20', ...more, `http://${at(surface)}${target}`]
    const { code, out, err } = await runCommand('setpriv', [...user, ...curl])
    if (code !== 0) throw new Error(`curl ended with ${code}: ${err}\n${agent.log}`)
    const end = out.indexOf('\r\n\r\n')
    const head = out.slice(0, end).toLowerCase()
    const header = (name: string) => new RegExp(`^${name}: (.*)\r?$`, 'm').exec(head)?.[1]?.trim() ?? null
    return { status: Number(head.split(' ')[1]), header, body: out.slice(end + 4) }
  }
  const audienceOf = (token: string) => partOf(token, 'payload')['aud']

  describe('GitHub style (API-150)', () => {
    const url = '/gha/token?v=1'

    it('gives a user with its secret the token of the native socket, byte for byte (API-122)', async () => {
      const { status, body } = await curlAs(shop, 'github', url, bearer(secrets.shop))
      expect(status).toBe(200)
      const { count, value } = JSON.parse(body)
      expect([count, audienceOf(value)]).toEqual([1, shopAudience])
      expect(await agent.token({ audience: shopAudience })).toBe(value)
    })

    it('gives no user the token of another, whosever secret it brings', async () => {
      for (const [uid, secret, wanted] of [
        [bank, secrets.shop, shopAudience],
        [bank, secrets.bank, shopAudience],
        [shop, secrets.bank, bankAudience],
        [nobody, secrets.shop, shopAudience],
      ] as const) {
        const { status, header, body } = await curlAs(uid, 'github', `${url}&audience=${enc(wanted)}`, bearer(secret))
        expect([status, header('attestd-error')]).toEqual([403, 'policy_denied'])
        expect(body).not.toContain('eyJ')
      }
      const own = await curlAs(bank, 'github', `${url}&audience=${enc(bankAudience)}`, bearer(secrets.bank))
      expect(audienceOf(JSON.parse(own.body).value)).toBe(bankAudience)
    })

    it.each([
      ['no secret', []],
      ['a wrong secret', bearer('A'.repeat(43))],
      ['two secrets', [...bearer(secrets.shop), ...bearer(secrets.shop)]],
    ])('with %s is 401', async (_what, headers) => {
      expect((await curlAs(shop, 'github', url, headers)).status).toBe(401)
    })
  })

  it('gives each consumer of Google Cloud its token, if its user may have it (API-157)', async () => {
    const own = await curlAs(shop, 'gcp_url', '/gcp/shop', bearer(secrets.shop))
    expect([own.status, audienceOf(JSON.parse(own.body).id_token)]).toEqual([200, shopAudience])
    for (const [uid, name, secret, expected] of [
      [bank, 'shop', secrets.shop, 403],
      [bank, 'shop', secrets.bank, 401],
      [shop, 'bank', secrets.bank, 403],
      [shop, 'none', secrets.shop, 401],
    ] as const) {
      const { status, body } = await curlAs(uid, 'gcp_url', `/gcp/${name}`, bearer(secret))
      expect([status, body.includes('eyJ')]).toEqual([expected, false])
    }
  })

  it('looks like the metadata server of GCE to the users of its rules (API-163, API-124)', async () => {
    const target = `${identity}?audience=${enc(shopAudience)}&format=full`
    const own = await curlAs(shop, 'gce_metadata', target, flavor)
    expect([own.status, own.header('metadata-flavor'), audienceOf(own.body)]).toEqual([200, 'google', shopAudience])
    expect((await curlAs(shop, 'gce_metadata', target)).status).toBe(403)
    for (const uid of [bank, nobody]) expect((await curlAs(uid, 'gce_metadata', target, flavor)).status).toBe(403)
  })

  describe('what clients of the Trustee family send (RC-24, API-140 to API-144)', () => {
    const digest = createHash('sha384').update('runtime data').digest()
    const data = `runtime_data=${digest.toString('base64url')}&encoding=base64`

    it('begins with what machine this is', async () => {
      const { status, body } = await curlAs(tng, 'coco_rest', '/info')
      const info = { tee: 'tdx', additional_tees: [], version: expect.any(String) }
      expect([status, JSON.parse(body)]).toMatchObject([200, info])
      expect((await curlAs(nobody, 'coco_rest', '/info')).status).toBe(403)
    })

    it('goes on with a quote over its own digest, padded and not hashed, that the verifier affirms', async () => {
      const { status, header, body } = await curlAs(tng, 'coco_rest', `/aa/evidence?${data}`)
      expect([status, header('content-type')]).toEqual([200, 'application/octet-stream'])
      expect(Object.keys(JSON.parse(body)).sort()).toEqual(['cc_eventlog', 'hints', 'quote'])
      const sent = Buffer.from(Buffer.from(body).toString('base64url'), 'base64url')
      const reportData = reportDataOf(parseQuote(parseTdxEvidence(new Uint8Array(sent)).quote))
      expect(Buffer.from(reportData).toString('hex')).toBe(digest.toString('hex') + '00'.repeat(16))
      const [file, collateral] = [join(folder, 'evidence.json'), join(folder, 'collateral.json')]
      writeFileSync(file, sent)
      writeFileSync(collateral, encodeCollateral(machine().sim.collateral()))
      const args = ['--collateral', collateral, '--trust-anchors', machine().root, '--simulator', '--any-report-data']
      const { code, out } = await runAttestd(['appraise', file, ...args, '--require-event-log'])
      expect([code, out.includes('FAILED')]).toEqual([0, false])
    })

    it('asks for further devices with empty data, of which there are none, and ends with a bare token', async () => {
      const answer = await curlAs(tng, 'coco_rest', '/aa/additional-evidence?runtime_data=&encoding=base64')
      expect([answer.status, answer.body]).toEqual([200, ''])
      const { status, body } = await curlAs(tng, 'coco_rest', '/aa/token?token_type=coco_as')
      expect([status, audienceOf(body), body.includes('\n')]).toEqual([200, audience, false])
      expect((await curlAs(tng, 'coco_rest', '/aa/token?token_type=kbs')).status).toBe(500)
    })

    it('records what it did in RTMR3 and in the log that the next quote covers', async () => {
      const event = { domain: 'tng.example/tunnel', operation: 'open', content: 'peer-of-the-test' }
      const record = (body: object) => curlAs(tng, 'coco_rest', '/aa/aael', ['-d', JSON.stringify(body)])
      const recorded = await record(event)
      expect([recorded.status, recorded.body]).toEqual([200, '{"success":"true"}'])
      const other = await record({ ...event, domain: 'bank.example/x' })
      expect([other.status, other.body]).toEqual([403, 'Forbidden'])
      expect((await record({ ...event, content: '' })).status).toBe(500)
      const { body } = await curlAs(tng, 'coco_rest', `/aa/evidence?${data}`)
      const log = Buffer.from(JSON.parse(body).cc_eventlog, 'base64').toString('latin1')
      expect(log.split(event.content)).toHaveLength(2)
      expect(log).not.toContain('bank.example/x')
    })

    it('is for the user that a rule names', async () => {
      for (const uid of [shop, nobody]) {
        for (const path of ['evidence', 'additional-evidence']) {
          const { status, body } = await curlAs(uid, 'coco_rest', `/aa/${path}?${data}`)
          expect([status, body]).toEqual([403, 'Forbidden'])
        }
      }
      expect((await curlAs(tng, 'github', '/gha/token?v=1', bearer(secrets.shop))).status).toBe(403)
    })
  })

  it('answer to no name but those of this host (API-29)', async () => {
    for (const surface of surfaces) {
      for (const host of ['evil.example', 'localhost.evil.example', '169.254.169.254', 'metadata.google.internal']) {
        const { status, header } = await curlAs(shop, surface, '/', ['-H', `Host: ${host}`])
        expect([surface, host, status, header('attestd-error')]).toEqual([surface, host, 421, 'misdirected'])
      }
      const port = ports.get(surface)
      for (const host of [`localhost:${port}`, `[::1]:${port}`, '127.0.0.1']) {
        expect((await curlAs(shop, surface, '/', ['-H', `Host: ${host}`])).status).toBe(404)
      }
      expect((await curlAs(shop, surface, '/', ['-H', 'Origin: https://evil.example'])).status).toBe(403)
    }
  })

  it('are the only sockets of the agent on a network, and on loopback (API-09)', () => {
    const { inodes, lines } = listeningSockets(agent.pid)
    expect(inodes).toBeGreaterThan(4)
    expect(lines.map(({ local }) => local).sort()).toEqual(
      surfaces.map((surface) => `0100007F:${ports.get(surface)?.toString(16).toUpperCase().padStart(4, '0')}`).sort(),
    )
  })

  it('take nobody for root who has closed one side (API-54)', async () => {
    const head = `GET ${identity}?audience=${enc(shopAudience)} HTTP/1.1`
    const text = `${head}\r\nHost: localhost\r\nMetadata-Flavor: Google\r\n\r\n`
    const open = () => new RawClient({ host: '127.0.0.1', port: ports.get('gce_metadata') ?? 0 }).write(text)
    const whole = open()
    expect((await whole.answers(1)).map(({ status }) => status)).toEqual([200])
    whole.destroy()
    const half = await open().half().rest()
    expect(half.map(({ status, headers }) => [status, headers['attestd-error']])).toEqual([
      [403, 'caller_unidentified'],
    ])
  })

  it('serve others while one user holds all the connections that it can get (API-23)', async () => {
    const flood = await holdConnections(nobody, ports.get('github') ?? 0, 300)
    try {
      expect(flood.open()).toBeLessThanOrEqual(32)
      expect((await curlAs(shop, 'github', '/gha/token?v=1', bearer(secrets.shop))).status).toBe(200)
      expect((await agent.askToken({ audience: shopAudience })).status).toBe(200)
      const refused = await curlAs(nobody, 'coco_rest', '/info')
      expect([refused.status, refused.header('attestd-error')]).toEqual([429, 'rate_limited'])
    } finally {
      await flood.end()
    }
    await agent.until(async () => (await curlAs(nobody, 'coco_rest', '/info')).status === 403, 'free again')
  })

  it('are told in the status, and no secret or token is told anywhere (API-110)', async () => {
    const status = await agent.status()
    expect(status.surfaces).toEqual(expect.arrayContaining(surfaces.map((surface) => `tcp:${surface}`)))
    const { body: metrics } = await agent.ask('/metrics', { socket: 'admin' })
    for (const text of [agent.log, JSON.stringify(status), metrics]) {
      expect(tokensIn(text)).toEqual([])
      for (const secret of Object.values(secrets)) expect(text).not.toContain(secret.slice(0, 10))
    }
  })

  it.each(['0.0.0.0:8006', '169.254.169.254:80'])('do not start on %s (API-09)', async (address) => {
    const { code, log } = await startRefused('wide', [`[compat.coco_rest]\nlisten = "${address}"\n`])
    expect(code).toBe(78)
    expect(log).toContain('compat.coco_rest.listen must be 127.0.0.1:PORT or [::1]:PORT')
  })

  it('do not start on a port that is taken, or with a secret that others can read', async () => {
    const taken = await startRefused('taken', [`[compat.coco_rest]\nlisten = "${at('coco_rest')}"\n`])
    expect([taken.code, taken.log.includes('SOCKET_IN_USE')]).toEqual([78, true])
    const open = join(folder, 'open.secret')
    writeFileSync(open, secrets.shop, { mode: 0o644 })
    const readers = `[[compat.github.consumers]]\nname = "shop"\nsecret = "${open}"\n`
    const readable = await startRefused('readable', [`[compat.github]\nlisten = "127.0.0.1:8010"\n${readers}`])
    expect([readable.code, readable.log.includes('compat.github.consumers[0].secret')]).toEqual([78, true])
    expect(readable.log).not.toContain(secrets.shop.slice(0, 10))
  })

  async function startRefused(name: string, tables: readonly string[]) {
    const refused = await AgentProcess.spawn(new AgentHome(join(folder, name), machine(), { tables }))
    const { code } = await refused.exited
    return { code, log: refused.log }
  }
})
