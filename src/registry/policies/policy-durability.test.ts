import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtProgram } from '../../../test/support/built-program.ts'
import { havePostgres, PostgresServer } from '../../../test/support/postgres-server.ts'

const committer = resolve(import.meta.dirname, '../../../test/support/policy-committer.mjs')
const folder = mkdtempSync(join(tmpdir(), 'attestd-policies-'))
const kills = 4

beforeAll(async () => {
  await builtProgram()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

interface Found {
  readonly found: string | null
  readonly isWhole: boolean
  readonly versions: number
  readonly latest: string | null
}

interface Change {
  readonly before: string | null
  readonly after: string
}

/** One life of a process that sets policies all the time. */
class Life {
  readonly #process: ChildProcess
  readonly #err: string[] = []
  found: Found | null = null
  readonly changes: Change[] = []

  constructor(place: object) {
    this.#process = spawn(process.execPath, [committer, JSON.stringify(place)], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => this.#err.push(text))
  }

  /** Kills it after so many changes and `ms` more; resolves when it is gone and all that it said was read. */
  async killAfter(changes: number, ms: number): Promise<this> {
    const ended = once(this.#process, 'close')
    if (!this.#process.stdout) throw new Error('no output')
    for await (const line of createInterface({ input: this.#process.stdout })) {
      const said = JSON.parse(line)
      if ('found' in said) this.found = said
      else this.changes.push(said)
      if (this.changes.length === changes) setTimeout(() => this.#process.kill('SIGKILL'), ms)
    }
    await ended
    if (this.#process.signalCode !== 'SIGKILL') throw new Error(this.#err.join(''))
    return this
  }
}

/** Every acknowledged policy is the active one, or at most one more that was under way; none is there in part. */
async function requireLasting(place: object): Promise<void> {
  let acknowledged: string | null = null
  let versions = 0
  for (let kill = 0; kill <= kills; kill++) {
    const { found, changes } = await new Life({ ...place, name: `life-${kill}` }).killAfter(
      1 + randomInt(20),
      randomInt(8),
    )
    expect(found).toMatchObject({ isWhole: true, latest: found?.found })
    if (found?.found !== acknowledged) expect(found?.versions).toBe(versions + 1)
    else expect(found?.versions).toBe(versions)
    expect(changes[0]?.before).toBe(found?.found)
    acknowledged = changes.at(-1)?.after ?? null
    versions = (found?.versions ?? 0) + changes.length
  }
}

describe('a process that is killed while it activates policies (POL-709)', { timeout: 600_000 }, () => {
  it('loses no acknowledged one and tears none, embedded', async () => {
    await requireLasting({ kind: 'embedded', directory: join(folder, 'embedded') })
  })

  it.skipIf(!havePostgres)('loses no acknowledged one and tears none, with PostgreSQL', async () => {
    await using server = await PostgresServer.start()
    const urlFile = join(folder, 'url')
    writeFileSync(urlFile, server.url, { mode: 0o600 })
    await requireLasting({ kind: 'postgresql', urlFile })
  })

  it.skipIf(!havePostgres)('two processes make one chain of changes, with PostgreSQL', async () => {
    await using server = await PostgresServer.start()
    const urlFile = join(folder, 'shared-url')
    writeFileSync(urlFile, server.url, { mode: 0o600 })
    const lives = ['a', 'b'].map((name) => new Life({ kind: 'postgresql', urlFile, name }).killAfter(15, 0))
    const changes = (await Promise.all(lives)).flatMap((life) => life.changes)
    // Each is the successor of another one: no change was made on what was no longer so.
    const befores = changes.map(({ before }) => before)
    expect(new Set(befores).size).toBe(befores.length)
    const afters = new Set<string | null>(changes.map(({ after }) => after))
    const first = befores.filter((before) => !afters.has(before))
    expect(first).toContain(null)
    // Those that were under way when their process was killed said nothing.
    expect(first.length).toBeLessThanOrEqual(3)
  })
})
