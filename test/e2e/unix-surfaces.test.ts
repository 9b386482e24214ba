import { chmodSync, chownSync, mkdirSync, statSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, afterEach, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, callerRule, partOf } from '../support/agent-process.ts'
import { type ControlGroup, canMakeControlGroups, makeControlGroup } from '../support/control-group.ts'
import { canLoadCredentials, loadCredential, managerName } from '../support/credential-manager.ts'
import { rawRequest } from '../support/raw-http.ts'
import { runCommand } from '../support/run-command.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'
import { canChangeUser } from '../support/unix-caller.ts'
import { post, request } from '../support/workload-room.ts'

/** The agent at the place of the Confidential Space launcher, of Fly, and of whoever gives units their credentials. */

const google = 'https://sts.googleapis.com'
const paid = 'https://pay.example'
const theirs = 'https://theirs.example'
const stranger = 65_532
const socketGroup = 65_530

const manager = (id: string, unit: string, audiences: readonly string[]) =>
  callerRule(id, `unit = "${unit}", uid = 0`, audiences)
const credential = (unit: string, id: string, name: string, more = '') =>
  `[[credentials]]\nunit = "${unit}"\nid = "${id}"\naudience = "${name}"\n${more}`

const credentials = [
  credential('payments.service', 'token', paid),
  credential('payments.service', 'document', paid, 'format = "json"\nmember = "jwt"\n'),
  credential('worker@.service', 'token', theirs),
  credential('unruled.service', 'token', paid),
]
const rules = [
  callerRule('own', 'uid = 0, listener = ["api", "cs", "fly"]', [google, audience]),
  callerRule('theirs', `uid = ${stranger}`, [theirs]),
  manager('payments', 'payments.service', [paid]),
  manager('workers', 'worker@.service', [theirs]),
]

describe.skipIf(!haveSwtpm || !canChangeUser)('the Unix sockets of other conventions', () => {
  const { machine, folder } = useTpmMachine()
  let home: AgentHome
  let agent: AgentProcess
  let tables: readonly string[] = []
  const at = (name: string) => home.path(name)

  beforeAll(async () => {
    home = new AgentHome(join(folder, 'agent'), machine())
    tables = [
      `[compat.confidential_space]\nsocket = "${at('launcher/teeserver.sock')}"`,
      `[compat.fly]\nsocket = "${at('launcher/fly.sock')}"\ndefault_audience = "${audience}"`,
      ...credentials,
    ]
    home.configure({ tables, rules, listen: [`cred = "${at('cred.sock')}"`] })
    mkdirSync(at('launcher'))
    chownSync(at('launcher'), 0, socketGroup)
    chmodSync(at('launcher'), 0o2755)
    agent = await AgentProcess.start(home)
    await agent.until(() => agent.log.split('"event":"surface_open"').length === 4, 'open')
  })
  afterAll(() => agent?.stop())

  const modeOf = (name: string) => (statSync(at(name)).mode & 0o777).toString(8)

  async function curlAs(uid: number, socket: string, ...args: readonly string[]) {
    const user = ['--reuid', String(uid), '--regid', String(uid), '--groups', String(socketGroup)]
    const curl = ['curl', '-sS', '-w', '\n%{http_code}', '--unix-socket', at(socket), ...args]
    const { out } = await runCommand('setpriv', [...user, ...curl])
    const [body = '', status] = out.split(/\n(?=\d+$)/)
    return { status: Number(status), body }
  }

  it('are for their group, and that of credentials for root alone (API-03, API-05, API-130)', () => {
    expect(['launcher/teeserver.sock', 'launcher/fly.sock', 'cred.sock'].map(modeOf)).toEqual(['660', '660', '600'])
    expect(statSync(at('launcher/teeserver.sock')).gid).toBe(socketGroup)
  })

  it('give the very token that the native socket gives (API-122)', async () => {
    const native = await agent.token({ audience: google })
    const launcher = await rawRequest(at('launcher/teeserver.sock'), request('GET', '/v1/token'))
    expect([launcher.status, launcher.headers['content-type'], launcher.body]).toEqual([200, 'text/html', native])
    const fly = await rawRequest(at('launcher/fly.sock'), post('/v1/tokens/oidc', {}))
    expect([fly.status, fly.headers['content-type']]).toEqual([200, 'text/plain; charset=utf-8'])
    expect(fly.body).toBe(await agent.token())
  })

  it('give a token with the nonces of the launcher’s clients (API-131)', async () => {
    const body = { audience: google, token_type: 'OIDC', nonces: ['nonce-of-a-relying-party'] }
    const { status, body: token } = await rawRequest(at('launcher/teeserver.sock'), post('/v1/token', body))
    expect([status, partOf(token, 'payload')]).toMatchObject([200, { aud: google, eat_nonce: body.nonces[0] }])
  })

  it('give no caller what is another’s, and a denial in their own style (API-121, API-123)', async () => {
    const launcher = await curlAs(stranger, 'launcher/teeserver.sock', 'http://localhost/v1/token')
    expect([launcher.status, launcher.body]).toEqual([403, 'no rule allows this caller the audience'])
    const options = JSON.stringify({ audience: theirs, token_type: 'OIDC' })
    const own = await curlAs(stranger, 'launcher/teeserver.sock', '-d', options, 'http://localhost/v1/token')
    expect([own.status, partOf(own.body, 'payload')['aud']]).toEqual([200, theirs])
    const other = JSON.stringify({ aud: audience })
    const fly = await curlAs(stranger, 'launcher/fly.sock', '-d', other, 'http://localhost/v1/tokens/oidc')
    expect([fly.status, fly.body]).toEqual([403, '{"error":"no rule allows this caller the audience"}'])
    const root = await rawRequest(at('launcher/fly.sock'), post('/v1/tokens/oidc', { aud: theirs }))
    expect([root.status, root.headers['attestd-error']]).toEqual([403, 'policy_denied'])
  })

  it('have neither native nor administrative routes (API-02, API-10)', async () => {
    for (const socket of ['launcher/teeserver.sock', 'launcher/fly.sock']) {
      for (const path of ['/v1/admin/status', '/metrics', '/v1/explain', '/livez']) {
        expect((await rawRequest(at(socket), request('GET', path))).status, path).toBe(404)
      }
    }
  })

  describe.skipIf(!canLoadCredentials)('the credential socket', () => {
    const cred = () => at('cred.sock')
    const counts = async () => (await agent.status()).credentials
    const load = (unit: string, id: string, options = {}) => loadCredential(cred(), managerName(unit, id), options)

    /** Connects and must get nothing; gives the code that the log has for it. */
    async function emptyFor(loading: () => Promise<string>): Promise<string> {
      const { empty } = await counts()
      const from = agent.log.length
      expect(await loading()).toBe('')
      await agent.until(async () => (await counts()).empty === empty + 1, 'counted')
      await agent.until(() => agent.log.slice(from).includes('a credential was left empty'), 'logged')
      return /"code":"([a-z_]+)"/.exec(agent.log.slice(from))?.[1] ?? ''
    }

    it('gives a unit its token, in the form that is configured (API-164, API-166)', async () => {
      const { written } = await counts()
      const token = await load('payments.service', 'token')
      expect(partOf(token, 'payload')).toMatchObject({ aud: paid, tee: 'tpm' })
      const document = JSON.parse(await load('payments.service', 'document'))
      expect(document).toEqual({ jwt: token, expires_at: partOf(token, 'payload')['exp'] })
      expect(partOf(await load('worker@7.service', 'token'), 'payload')['aud']).toBe(theirs)
      expect((await counts()).written).toBe(written + 3)
      expect(agent.log).not.toContain(token.split('.')[2])
    })

    it('serves many units that start at once', async () => {
      const all = await Promise.all(Array.from({ length: 12 }, (_, at) => load(`worker@${at}.service`, 'token')))
      expect(new Set(all).size).toBe(1)
      expect(all[0]).not.toBe('')
    })

    it.each<[string, () => Promise<string>, string]>([
      ['a unit that no rule is about', () => load('unruled.service', 'token'), 'policy_denied'],
      ['a unit that is not configured', () => load('other.service', 'token'), 'credential_unknown'],
      ['an id that is not configured', () => load('payments.service', 'other'), 'credential_unknown'],
      ['a peer without a name', () => loadCredential(cred(), new Uint8Array()), 'credential_peer'],
      [
        'a peer that autobinds, as a client of another kind',
        () => loadCredential(cred(), Buffer.from('\0abcde')),
        'credential_peer',
      ],
      [
        'a hostile name',
        () => loadCredential(cred(), Buffer.from('\0' + '1/unit/payments.service/token/../other')),
        'credential_peer',
      ],
      [
        'a NUL behind the name',
        () => loadCredential(cred(), Buffer.from('\0' + '1/unit/payments.service/token\0')),
        'credential_peer',
      ],
    ])('leaves the credential of %s empty, logs and counts it (API-165, API-167)', async (_, loading, code) => {
      expect(await emptyFor(loading)).toBe(code)
    })

    it('is not open to another user, and gives one that gets in nothing (API-03, API-165)', async () => {
      await expect(load('payments.service', 'token', { uid: stranger })).rejects.toThrow('Permission denied')
      chmodSync(cred(), 0o666)
      expect(await emptyFor(() => load('payments.service', 'token', { uid: stranger }))).toBe('credential_peer')
      chmodSync(cred(), 0o600)
    })

    it('warns of a credential that no rule allows, when it starts', () => {
      expect(agent.log).toMatch(/"event":"credential_denied","unit":"unruled.service".*"dimension":"caller"/)
      expect(agent.log).not.toContain('"event":"credential_denied","unit":"payments.service"')
    })

    describe.skipIf(!canMakeControlGroups())('beside control groups', () => {
      const groups: ControlGroup[] = []
      afterEach(() => {
        for (const group of groups.splice(0).reverse()) group.remove()
      })
      const within = (path: string) => (pid: number) => {
        const group = makeControlGroup(path)
        groups.push(group)
        group.take(pid)
      }

      it('believes a peer in the unit that it names, and none that runs in another (API-165)', async () => {
        const own = { prepare: within('system.slice/payments.service') }
        expect(await load('payments.service', 'token', own)).not.toBe('')
        const other = { prepare: within('system.slice/other.service') }
        expect(await emptyFor(() => load('payments.service', 'token', other))).toBe('credential_peer')
      })
    })

    it('gives what a reload added, without a restart (BRK-142)', async () => {
      const added = credential('late.service', 'token', paid)
      home.configure({ tables: [...tables, added], rules: [...rules, manager('late', 'late.service', [paid])] })
      const { status } = await agent.ask('/v1/admin/reload', { socket: 'admin', method: 'POST' })
      expect(status).toBe(200)
      expect(partOf(await load('late.service', 'token'), 'payload')['aud']).toBe(paid)
    })
  })
})
