import { type ChildProcess, spawn } from 'node:child_process'
import { randomInt } from 'node:crypto'
import { once } from 'node:events'
import { mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { createInterface } from 'node:readline'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { builtProgram } from '../../test/support/built-program.ts'
import { havePostgres, PostgresServer } from '../../test/support/postgres-server.ts'

const committer = resolve(import.meta.dirname, '../../test/support/registry-committer.mjs')
const folder = mkdtempSync(join(tmpdir(), 'attestd-durability-'))
const kills = 20

beforeAll(async () => {
  await builtProgram()
})
afterAll(() => rmSync(folder, { recursive: true, force: true }))

/** One life of a process that commits all the time. */
class Life {
  readonly #process: ChildProcess
  readonly #err: string[] = []
  found: string | null = null
  done = 0

  constructor(place: object) {
    this.#process = spawn(process.execPath, [committer, JSON.stringify(place)], { stdio: ['ignore', 'pipe', 'pipe'] })
    this.#process.stderr?.setEncoding('utf8').on('data', (text: string) => this.#err.push(text))
  }

  /** Kills it when it has made `commits` commits, after `ms` more. Resolves when it is gone and all it said was read. */
  async killAfter(commits: number, ms: number): Promise<void> {
    const ended = once(this.#process, 'close')
    if (!this.#process.stdout) throw new Error('no output')
    for await (const line of createInterface({ input: this.#process.stdout })) {
      const [what = '', number = ''] = line.split(/ (.*)/)
      if (what === 'found') this.found = number
      else if (what === 'done') this.done = Number(number)
      else throw new Error(line)
      if (what === 'done' && commits-- === 0) setTimeout(() => this.#process.kill('SIGKILL'), ms)
    }
    await ended
    if (this.#process.signalCode !== 'SIGKILL') throw new Error(this.#err.join(''))
  }

  /** Kills it `ms` after it was started, wherever it is. */
  async killAt(ms: number): Promise<void> {
    const ended = once(this.#process, 'close')
    setTimeout(() => this.#process.kill('SIGKILL'), ms)
    await ended
    if (this.#process.signalCode !== 'SIGKILL') throw new Error(this.#err.join(''))
  }
}

/** Every acknowledged commit is there, at most one more that was under way, and none in part. */
async function requireLasting(place: object): Promise<void> {
  let acknowledged = 0
  for (let kill = 0; kill <= kills; kill++) {
    const life = new Life(place)
    await life.killAfter(randomInt(40), randomInt(8))
    if (kill > 0) expect([acknowledged, acknowledged + 1].map(String)).toContain(life.found)
    expect(life.done).toBeGreaterThan(acknowledged)
    acknowledged = life.done
  }
}

describe('a process that is killed while it commits (ENR-12)', { timeout: 600_000 }, () => {
  it('loses no acknowledged commit and tears none, embedded', async () => {
    await requireLasting({ kind: 'embedded', directory: join(folder, 'embedded') })
  })

  it.skipIf(!havePostgres)('loses no acknowledged commit and tears none, with PostgreSQL', async () => {
    await using server = await PostgresServer.start()
    const urlFile = join(folder, 'url')
    writeFileSync(urlFile, server.url, { mode: 0o600 })
    await requireLasting({ kind: 'postgresql', urlFile })
  })

  it('while it makes the embedded registry, leaves none or a whole one', async () => {
    const directory = join(folder, 'young')
    for (const ms of [300, 600, 900, 1200, 1500, 2000, 2500, 3000]) {
      await new Life({ kind: 'embedded', directory }).killAt(ms)
    }
    const life = new Life({ kind: 'embedded', directory })
    await life.killAfter(1, 0)
    expect(life.found).toMatch(/^\d+$/)
    expect(readdirSync(directory).sort()).toEqual(['data', 'lock'])
  })
})

/** What a process acknowledged until it was refused, or until it is killed. */
async function acknowledgedBy(child: ChildProcess): Promise<readonly number[]> {
  const done: number[] = []
  if (!child.stdout) throw new Error('no output')
  for await (const line of createInterface({ input: child.stdout })) {
    if (line.startsWith('done ')) done.push(Number(line.slice(5)))
  }
  return done
}

describe('two processes on one database', { timeout: 120_000 }, () => {
  const start = (place: object) =>
    spawn(process.execPath, [committer, JSON.stringify(place)], { stdio: ['ignore', 'pipe', 'pipe'] })

  it.skipIf(!havePostgres)('never both move the same counters, with PostgreSQL', async () => {
    await using server = await PostgresServer.start()
    const urlFile = join(folder, 'shared-url')
    writeFileSync(urlFile, server.url, { mode: 0o600 })
    for (let round = 0; round < 5; round++) {
      const children = [start({ kind: 'postgresql', urlFile }), start({ kind: 'postgresql', urlFile })]
      for (const child of children)
        child.once('exit', () => setTimeout(() => void children.map((one) => one.kill('SIGKILL')), 50))
      const done = (await Promise.all(children.map(acknowledgedBy))).flat()
      expect(done.length).toBeGreaterThan(0)
      expect(new Set(done).size).toBe(done.length)
    }
  })

  it('are one, embedded: the second is refused', async () => {
    const place = { kind: 'embedded', directory: join(folder, 'embedded-twice') }
    const first = start(place)
    const said = createInterface({ input: first.stdout })
    await once(said, 'line')
    const second = start(place)
    let says = ''
    second.stderr.setEncoding('utf8').on('data', (text: string) => {
      says += text
    })
    const [code] = await once(second, 'close')
    expect([code, says]).toEqual([1, expect.stringContaining('registry_in_use')])
    first.kill('SIGKILL')
    await once(first, 'close')
  })
})
