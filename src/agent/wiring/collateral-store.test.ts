import { execFileSync } from 'node:child_process'
import { chmodSync, mkdtempSync, readdirSync, rmSync, statSync, symlinkSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { afterEach, beforeEach, describe, expect, it } from 'vitest'
import { authenticate, FakePccs, rigBase, rigNow, rigQuery, status } from '../../../test/support/collateral-rig.ts'
import { FakeClock } from '../../../test/support/fake-clock.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import { createCollateralSource } from '../../endorser/tdx/collateral-source.ts'
import { createFileSource } from '../../endorser/tdx/file-source.ts'
import { createPccsSource } from '../../endorser/tdx/pccs-source.ts'
import type { CollateralEvent } from '../../endorser/tdx/ports.ts'
import { collateralFiles, openCollateralStore } from './collateral-store.ts'

let state: string
let events: CollateralEvent[]
let pccs: FakePccs
const clock = new FakeClock(rigNow)
const random = seededRandom(23)

beforeEach(() => {
  state = mkdtempSync(join(tmpdir(), 'attestd-collateral-store-'))
  events = []
  pccs = new FakePccs()
})
afterEach(() => rmSync(state, { recursive: true, force: true }))

const folder = () => join(state, 'collateral')
const files = () => readdirSync(folder()).sort()

/** One life of the process: asks once and gives the collateral. */
async function live() {
  await using store = await openCollateralStore(state, { random })
  const source = createCollateralSource({
    sources: [createPccsSource({ base: rigBase(), transport: pccs, clock, random })],
    authenticate,
    store,
    clock,
    random,
    lifetime: new AbortController().signal,
    report: (event) => void events.push(event),
  })
  let settled = false
  const asked = source.collateralFor(rigQuery, new AbortController().signal).finally(() => {
    settled = true
  })
  asked.catch(() => undefined)
  // Only pauses after failures take time of this clock.
  while (!settled) await clock.advance(pccs.asked.length > 4 ? 500 : 0)
  return await asked
}

describe('collateral in the state directory (TDX-215)', () => {
  it('is served by the next life, and for nobody else to read', async () => {
    const first = await live()
    pccs.meddle = () => status(503)
    expect(await live()).toEqual(first)
    expect(files()).toHaveLength(4)
    expect(statSync(folder()).mode & 0o777).toBe(0o700)
    expect(files().map((name) => statSync(join(folder(), name)).mode & 0o777)).toEqual([0o600, 0o600, 0o600, 0o600])
  })

  it('does not keep what a killed writer left behind', async () => {
    await live()
    writeFileSync(join(folder(), `.tmp-${'0'.repeat(32)}`), 'half of an it')
    await live()
    expect(files().filter((name) => name.startsWith('.tmp-'))).toEqual([])
  })

  it.each([
    ['a link', (path: string) => symlinkSync('/etc/hostname', path)],
    ['a file of everybody', (path: string) => chmodAfter(path, 0o666)],
    ['a file that is longer than any item', (path: string) => writeFileSync(path, Buffer.alloc(4 << 20))],
    ['a file of nothing', (path: string) => writeFileSync(path, '')],
  ])('%s in its place is reported, and replaced', async (_, put) => {
    await live()
    const path = join(folder(), 'root-crl.item')
    rmSync(path)
    put(path)
    await expect(live()).resolves.toHaveProperty('rootCaCrl')
    const reported = events.filter(({ event }) => event !== 'collateral_obtained')
    expect(reported).toMatchObject([{ item: 'root-crl' }])
    expect(statSync(path).mode & 0o777).toBe(0o600)
    pccs.meddle = () => status(503)
    await expect(live()).resolves.toHaveProperty('rootCaCrl')
  })

  it('is on the disk whole when the store has been closed, and nothing is begun after that', async () => {
    const store = await openCollateralStore(state, { random })
    const content = new Uint8Array(1 << 20).fill(7)
    const written = ['a.item', 'b.item', 'c.item'].map((name) => store.write(name, content))
    await store[Symbol.asyncDispose]()
    expect(files()).toEqual(['a.item', 'b.item', 'c.item'])
    await expect(Promise.all(written)).resolves.toHaveLength(3)
    expect(statSync(join(folder(), 'a.item')).size).toBe(1 << 20)
    await expect(store.write('d.item', content)).rejects.toMatchObject({ code: 'ECANCELED' })
    await expect(store.read('a.item', 2 << 20)).rejects.toMatchObject({ code: 'ECANCELED' })
    expect(files()).toEqual(['a.item', 'b.item', 'c.item'])
  })

  it('that cannot be written costs a report', async () => {
    await live()
    const { uid } = statSync(state)
    if (uid === 0) return
    chmodSync(folder(), 0o500)
    await expect(live()).resolves.toHaveProperty('tcbInfo')
    chmodSync(folder(), 0o700)
  })
})

function chmodAfter(path: string, mode: number): void {
  writeFileSync(path, 'x')
  chmodSync(path, mode)
}

describe('files that an operator names (TDX-220)', () => {
  it('are a file, or those of a directory in order', async () => {
    for (const name of ['b.json', 'a.json']) writeFileSync(join(state, name), name)
    expect(await collateralFiles.list(state)).toEqual([join(state, 'a.json'), join(state, 'b.json')])
    expect(await collateralFiles.list(join(state, 'a.json'))).toBeNull()
    expect(new TextDecoder().decode(await collateralFiles.read(join(state, 'a.json'), 10))).toBe('a.json')
    await expect(collateralFiles.read(join(state, 'a.json'), 5)).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' })
    await expect(collateralFiles.read(join(state, 'none.json'), 5)).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' })
  })

  it('that are named pipes are refused, not waited for', async () => {
    const path = join(state, 'pipe')
    execFileSync('mkfifo', [path])
    await expect(collateralFiles.read(path, 10)).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' })
  })

  it('that the system refuses are a failure of that source, and the next one is asked (TDX-200)', async () => {
    const path = join(state, 'loop')
    symlinkSync(path, path)
    await expect(collateralFiles.list(path)).rejects.toMatchObject({ code: 'INPUT_UNREADABLE' })
    const source = createCollateralSource({
      sources: [
        createFileSource(path, collateralFiles),
        createPccsSource({ base: rigBase(), transport: pccs, clock, random }),
      ],
      authenticate,
      store: null,
      clock,
      random,
      lifetime: new AbortController().signal,
    })
    await expect(source.collateralFor(rigQuery, new AbortController().signal)).resolves.toHaveProperty('tcbInfo')
  })
})
