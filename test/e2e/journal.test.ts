import { execFileSync } from 'node:child_process'
import { mkdirSync, readdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterEach, describe, expect, it } from 'vitest'
import { journalCommand } from '../../src/agent/commands/journal.ts'
import { toHex } from '../../src/base/bytes.ts'
import { encodeAaelRecord } from '../../src/evidence/tdx/aael.ts'
import { type AgentProcess, audience, type ConfigurationLines, partOf, problemOf } from '../support/agent-process.ts'
import { runInProcess } from '../support/recorded-io.ts'
import { startEager } from '../support/td-agent.ts'
import { useTdMachine } from '../support/td-machine.ts'

/** The journal of an agent, and what support is given, from real tokens, denials, kills and a full disk. */

const table = (...lines: readonly string[]) => `[journal]\n${['enabled = true', ...lines].join('\n')}\n`

describe('an agent with a journal', () => {
  const { machine, folder } = useTdMachine()
  let agent: AgentProcess | undefined
  let homes = 0
  const nextHome = () => `agent-${homes++}`
  const start = async (lines: ConfigurationLines = {}, home = nextHome()) => {
    agent = await startEager(join(folder, home), machine(), { tables: [table()], ...lines })
    return agent
  }
  afterEach(() => agent?.stop())

  const journalAt = (at: AgentProcess, ...args: string[]) =>
    runInProcess(journalCommand, ...args, '--config', at.home.configurationFile)
  const journal = async (...args: string[]) => {
    if (agent === undefined) throw new Error('no agent')
    return journalAt(agent, ...args)
  }
  const records = async () =>
    (await journal('show', '--json')).out
      .split('\n')
      .filter((line) => line !== '')
      .map((line) => JSON.parse(line) as Record<string, unknown>)

  it('has tokens, those who had them, and denials; never a token, a nonce or an audience (BRK-120, BRK-121)', async () => {
    const running = await start()
    const token = await running.token()
    await running.token()
    const nonce = 'a-nonce-of-somebody-0123456789'
    const once = await running.token({ nonces: [nonce] })
    expect((await running.askToken({ audience: 'https://denied.example' })).status).toBe(403)
    await running.ask('/v1/admin/invalidate', { socket: 'admin', method: 'POST', body: { all: true } })
    await running.until(async () => (await records()).some(({ event }) => event === 'invalidate'), 'journal')
    const all = await records()
    const claims = partOf(token, 'payload')
    const { kid } = partOf(token, 'header')
    const byEvent = (name: string) => all.filter(({ event }) => event === name)
    const events = ['start', 'issue', 'serve', 'deny', 'invalidate']
    expect(all.map(({ event }) => event)).toEqual(expect.arrayContaining(events))
    expect(byEvent('issue')[0]).toMatchObject({ issuer: 'local', kid, iat: claims['iat'], exp: claims['exp'] })
    expect(byEvent('serve')).toHaveLength(2)
    expect(byEvent('serve')[0]).toMatchObject({
      caller: { uid: process.getuid?.(), identity: expect.any(String) },
      exp: claims['exp'],
      aud_hash: expect.stringMatching(/^[0-9a-f]{64}$/),
    })
    expect(byEvent('deny')[0]).toMatchObject({ code: 'policy_denied', dimension: 'audience' })
    const text = JSON.stringify(all)
    const parts = [token, once].flatMap((one) => one.split('.'))
    for (const secret of [...parts, nonce, audience, 'denied.example', String(claims['jti'])]) {
      expect(text).not.toContain(secret)
    }
    const { out, error } = await journal('verify')
    expect(error).toBeNull()
    expect(out).toMatch(/^\d+ records, 1 to \d+\nhead [0-9a-f]{64}\n$/)
    const page = JSON.parse((await running.ask('/v1/admin/journal?since=1', { socket: 'admin' })).body)
    expect(page.records[0].seq).toBe(2)
    expect(page.next).toBe(page.records.at(-1).seq)
    expect((await running.ask('/v1/admin/journal?since=-1', { socket: 'admin' })).status).toBe(400)
    expect((await running.ask('/v1/admin/journal')).status).toBe(404)
  })

  it('that is killed over and over goes on with one chain (BRK-122, I18)', async () => {
    const home = nextHome()
    for (let round = 0; round < 2; round++) {
      const running = await start({}, home)
      const asking = Array.from({ length: 20 }, (_, at) =>
        running.askToken({ audience: `${audience}/${round}/${at}` }).catch(() => null),
      )
      await running.until(() => readdirSync(join(running.home.stateDirectory, 'journal')).length > 0, 'a journal')
      running.child.kill('SIGKILL')
      await running.exited
      await Promise.all(asking)
    }
    await start({}, home)
    await agent?.token()
    const { error } = await journal('verify')
    expect(error).toBeNull()
    expect((await records()).filter(({ event }) => event === 'start').length).toBeGreaterThanOrEqual(2)
  })

  // Both at once: an agent that found its disk full waits some seconds before it tries again.
  it.skipIf(process.getuid?.() !== 0)(
    'on a full disk serves unless the journal is required, and goes on when there is room (BRK-124)',
    async () => {
      await Promise.all([fillDisk(false), fillDisk(true)])
    },
  )

  async function fillDisk(required: boolean): Promise<void> {
    const home = nextHome()
    const place = join(folder, home, 'state', 'journal')
    mkdirSync(place, { recursive: true, mode: 0o700 })
    execFileSync('mount', ['-t', 'tmpfs', '-o', 'size=8k,mode=0700', 'tmpfs', place])
    let running: AgentProcess | undefined
    try {
      running = await startEager(join(folder, home), machine(), { tables: [table(`required = ${required}`)] })
      await fillAndMakeRoom(running, place, required)
    } finally {
      await running?.stop()
      execFileSync('umount', ['-l', place])
    }
  }

  async function fillAndMakeRoom(running: AgentProcess, place: string, required: boolean): Promise<void> {
    const asked = Array.from({ length: 30 }, (_, at) => running.askToken({ audience: `${audience}/${at}` }))
    await Promise.all(asked)
    await running.until(() => running.log.includes('journal_failed'), 'a failure')
    const answer = await running.askToken({ audience: `${audience}/after` })
    const { reasons = [] } = JSON.parse((await running.ask('/readyz')).body)
    const told = answer.status === 200 ? [200] : [answer.status, problemOf(answer)['code']]
    expect(told).toEqual(required ? [503, 'journal_unavailable'] : [200])
    expect(reasons.includes('journal:FILE_UNUSABLE')).toBe(required)
    const metrics = await running.ask('/metrics', { socket: 'admin' })
    expect(metrics.body).toMatch(/^attestd_journal_errors_total [1-9]/m)
    execFileSync('mount', ['-o', 'remount,size=8m', place])
    await running.until(() => running.log.includes('journal_written'), 'recovery')
    expect((await running.askToken({ audience: `${audience}/again` })).status).toBe(200)
    expect((await journalAt(running, 'verify')).error).toBeNull()
  }

  /** Records come with tokens: one for its issue, one for who had it. A caller has no more than 16 at once. */
  const causeRecords = async (running: AgentProcess) => {
    for (let round = 0; round < 3; round++) {
      const asking = Array.from({ length: 14 }, (_, at) => running.token({ audience: `${audience}/${round}/${at}` }))
      await Promise.all(asking)
    }
  }

  it('puts its head into RTMR 3 after so many records, where quote and event log show it (BRK-123)', async () => {
    const running = await start({ tables: [table('anchor_every = 64')] })
    await causeRecords(running)
    await running.until(async () => (await records()).some(({ event }) => event === 'anchor'), 'an anchor')
    const all = await records()
    const anchor = all.find(({ event }) => event === 'anchor')
    const head = all.find(({ seq }) => seq === anchor?.['head_seq'])
    expect(anchor).toMatchObject({ register: 'rtmr3', head_hash: head?.['hash'] })
    const log = await machine().kernel.runtimeLog.read(1 << 20)
    const content = `${anchor?.['head_seq']} ${anchor?.['head_hash']}`
    const { entry, digest } = encodeAaelRecord(3, { domain: 'attestd/journal', operation: 'anchor', content })
    expect(log?.slice(-entry.length)).toEqual(entry)
    expect(anchor?.['digest']).toBe(toHex(digest))
    const [rtmr3 = new Uint8Array()] = machine().kernel.rtmrs.values.slice(3)
    expect(partOf(await running.token({ fresh: true }), 'payload')).toMatchObject({
      tdx: { rtmr_replayed: [0, 1, 2, 3], quote: { body: { rtmr_3: toHex(rtmr3) } } },
    })
    const { out, error } = await journal('verify')
    expect(error).toBeNull()
    expect(out).toContain(`anchored 1 times, last in rtmr3: record ${content}\n`)
    expect(await running.status()).toMatchObject({ journal: { anchor: { seq: anchor?.['head_seq'], failing: null } } })
  })

  it.each([false, true])('whose anchors fail serves unless it is required: %s (BRK-123, BRK-124)', async (required) => {
    const running = await start({ tables: [table('anchor_every = 64', `required = ${required}`)] })
    machine().kernel.faults.inject('extendRegister', ...Array.from({ length: 100 }, () => 'EIO'))
    await causeRecords(running)
    await running.until(() => running.log.includes('journal_anchor_failed'), 'a failure')
    const answer = await running.askToken({ audience: `${audience}/after` })
    const told = answer.status === 200 ? [200] : [answer.status, problemOf(answer)['code']]
    expect(told).toEqual(required ? [503, 'journal_unavailable'] : [200])
    const { reasons = [] } = JSON.parse((await running.ask('/readyz')).body)
    expect(reasons).toEqual(required ? ['journal:rtmr_not_extended'] : [])
    await running.until(async () => (await records()).some(({ event }) => event === 'anchor_failed'), 'a record')
    expect((await journal('verify')).error).toBeNull()
    await machine().reboot()
  })

  it('gives support what it needs, and none of the secrets that lie everywhere (API-110)', async () => {
    const secret = (name: string) => `secret${name}0123456789abcdef`
    const running = await start({
      callers: [`default_audiences = ["https://${secret('audience')}.example"]`],
      issuer: [`url = "https://issuer.example/${secret('path')}"`],
      agent: ['log_level = "debug"'],
    })
    const token = await running.token()
    const fresh = await running.token({ nonces: [secret('nonce')] })
    const { body, status } = await running.ask('/v1/admin/support', { socket: 'admin' })
    expect(status).toBe(200)
    const bundle = JSON.parse(body)
    expect(bundle).toMatchObject({
      version: expect.any(String),
      runtime: { node: process.versions.node },
      status: { ready: expect.any(Boolean) },
      configuration: { tpm: { use: 'off' }, journal: { enabled: true, keep: 8 }, issuer: { algorithm: 'RS256' } },
      journal: expect.arrayContaining([expect.objectContaining({ event: 'issue' })]),
    })
    const keys = readFileSync(join(running.home.stateDirectory, 'issuer-keys.json'), 'utf8')
    const pieces = keys.match(/[\w+/-]{24,}/g) ?? []
    const open = JSON.stringify(bundle.status.issuer)
    const privates = pieces.filter((piece) => !open.includes(piece))
    expect(privates.length).toBeGreaterThan(0)
    const signatures = [token, fresh].map((one) => one.split('.')[2] ?? '')
    for (const text of [body, running.log, JSON.stringify(await records())]) {
      for (const one of [token, fresh, ...signatures, ...privates, secret('nonce')]) expect(text).not.toContain(one)
    }
    expect(JSON.stringify(bundle.configuration)).not.toContain('secret')
    expect(JSON.stringify(bundle.journal)).not.toContain('secret')
    expect(body).not.toContain(process.env['PATH'] ?? 'no such path')
    expect((await running.ask('/v1/admin/support')).status).toBe(404)
  })

  it('names the record that somebody changed, and there is none without being told to (BRK-122)', async () => {
    const running = await start()
    await running.token()
    await running.stop()
    const place = join(running.home.stateDirectory, 'journal')
    const [name = ''] = readdirSync(place)
    const text = readFileSync(join(place, name), 'utf8')
    const line = text.split('\n').findIndex((one) => one.includes('"event":"issue"')) + 1
    expect(line).toBeGreaterThan(0)
    writeFileSync(join(place, name), text.replace('"event":"issue"', '"event":"issuE"'))
    const { error, out } = await journal('verify', '--json')
    expect([error?.code, JSON.parse(out).broken.line]).toEqual(['JOURNAL_BROKEN', line])
    rmSync(place, { recursive: true })
    expect((await journal('verify')).error?.code).toBe('JOURNAL_ABSENT')
    const without = await start({ tables: [] })
    await without.token()
    expect(readdirSync(without.home.stateDirectory)).not.toContain('journal')
    expect((await without.ask('/v1/admin/journal', { socket: 'admin' })).status).toBe(404)
  })
})
