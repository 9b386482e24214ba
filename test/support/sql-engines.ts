import { mkdtempSync, rmSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { dirname, join } from 'node:path'
import { pathToFileURL } from 'node:url'
import { createPgliteDatabase, PgliteEngine } from '../../src/registry/pglite-engine.ts'
import { parsePostgresAddress } from '../../src/registry/postgres-address.ts'
import { PostgresEngine } from '../../src/registry/postgres-engine.ts'
import type { SqlEngine } from '../../src/registry/sql-engine.ts'
import { builtProgram } from './built-program.ts'
import { havePostgres, PostgresServer } from './postgres-server.ts'

/** The thread of PGlite as it is shipped: threads of tests run what Node can load. */
export async function pgliteEntry(): Promise<URL> {
  return pathToFileURL(join(dirname(await builtProgram()), '../registry/pglite-worker.js'))
}

/** A place where one kind of engine keeps a database, for the tests of one file. */
export interface EnginePlace extends AsyncDisposable {
  open(): Promise<SqlEngine>
  /** Where it is, for programs of their own. */
  readonly address: string
}

export interface EngineKind {
  readonly name: string
  readonly kind: 'embedded' | 'postgresql'
  readonly possible: boolean
  make(): Promise<EnginePlace>
}

async function makePglite(): Promise<EnginePlace> {
  const folder = mkdtempSync(join(tmpdir(), 'attestd-pglite-'))
  const [address, entry] = [join(folder, 'data'), await pgliteEntry()]
  await createPgliteDatabase(address, { entry })
  return {
    address,
    open: () => PgliteEngine.open(address, { entry }),
    [Symbol.asyncDispose]: async () => rmSync(folder, { recursive: true, force: true }),
  }
}

async function makePostgres(): Promise<EnginePlace> {
  const server = await PostgresServer.start()
  return {
    address: server.url,
    open: () => PostgresEngine.open(parsePostgresAddress(server.url)),
    [Symbol.asyncDispose]: () => server[Symbol.asyncDispose](),
  }
}

export const engineKinds: readonly EngineKind[] = [
  { name: 'PGlite', kind: 'embedded', possible: true, make: makePglite },
  { name: 'PostgreSQL', kind: 'postgresql', possible: havePostgres, make: makePostgres },
]
