import { copyFileSync, readdirSync, readFileSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { openLibrary } from '../../native/ffi.ts'
import { encodePem } from '../../src/base/pki/pem.ts'
import { AgentHome, AgentProcess, audience, callerRule, ownRule, problemOf } from '../support/agent-process.ts'
import { RawClient } from '../support/raw-http.ts'
import { haveSwtpm } from '../support/swtpm.ts'
import { logged } from '../support/td-agent.ts'
import { createRoot } from '../support/test-ca.ts'
import { useTpmMachine } from '../support/tpm-machine.ts'

/** What a local process and an operator's slips do to a running agent. */

const elsewhere = 'https://elsewhere.example'

/** Sets how many descriptors another process may have, or lifts that limit to the most it may have. */
function limitDescriptors(pid: number, most: number | null): void {
  const prlimit = openLibrary(null).bind('prlimit', 'i32', ['i32', 'i32', 'buffer', 'buffer'])
  const limits = Buffer.alloc(16)
  if (prlimit(pid, 7, null, limits) !== 0) throw new Error('prlimit failed')
  limits.writeBigUInt64LE(most === null ? limits.readBigUInt64LE(8) : BigInt(most), 0)
  if (prlimit(pid, 7, limits, null) !== 0) throw new Error('prlimit failed')
}

describe.skipIf(!haveSwtpm)('a running agent', () => {
  const { machine, folder } = useTpmMachine()
  let agent: AgentProcess
  const anchors = join(folder, 'anchors.pem')
  const trusted = () => copyFileSync(machine().made.rootCertificate, anchors)

  beforeAll(async () => {
    trusted()
    const home = new AgentHome(join(folder, 'agent'), machine())
    const text = readFileSync(home.configurationFile, 'utf8')
    const configured = text.replace(machine().made.rootCertificate, anchors)
    writeFileSync(home.configurationFile, configured)
    agent = await AgentProcess.start(home)
  })
  afterAll(() => agent?.stop())

  const reload = () => agent.ask('/v1/admin/reload', { socket: 'admin', method: 'POST' })
  const openDescriptors = () => readdirSync(`/proc/${agent.pid}/fd`).length

  /** Edits the configuration as an operator would; gives how it was. */
  function edit(change: (text: string) => string): () => void {
    const { configurationFile: file } = agent.home
    const before = readFileSync(file, 'utf8')
    const after = change(before)
    expect(after).not.toBe(before)
    writeFileSync(file, after)
    return () => writeFileSync(file, before)
  }

  it('takes nothing of a configuration that it refuses, and lives on (BRK-142)', async () => {
    const undo = edit((text) =>
      text
        .replace('url = "https://issuer.example"', 'url = "https://issuer.example"\nlifetime = "10s"')
        .replace(ownRule, ownRule + callerRule('more', `uid = ${process.getuid?.()}`, [elsewhere])),
    )
    const { status, body } = await reload()
    expect([status, JSON.parse(body).errors]).toEqual([422, [expect.stringContaining('a lifetime of 10 s')]])
    agent.signal('SIGHUP')
    await agent.until(() => agent.log.split('reload_refused').length > 2, 'refused twice')
    expect((await agent.status()).configurationError).toContain('a lifetime of 10 s')
    expect((await agent.askToken({ audience: elsewhere })).status).toBe(403)
    undo()
    expect((await reload()).status).toBe(200)
    expect((await agent.status()).configurationError).toBeNull()
  })

  it('does not serve a token at hand any more once its authority was taken out of a file', async () => {
    const token = await agent.token()
    writeFileSync(anchors, encodePem(createRoot().certificate.der, 'CERTIFICATE'))
    expect((await reload()).status).toBe(200)
    const refused = await agent.askToken()
    expect([refused.status, problemOf(refused)['code']]).toEqual([502, 'issuer_rejected'])
    expect(problemOf(refused)['cause_code']).toBe('ENROLMENT_NOT_AFFIRMED')
    trusted()
    expect((await reload()).status).toBe(200)
    expect(await agent.token()).not.toBe(token)
  })

  it('gives no token to a request that was sent ahead of the reload that took the right away (API-69)', async () => {
    await agent.token({ audience: `${audience}/sent-ahead` })
    machine().freeze()
    const post = (body: object) => {
      const text = JSON.stringify(body)
      return `POST /v1/token HTTP/1.1\r\nContent-Type: application/json\r\nContent-Length: ${text.length}\r\n\r\n${text}`
    }
    const client = new RawClient(agent.home.path('api.sock'))
    client.write(post({ audience, nonces: ['nonce-0001'], timeout_ms: 1500 }))
    client.write(post({ audience: `${audience}/sent-ahead` }))
    await agent.until(async () => (await agent.status()).broker.flights === 1, 'quoting')
    const undo = edit((text) => text.replaceAll(`prefix = "${audience}/"`, 'prefix = "https://nobody.example/"'))
    expect((await reload()).status).toBe(200)
    const answers = await client.answers(2)
    machine().thaw()
    expect(answers.map(({ status }) => status)).toEqual([504, 403])
    expect(client.received).not.toContain('eyJ')
    client.destroy()
    undo()
    expect((await reload()).status).toBe(200)
    await agent.until(async () => (await agent.askToken({ fresh: true })).status === 200, 'issuing')
  })

  it('loses nothing but connections while it runs out of descriptors (F27)', async () => {
    await agent.token()
    const before = openDescriptors()
    limitDescriptors(agent.pid, before + 3)
    const clients = Array.from({ length: 40 }, () => new RawClient(agent.home.path('api.sock')))
    for (const client of clients) client.write('GET /livez HTTP/1.1\r\n\r\n')
    await Promise.all(
      clients.slice(0, 3).map((client) => Promise.race([client.answers(1), client.closed]).catch(() => 0)),
    )
    for (const client of clients) client.destroy()
    expect(agent.running).toBe(true)
    limitDescriptors(agent.pid, null)
    await agent.token()
    await agent.until(() => openDescriptors() <= before, 'back to its descriptors')
  })

  it('takes fewer connections where few descriptors may be open, and administrators are heard (API-23, F27)', async () => {
    const home = new AgentHome(join(folder, 'few'), machine())
    const wrapper = ['sh', '-c', 'ulimit -n 256; exec "$0" "$@"']
    const few = await AgentProcess.start(home, { wrapper })
    expect(logged(few, 'few_descriptors')).toMatchObject([{ descriptors: 256, connections: 18 }])
    const clients = Array.from({ length: 60 }, () => new RawClient(home.path('api.sock')))
    for (const client of clients) client.write('GET /livez HTTP/1.1\r\n\r\n')
    const answers = await Promise.all(clients.map((client) => client.answers(1).catch(() => [])))
    const statuses = new Set(answers.flat().map(({ status }) => status))
    expect(answers.filter(([answer]) => answer?.status === 200)).toHaveLength(4)
    expect([...statuses].filter((status) => ![200, 429, 503].includes(status))).toEqual([])
    expect((await few.status()).broker).toBeDefined()
    for (const client of clients) client.destroy()
    expect(await few.stop()).toEqual({ code: 0, signal: null })
  })

  it('does not end because nobody reads its log any more', async () => {
    const { stderr } = agent.child
    stderr?.destroy()
    expect((await reload()).status).toBe(200)
    expect((await reload()).status).toBe(200)
    expect((await agent.askToken({ fresh: true })).status).toBe(200)
    expect(agent.running).toBe(true)
    expect(await agent.stop()).toEqual({ code: 0, signal: null })
  })
})
