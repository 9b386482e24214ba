import {
  chmodSync,
  chownSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  statSync,
  symlinkSync,
  truncateSync,
  writeFileSync,
} from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { loadLibc } from '../../../native/libc.ts'
import { havePostgres, PostgresServer } from '../../../test/support/postgres-server.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import { selfSigned } from '../../../test/support/self-signed.ts'
import { pgliteEntry } from '../../../test/support/sql-engines.ts'
import { recordFor } from '../../../test/support/stored-records.ts'
import { AttestdError } from '../../base/errors.ts'
import { openRegistryStore, type RegistryPlace, type RegistryStoreOptions } from './registry-store.ts'

const folder = mkdtempSync(join(tmpdir(), 'attestd-registry-'))
const made = { record: recordFor(1, 1), expected: null }
let options: RegistryStoreOptions & { readonly entry: URL }

beforeAll(async () => {
  options = { libc: loadLibc(), random: seededRandom(1), entry: await pgliteEntry() }
}, 120_000)
afterAll(() => rmSync(folder, { recursive: true, force: true }))

function copyOf(directory: string, copy: string): void {
  cpSync(directory, copy, { recursive: true })
  chmodSync(copy, 0o700)
}

async function failureOf(place: RegistryPlace, changes: Partial<RegistryStoreOptions> = {}): Promise<AttestdError> {
  const opened = await openRegistryStore(place, { ...options, ...changes }).catch((error: unknown) => error)
  if (opened instanceof AttestdError) return opened
  throw opened instanceof Error ? opened : new Error('it was opened')
}

it('in memory knows nothing of the time before', async () => {
  for (let life = 0; life < 2; life++) {
    await using store = await openRegistryStore({ kind: 'memory' }, options)
    expect(await store.list()).toEqual([])
    expect(await store.commit([made])).toBe(true)
  }
})

describe('an embedded registry', { timeout: 240_000 }, () => {
  const directory = join(folder, 'embedded')
  const place = { kind: 'embedded', directory } as const

  it('is made once, for its owner alone, and is there again', async () => {
    {
      await using store = await openRegistryStore(place, options)
      expect(await store.commit([made])).toBe(true)
      expect(statSync(directory).mode & 0o777).toBe(0o700)
    }
    await using store = await openRegistryStore(place, options)
    expect(await store.findByAk(made.record.akName)).toEqual({ record: made.record, version: 1 })
  })

  it('is opened once at a time, and not at all where nothing can lock it', async () => {
    {
      await using _store = await openRegistryStore(place, options)
      expect(await failureOf(place)).toMatchObject({ code: 'registry_in_use' })
      const link = join(folder, 'link')
      symlinkSync(directory, link)
      expect(await failureOf({ kind: 'embedded', directory: link })).toMatchObject({ code: 'registry_in_use' })
    }
    expect(await failureOf(place, { libc: null })).toMatchObject({ code: 'registry_unguarded' })
    await using _again = await openRegistryStore(place, options)
  })

  it('refuses a directory that others can enter', async () => {
    const open = join(folder, 'open')
    mkdirSync(open)
    chmodSync(open, 0o750)
    expect(await failureOf({ kind: 'embedded', directory: open })).toMatchObject({ code: 'STATE_DIRECTORY' })
  })

  it.skipIf(process.getuid?.() !== 0)(
    'refuses a directory of another user, also behind a link of its own',
    async () => {
      const [foreign, link] = [join(folder, 'foreign'), join(folder, 'to-foreign')]
      mkdirSync(foreign, { mode: 0o700 })
      chownSync(foreign, 12_345, 12_345)
      symlinkSync(foreign, link)
      for (const one of [foreign, link]) {
        expect(await failureOf({ kind: 'embedded', directory: one })).toMatchObject({ code: 'STATE_DIRECTORY' })
      }
      expect(readdirSync(foreign)).toEqual([])
    },
  )

  it('is never made anew in a directory that has something else in it', async () => {
    const other = join(folder, 'other')
    mkdirSync(other, { mode: 0o700 })
    writeFileSync(join(other, 'data.old'), '')
    expect(await failureOf({ kind: 'embedded', directory: other })).toMatchObject({ code: 'registry_corrupt' })
    expect(existsSync(join(other, 'data'))).toBe(false)
  })

  it('removes what a process left that was killed while it made one', async () => {
    const young = join(folder, 'young')
    mkdirSync(join(young, `.new-${'0'.repeat(32)}`), { recursive: true, mode: 0o700 })
    await using _store = await openRegistryStore({ kind: 'embedded', directory: young }, options)
    expect(existsSync(join(young, `.new-${'0'.repeat(32)}`))).toBe(false)
  })

  it.each<[string, (data: string) => void]>([
    ['its control file is cut', (data) => truncateSync(join(data, 'global/pg_control'), 100)],
    ['its version is gone', (data) => rmSync(join(data, 'PG_VERSION'))],
    ['it is empty', (data) => rmSync(data, { recursive: true }) ?? mkdirSync(data)],
    ['its log is gone', (data) => rmSync(join(data, 'pg_wal'), { recursive: true })],
  ])('that is damaged is reported, and left as it is: %s', async (what, damage) => {
    const damaged = join(folder, what.replaceAll(' ', '-'))
    copyOf(directory, damaged)
    damage(join(damaged, 'data'))
    for (let attempt = 0; attempt < 2; attempt++) {
      const failure = await failureOf({ kind: 'embedded', directory: damaged })
      expect(failure).toMatchObject({ code: 'registry_corrupt', remedy: expect.stringContaining('backup') })
    }
  })

  it('of another version of PostgreSQL is reported as that', async () => {
    const older = join(folder, 'older')
    copyOf(directory, older)
    writeFileSync(join(older, 'data/PG_VERSION'), '15\n')
    expect(await failureOf({ kind: 'embedded', directory: older })).toMatchObject({ code: 'registry_schema' })
    expect(readFileSync(join(older, 'data/PG_VERSION'), 'utf8')).toBe('15\n')
  })
})

describe.skipIf(!havePostgres)('a registry in PostgreSQL', { timeout: 120_000 }, () => {
  const certificate = selfSigned()
  const urlFile = join(folder, 'url')
  const place = { kind: 'postgresql', urlFile } as const
  let server: PostgresServer
  beforeAll(async () => {
    server = await PostgresServer.start({ password: 'Zq9secret', tls: certificate })
  })
  afterAll(() => server[Symbol.asyncDispose]())
  const keep = (url: string, mode = 0o600) => {
    rmSync(urlFile, { force: true })
    writeFileSync(urlFile, url, { mode })
  }

  it('is where the URL in a file says, with the certificates that it names', async () => {
    const root = join(folder, 'root.pem')
    writeFileSync(root, certificate.cert)
    const query = `sslmode=verify-full&sslrootcert=${root}`
    keep(`postgresql://attestd:Zq9secret@127.0.0.1:${server.port}/postgres?${query}\n`)
    {
      await using store = await openRegistryStore(place, options)
      expect(await store.commit([made])).toBe(true)
    }
    await using store = await openRegistryStore(place, options)
    expect(await store.list()).toHaveLength(1)
  })

  it('takes no password from a file that others can read, and shows none', async () => {
    keep(server.url, 0o640)
    expect(await failureOf(place)).toMatchObject({ code: 'FILE_UNSAFE' })
    keep(`postgresql://attestd:Zq9secret@127.0.0.1:${server.port}/postgres`)
    const failure = await failureOf(place)
    expect(failure).toMatchObject({ code: 'registry_address' })
    expect(JSON.stringify([failure.message, failure.facts, failure.stack])).not.toContain('Zq9secret')
  })

  it('needs the file, and those that the URL names', async () => {
    const query = `sslmode=verify-ca&sslrootcert=${join(folder, 'nowhere.pem')}`
    keep(`postgresql://attestd:Zq9secret@127.0.0.1:${server.port}/postgres?${query}`)
    expect(await failureOf(place)).toMatchObject({ code: 'registry_address' })
    rmSync(urlFile)
    expect(await failureOf(place)).toMatchObject({ code: 'registry_address' })
  })
})
