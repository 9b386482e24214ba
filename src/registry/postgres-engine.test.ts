import { once } from 'node:events'
import { createServer } from 'node:net'
import { afterAll, beforeAll, beforeEach, describe, expect, it } from 'vitest'
import { havePostgres, PostgresServer } from '../../test/support/postgres-server.ts'
import { selfSigned } from '../../test/support/self-signed.ts'
import { recordFor } from '../../test/support/stored-records.ts'
import { AttestdError } from '../base/errors.ts'
import { schemaVersion } from './migrations.ts'
import { parsePostgresAddress } from './postgres-address.ts'
import { PostgresEngine, type PostgresPem } from './postgres-engine.ts'
import { SqlRefusal } from './sql-engine.ts'
import { SqlStore } from './sql-store.ts'

const made = { record: recordFor(1, 1), expected: null }
const noPem: PostgresPem = { root: null, own: null }

const openStore = async (url: string) => SqlStore.open(await PostgresEngine.open(parsePostgresAddress(url)))

/** The code with which it fails; no error says the password. */
async function codeOf(act: Promise<unknown>): Promise<string> {
  try {
    await act
    return 'done'
  } catch (error) {
    if (!(error instanceof AttestdError)) throw error
    expect(JSON.stringify([error.message, error.facts, error.stack, error.cause])).not.toContain('Zq9secret')
    return error.code
  }
}

/** Where nobody serves PostgreSQL: a socket that takes connections, and says nothing. */
async function silentServer() {
  const server = createServer(() => undefined).listen(0, '127.0.0.1')
  await once(server, 'listening')
  const address = server.address()
  if (typeof address !== 'object' || address === null) throw new Error('no port')
  return { port: address.port, [Symbol.asyncDispose]: async () => void server.close() }
}

describe.skipIf(!havePostgres)('a PostgreSQL server', { timeout: 120_000 }, () => {
  const certificate = selfSigned()
  let server: PostgresServer
  const overNetwork = (query: string, password = 'Zq9secret', host = '127.0.0.1') =>
    `postgresql://attestd:${password}@${host}:${server.port}/postgres?${query}`

  beforeAll(async () => {
    server = await PostgresServer.start({ password: 'Zq9secret', tls: certificate })
  })
  afterAll(() => server[Symbol.asyncDispose]())
  beforeEach(() => void server.command('DROP SCHEMA IF EXISTS attestd CASCADE'))

  it('may be started again, in order or after a crash, while a store is open', async () => {
    await using store = await openStore(server.url)
    expect(await store.commit([made])).toBe(true)
    for (const [index, signal] of (['SIGINT', 'SIGQUIT', 'SIGQUIT'] as const).entries()) {
      // As many connections as there may be are left over from before.
      await Promise.all(Array.from({ length: 8 }, () => store.findByAk(made.record.akName)))
      await server.stop(signal)
      expect(await codeOf(store.findByAk(made.record.akName))).toBe('registry_unavailable')
      expect(await codeOf(store.commit([{ ...made, expected: index + 1 }]))).toBe('registry_unavailable')
      await server.run()
      expect(await store.commit([{ ...made, expected: index + 1 }])).toBe(true)
    }
    expect(await store.findByAk(made.record.akName)).toEqual({ record: made.record, version: 4 })
  })

  it('keeps every acknowledged commit over a crash in the middle of commits', async () => {
    await using store = await openStore(server.url)
    let [acknowledged, lives] = [0, true]
    const committing = (async () => {
      while (lives) {
        const expected = acknowledged === 0 ? null : acknowledged
        if ((await codeOf(store.commit([{ record: made.record, expected }]))) === 'done') acknowledged += 1
        else lives = false
      }
    })()
    while (acknowledged < 30) await new Promise(setImmediate)
    await server.stop('SIGQUIT')
    await committing
    await server.run()
    const found = (await store.findByAk(made.record.akName))?.version
    expect([acknowledged, acknowledged + 1]).toContain(found)
  })

  it('that ends a connection in the middle of a transaction has not been told to commit', async () => {
    await using engine = Object.assign(await PostgresEngine.open(parsePostgresAddress(server.url)), {
      async [Symbol.asyncDispose]() {
        await engine.close()
      },
    })
    await SqlStore.open(engine)
    const ended = engine.transaction(async (database) => {
      await database.query("INSERT INTO attestd.identity_holders VALUES ('x', 'y')")
      await database.query('SELECT pg_terminate_backend(pg_backend_pid())')
    })
    expect(await codeOf(ended)).toBe('registry_unavailable')
    expect(await engine.query('SELECT ek_name FROM attestd.identity_holders')).toEqual([])
    const refused = engine.transaction((database) => database.query('SELECT 1 FROM nowhere'))
    await expect(refused).rejects.toEqual(new SqlRefusal('42P01'))
    const swallowed = engine.transaction((database) => database.query('SELECT 1 FROM nowhere').catch(() => 'swallowed'))
    await expect(swallowed).rejects.toEqual(new SqlRefusal('25P02'))
  })

  it('waits for its disk in every transaction, and must be able to', async () => {
    server.command('ALTER DATABASE postgres SET synchronous_commit = off')
    const engine = await PostgresEngine.open(parsePostgresAddress(server.url))
    const asked = "SELECT current_setting('synchronous_commit') AS mode"
    expect(await engine.query(asked)).toEqual([{ mode: 'off' }])
    expect(await engine.transaction((database) => database.query(asked))).toEqual([{ mode: 'on' }])
    await engine.close()
    server.command('ALTER DATABASE postgres RESET synchronous_commit')
    await using loose = await PostgresServer.start({ settings: ['fsync = off'] })
    expect(await codeOf(openStore(loose.url))).toBe('registry_not_durable')
  })

  it('gets one schema of all who start at the same time', async () => {
    const stores = await Promise.all(Array.from({ length: 6 }, () => openStore(server.url)))
    const done = await Promise.all(stores.map((store) => store.commit([made])))
    expect(done.filter(Boolean)).toHaveLength(1)
    expect(server.command('SELECT count(*) FROM attestd.schema_versions')).toBe(String(schemaVersion))
    for (const store of stores) await store.close()
  })

  it('is left as it is where a newer program has written, or a migration fails', async () => {
    await (await openStore(server.url)).close()
    server.command('INSERT INTO attestd.schema_versions (version) VALUES (1000)')
    expect(await codeOf(openStore(server.url))).toBe('registry_schema')
    server.command('DROP SCHEMA attestd CASCADE; CREATE SCHEMA attestd; CREATE TABLE attestd.enrolments ()')
    expect(await codeOf(openStore(server.url))).toBe('registry_statement')
    expect(server.command("SELECT to_regclass('attestd.schema_versions') IS NULL")).toBe('t')
  })

  it('needs no rights to make a schema that is there, and says where they are missing', async () => {
    server.command("DROP ROLE IF EXISTS weak; CREATE ROLE weak LOGIN PASSWORD 'Zq9secret'")
    const weak = server.url.replace('attestd@', 'weak@')
    expect(await codeOf(openStore(weak))).toBe('registry_access')
    await (await openStore(server.url)).close()
    expect(await codeOf(openStore(weak))).toBe('registry_access')
    server.command('GRANT USAGE ON SCHEMA attestd TO weak')
    server.command('GRANT SELECT, INSERT, UPDATE, DELETE ON ALL TABLES IN SCHEMA attestd TO weak')
    await using store = await openStore(weak)
    expect(await store.commit([made])).toBe(true)
    server.command('ALTER ROLE weak SET default_transaction_read_only = on')
    await using standby = await openStore(weak)
    expect(await codeOf(standby.commit([{ ...made, expected: 1 }]))).toBe('registry_unavailable')
  })

  it.each([
    ['another password', () => overNetwork('sslmode=require', 'Zq9secret2'), 'registry_access'],
    ['another database', () => server.url.replace('/postgres?', '/nowhere?'), 'registry_access'],
    ['another user', () => server.url.replace('attestd@', 'nobody@'), 'registry_access'],
    ['another directory', () => server.url.replace(/host=.*/, 'host=/nowhere'), 'registry_unavailable'],
    ['a name that is none', () => overNetwork('sslmode=disable', 'Zq9secret', 'db.invalid'), 'registry_unavailable'],
  ])('is not reached with %s', async (_what, url, code) => {
    expect(await codeOf(openStore(url()))).toBe(code)
  })

  it('is not waited for without an end', async () => {
    await using silent = await silentServer()
    const url = `postgresql://u:Zq9secret@127.0.0.1:${silent.port}/d?sslmode=disable`
    expect(await codeOf(openStore(url))).toBe('registry_unavailable')
  })

  describe('over TLS', () => {
    const open = async (query: string, pem: PostgresPem, host?: string) => {
      const address = parsePostgresAddress(overNetwork(query, 'Zq9secret', host))
      const engine = await PostgresEngine.open(address, pem)
      const [row] = await engine.query('SELECT ssl FROM pg_stat_ssl WHERE pid = pg_backend_pid()')
      await engine.close()
      return row?.['ssl']
    }
    const own = { root: certificate.cert, own: null }
    const other = { root: selfSigned().cert, own: null }

    it('is what the mode says', async () => {
      expect(await open('sslmode=disable', noPem)).toBe(false)
      expect(await open('sslmode=require', noPem)).toBe(true)
      expect(await open('sslmode=verify-ca&sslrootcert=/r', own)).toBe(true)
      expect(await open('sslmode=verify-full&sslrootcert=/r', own)).toBe(true)
    })

    it.each([
      ['verify-full&sslrootcert=/r', other, '127.0.0.1'],
      ['verify-full&sslrootcert=system', noPem, '127.0.0.1'],
      ['verify-full&sslrootcert=/r', own, 'localhost'],
      ['verify-ca&sslrootcert=/r', other, '127.0.0.1'],
      ['require&sslrootcert=/r', other, '127.0.0.1'],
    ])('with sslmode=%s refuses who is not the server that it asks for', async (mode, pem, host) => {
      expect(await codeOf(open(`sslmode=${mode}`, pem, host))).toBe('registry_unavailable')
    })

    it('compares no name where PostgreSQL compares none', async () => {
      expect(await open('sslmode=verify-ca&sslrootcert=/r', own, 'localhost')).toBe(true)
    })

    it('is never left out because the server has none', async () => {
      await using plain = await PostgresServer.start({ password: 'Zq9secret' })
      const url = `postgresql://attestd:Zq9secret@127.0.0.1:${plain.port}/postgres?sslmode=require`
      expect(await codeOf(openStore(url))).toBe('registry_unavailable')
    })
  })
})
