import { randomBytes } from 'node:crypto'
import { writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { havePostgres, PostgresServer } from '../support/postgres-server.ts'
import { useTdMachine } from '../support/td-machine.ts'
import { type VerifierHome, VerifierProcess, verifierHome } from '../support/verifier-process.ts'

/** A database that goes away under the verifier service, and comes back. */

const permit = 'version= 1.2;authorizationrules{=> permit();};issuancerules{};'

describe.skipIf(!havePostgres)('a verifier whose PostgreSQL goes away', { timeout: 300_000 }, () => {
  const { machine, folder } = useTdMachine()
  let database: PostgresServer
  let home: VerifierHome
  let verifier: VerifierProcess

  beforeAll(async () => {
    database = await PostgresServer.start()
    const urlFile = join(folder, 'url')
    writeFileSync(urlFile, `${database.url}\n`, { mode: 0o600 })
    home = await verifierHome(join(folder, 'verifier'), machine(), {
      verifier: [`tdx_anchors = ["${machine().root}"]`],
      policies: ['default = ["usual"]'],
      tables: [`[registry]\nstore = "postgresql"\nurl_file = "${urlFile}"\n`],
    })
    verifier = await VerifierProcess.start(home)
  })
  afterAll(async () => {
    await verifier?.stop()
    await database?.[Symbol.asyncDispose]()
  })

  async function ask() {
    const reportData = new Uint8Array(randomBytes(64))
    const quote = Buffer.from(machine().sim.quote({ reportData })).toString('base64')
    const evidence = Buffer.from(JSON.stringify({ quote, cc_eventlog: null })).toString('base64url')
    const raw = Buffer.from(reportData).toString('base64url')
    const body = JSON.stringify({ tee: 'tdx', evidence, runtime_data: { raw } })
    const answer = await fetch(`${home.url}/attestation`, { method: 'POST', body })
    const text = await answer.text()
    return { status: answer.status, text, problem: answer.status === 200 ? null : JSON.parse(text) }
  }

  function set() {
    const file = join(folder, 'policy')
    writeFileSync(file, permit)
    return verifier.administer('policies', 'set', '--id', 'usual', file)
  }

  /** The database says nothing any more; asks until nobody hears it. */
  async function unavailable(): Promise<void> {
    const told = {
      code: 'AS.DEPENDENCY.UNAVAILABLE',
      retryable: true,
      remedy: expect.stringMatching(/verifier status/),
    }
    const answers = await Promise.all(Array.from({ length: 4 }, ask))
    for (const answer of answers) expect(answer).toMatchObject({ status: 503, problem: told })
    expect(answers[0]?.text).not.toContain(database.folder)
    expect(await set()).toMatchObject({ code: 75, err: expect.stringContaining('registry_unavailable') })
    const status = await verifier.administer('status')
    expect(status).toMatchObject({
      code: 0,
      out: expect.stringMatching(/store {7}postgresql: registry_unavailable since/),
    })
  }

  it('gives no token and says so, loses nothing, and goes on when it is back', async () => {
    expect((await set()).code).toBe(0)
    expect((await ask()).status).toBe(200)
    for (const signal of ['SIGINT', 'SIGQUIT'] as const) {
      await database.stop(signal)
      await unavailable()
      await database.run()
      await expect.poll(async () => (await ask()).status, { timeout: 60_000 }).toBe(200)
      expect((await verifier.administer('status')).out).toMatch(/^store {7}postgresql$/m)
      expect((await verifier.administer('policies', 'list')).out).toContain('id:usual')
    }
    const events = verifier.log.match(/"event":"(?:store_failed|store_back|bug)"/g) ?? []
    // The log says the same once in ten seconds.
    expect([...new Set(events)]).toEqual(['"event":"store_failed"', '"event":"store_back"'])
  })

  it('starts without it, gives no token, and begins when it is there', async () => {
    await verifier.stop()
    await database.stop()
    verifier = await VerifierProcess.start(home)
    await unavailable()
    await database.run()
    await expect.poll(async () => (await ask()).status, { timeout: 60_000 }).toBe(200)
    expect(await verifier.stop()).toBe(0)
  })
})
