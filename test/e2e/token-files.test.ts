import {
  existsSync,
  mkdirSync,
  readdirSync,
  readFileSync,
  readlinkSync,
  renameSync,
  rmSync,
  statSync,
  truncateSync,
  unlinkSync,
  writeFileSync,
} from 'node:fs'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { AgentHome, AgentProcess, audience, partOf } from '../support/agent-process.ts'
import { makeMemoryFolder } from '../support/memory-folder.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** A file system without a disk, as /run is. */
const root = makeMemoryFolder()
afterAll(() => rmSync(root, { recursive: true, force: true }))
const path = (name: string) => join(root, name)
const read = (name: string) => readFileSync(path(name), 'latin1')

function sink(name: string, file: string, more: readonly string[] = []): string {
  return ['[[sinks]]', `name = "${name}"`, `path = "${path(file)}"`, `audience = "${audience}"`, ...more].join('\n')
}

/** As docs/token-files.md says it for programs that were written for Confidential Space. */
const launcher = 'launcher/attestation_verifier_claims_token'
const launcherSink = [
  ...['[[sinks]]', 'name = "launcher"', `path = "${path(launcher)}"`],
  ...['audience = "https://sts.googleapis.com"', 'mode = "0444"'],
].join('\n')

describe.skipIf(!haveSwtpm)('token files of a running agent', () => {
  const { machine, folder } = useTpmMachine()
  let home: AgentHome
  let agent: AgentProcess
  const script = path('notice.sh')
  const usual = [
    sink('plain', 'token', [`on_change = ["/bin/sh", "${script}", "an argument"]`]),
    sink('json', 'token.json', ['format = "json"', 'member = "jwt"']),
    sink('volume', 'volume/token', ['layout = "projected"', 'mode = "0444"']),
    launcherSink,
  ]
  beforeAll(async () => {
    mkdirSync(path('volume'))
    mkdirSync(path('launcher'), { mode: 0o755 })
    writeFileSync(
      script,
      `echo "$1 $ATTESTD_SINK $ATTESTD_FILE $#" >> ${path('noticed')}; cat "$ATTESTD_FILE"; exit 3\n`,
    )
    home = new AgentHome(join(folder, 'agent'), machine(), { tokenFiles: [`roots = ["${root}"]`], sinks: usual })
    agent = await AgentProcess.start(home)
    await agent.until(
      () => ['token', 'token.json', 'volume/token', launcher].every((name) => existsSync(path(name))),
      'written',
    )
  })
  afterAll(() => agent?.stop())

  it('can be read by every user where programs for Confidential Space look (API-135)', () => {
    const shown = readFileSync(resolve(import.meta.dirname, '../../docs/token-files.md'), 'utf8')
    const row = shown.split('\n').find((line) => line.startsWith('| programs for Confidential Space |'))
    const place = '/run/container_launcher/attestation_verifier_claims_token'
    for (const said of [`path = "${place}"`, 'audience = "https://sts.googleapis.com"', 'mode = "0444"'])
      expect(row).toContain(said)
    expect(shown).toContain('gives the token to every process of the machine')
    expect(statSync(path(launcher)).mode & 0o7777).toBe(0o444)
    expect(statSync(path('launcher')).mode & 0o7777).toBe(0o755)
    expect(partOf(read(launcher), 'payload')['aud']).toBe('https://sts.googleapis.com')
  })

  it('are there soon after the start, with exactly the bytes of the token, and the agent is ready then', async () => {
    const token = read('token')
    expect(token).toMatch(/^[\w-]+\.[\w-]+\.[\w-]+$/)
    const { aud, exp } = partOf(token, 'payload')
    expect(aud).toBe(audience)
    expect(statSync(path('token')).mode & 0o7777).toBe(0o440)
    expect(read('token.json')).toBe(JSON.stringify({ jwt: token, expires_at: exp }))
    expect(read('volume/token')).toBe(token)
    expect(readlinkSync(path('volume/token'))).toBe('..data/token')
    await agent.until(async () => (await agent.ask('/readyz')).status === 200, 'ready')
    expect((await agent.ask(`/v1/token?audience=${audience}`)).body).toBe(token)
  })

  it('tell their consumer by a command, which knows nothing of the token, and whose failure is logged without it', async () => {
    await agent.until(() => agent.log.includes('sink_command_failed'), 'told')
    expect(readFileSync(path('noticed'), 'utf8')).toContain(`an argument plain ${path('token')} 1`)
    expect(agent.log).not.toContain(read('token').slice(0, 60))
    expect(agent.log).not.toContain(read('token').slice(-60))
  })

  it('are put into the directory that is made where theirs was, and not left where that was moved (BRK-116)', async () => {
    const token = read('volume/token')
    renameSync(path('volume'), path('moved'))
    mkdirSync(path('volume'))
    await agent.until(() => existsSync(path('volume/token')) && read('volume/token') === token, 'put back')
    await agent.until(() => !existsSync(path('moved/token')), 'removed where it was')
    await agent.until(async () => (await agent.ask('/readyz')).status === 200, 'ready')
  })

  it.each<[string, () => void]>([
    ['removed', () => unlinkSync(path('token'))],
    ['truncated', () => truncateSync(path('token'))],
    [
      'removed, as a version of the volume',
      () => unlinkSync(join(root, 'volume', readlinkSync(path('volume/..data')), 'token')),
    ],
  ])('are put back within two seconds when they were %s (BRK-116)', async (_, meddle) => {
    const token = read('token')
    meddle()
    const from = performance.now()
    const whole = () => ['token', 'volume/token'].every((name) => existsSync(path(name)) && read(name) === token)
    await agent.until(whole, 'put back')
    expect(performance.now() - from).toBeLessThan(5_000)
  })

  it('are exchanged for newer ones long before their end, and are there at every moment', async () => {
    const token = read('token')
    let looks = 0
    const watching = setInterval(() => {
      looks++
      if (!existsSync(path('token')) || read('token') === '') looks = Number.NaN
    }, 1)
    const refresh = { socket: 'admin', method: 'POST', body: { all: true } } as const
    expect((await agent.ask('/v1/admin/refresh', refresh)).status).toBeLessThan(300)
    await agent.until(() => read('token') !== token, 'renewed')
    clearInterval(watching)
    expect(looks).toBeGreaterThan(0)
    const fresh = read('token')
    await agent.until(
      () => read('volume/token') === fresh && JSON.parse(read('token.json')).jwt === fresh,
      'all renewed',
    )
  })

  it('are gone at once where an administrator calls their tokens worthless, and come back with new ones', async () => {
    const token = read('token')
    const invalidate = { socket: 'admin', method: 'POST', body: { all: true } } as const
    expect((await agent.ask('/v1/admin/invalidate', invalidate)).status).toBeLessThan(300)
    await agent.until(() => existsSync(path('token')) && read('token') !== token, 'renewed')
    expect(read('token')).not.toBe(token)
  })

  it('follow a reload: added, removed, of another form; a wrong one changes nothing and is told by line and key', async () => {
    const reload = { socket: 'admin', method: 'POST' } as const
    const [plain = '', , volume = ''] = usual
    home.configure({ sinks: [plain, sink('json', 'token.json'), sink('added', 'added')] })
    expect((await agent.ask('/v1/admin/reload', reload)).status).toBe(200)
    await agent.until(() => existsSync(path('added')) && !existsSync(path('volume/token')), 'changed over')
    await agent.until(() => read('token.json') === read('token'), 'of another form')
    home.configure({ sinks: [plain, sink('added', 'added', ['mode = "0666"'])] })
    const refused = await agent.ask('/v1/admin/reload', reload)
    expect(refused.status).toBeGreaterThanOrEqual(400)
    expect(refused.body).toMatch(/attestd\.toml:\d+: sinks\[1\]\.mode must be/)
    expect(existsSync(path('token.json'))).toBe(true)
    home.configure({ sinks: [plain, volume, sink('json', 'token.json')] })
    expect((await agent.ask('/v1/admin/reload', reload)).status).toBe(200)
    await agent.until(() => existsSync(path('volume/token')) && !existsSync(path('added')), 'changed back')
  })

  it('show in the status and in the metrics, without their tokens (BRK-119)', async () => {
    const status = (await agent.ask('/v1/admin/status', { socket: 'admin' })).body
    const { exp } = partOf(read('token'), 'payload')
    expect(JSON.parse(status).sinks[0]).toMatchObject({ name: 'plain', state: 'current', expiresAt: exp, error: null })
    expect(status).not.toContain(read('token').slice(0, 60))
    const metrics = (await agent.ask('/metrics', { socket: 'admin' })).body
    expect(metrics).toMatch(new RegExp(`^attestd_sink_expiry_timestamp_seconds\\{sink="plain"\\} ${exp}`, 'm'))
    expect(metrics).toMatch(/^attestd_sink_write_total\{sink="plain",result="ok"\} [1-9]/m)
  })

  it('outlive the agent, and the next start keeps those that verify and removes those that do not (BRK-117)', async () => {
    const token = read('token')
    await agent.stop()
    expect(read('token')).toBe(token)
    writeFileSync(path('token.json'), `${token.slice(0, -8)}AAAAAAAA`)
    agent = await AgentProcess.start(home)
    await agent.until(() => agent.log.includes('"why":"unusable"'), 'examined')
    expect(partOf(read('token'), 'payload')['aud']).toBe(audience)
    await agent.until(() => existsSync(path('token.json')) && read('token.json') === read('token'), 'renewed')
    const tidy = () => read('volume/token') === read('token') && readdirSync(path('volume')).length === 3
    await agent.until(tidy, 'tidy')
  })
})
