import { chmodSync, mkdirSync, mkdtempSync, readdirSync, rmSync, writeFileSync } from 'node:fs'
import { createServer } from 'node:net'
import { tmpdir } from 'node:os'
import { join } from 'node:path'
import { describe, expect, it, onTestFinished } from 'vitest'
import { simulateCcBoot } from '../../../mocks/tdx/measured-boot.ts'
import { seededRandom } from '../../../test/support/seeded-random.ts'
import { configurationSchema } from '../configuration/schema.ts'
import type { Item } from './item.ts'
import type { KnownSettings } from './settings-items.ts'
import { lookAtTd } from './tdx-items.ts'

/** A machine of files; a plain folder gives no attributes to its entries, so that its provider cannot be read. */
function machine() {
  const root = mkdtempSync(join(tmpdir(), 'attestd-td-'))
  onTestFinished(() => rmSync(root, { recursive: true, force: true }))
  const at = (name: string) => join(root, name)
  const paths = {
    reports: at('report'),
    measurements: at('measurements'),
    ccelTable: at('CCEL'),
    ccelLog: at('CCEL.data'),
    quoteServiceConfig: at('tdx-attest.conf'),
    guestDevice: at('tdx_guest'),
  }
  const look = async (tdx: object = {}, verifier: object = {}): Promise<Item[]> => {
    const { shape } = configurationSchema
    const own = { report: paths.reports, ccel_table: paths.ccelTable, ccel_log: paths.ccelLog, ...tdx }
    const known: KnownSettings = {
      configured: true,
      trust: null,
      tpm: shape.tpm.parse({}),
      tdx: shape.tdx.parse(own),
      verifier: shape.verifier.parse(verifier),
      agent: shape.agent.parse({}),
      listen: shape.listen.parse({}),
    }
    const items: Item[] = []
    for await (const item of lookAtTd(known, { libc: null, random: seededRandom(3) }, paths)) items.push(item)
    for (const { state, remedy } of items) expect(remedy === null).toBe(state === 'ok')
    return items
  }
  const states = (items: readonly Item[]) => Object.fromEntries(items.map(({ id, state }) => [id, state]))
  return { root, paths, look, states }
}

describe('doctor on a machine that is no TD', () => {
  it('says so, in one line, and that is well unless a TD is required', async () => {
    const { look, states } = machine()
    expect(states(await look())).toEqual({ tdx: 'ok' })
    expect(states(await look({ use: 'required' }))).toEqual({ tdx: 'problem' })
    expect(await look({ use: 'off' })).toEqual([])
  })
})

describe('doctor in a TD', () => {
  function td() {
    const made = machine()
    const { paths } = made
    const { table, logArea } = simulateCcBoot()
    writeFileSync(paths.guestDevice, '')
    writeFileSync(paths.ccelTable, table)
    writeFileSync(paths.ccelLog, logArea)
    mkdirSync(paths.measurements)
    writeFileSync(join(paths.measurements, 'rtmr3:sha384'), Buffer.alloc(48))
    writeFileSync(paths.quoteServiceConfig, 'port=4050\n')
    mkdirSync(paths.reports)
    return made
  }

  it('looks at folder, provider, log, registers and other ways, and leaves no entry', async () => {
    const { look, states, paths } = td()
    const items = await look()
    expect(states(items)).toEqual({
      'tdx.reports': 'ok',
      // A plain folder has no attributes.
      'tdx.provider': 'problem',
      'tdx.ccel': 'ok',
      'tdx.registers': 'ok',
      'tdx.other': 'ok',
    })
    expect(items.find(({ id }) => id === 'tdx.provider')?.says).toContain('ENOENT')
    expect(items.find(({ id }) => id === 'tdx.ccel')?.says).toMatch(/has [1-9][0-9]* events/)
    expect(items.find(({ id }) => id === 'tdx.other')?.says).toContain('vsock port 4050')
    expect(items.find(({ id }) => id === 'tdx.other')?.says).toContain('native code is missing')
    expect(readdirSync(paths.reports)).toEqual([])
  })

  it('without configfs-tsm says which kernel and module are needed', async () => {
    const { look, paths } = td()
    rmSync(paths.reports, { recursive: true })
    const item = (await look()).find(({ id }) => id === 'tdx.reports')
    expect(item).toMatchObject({ state: 'problem', remedy: expect.stringContaining('Linux 6.7') })
  })

  it.skipIf(process.geteuid?.() === 0)('that may not make entries says who may', async () => {
    const { look, paths } = td()
    chmodSync(paths.reports, 0o500)
    const item = (await look()).find(({ id }) => id === 'tdx.reports')
    expect(item).toMatchObject({ state: 'problem', remedy: expect.stringContaining('root') })
  })

  it.each([
    ['if-present', 'warning'],
    ['required', 'problem'],
  ])('with cc_event_log = %s, a boot log that is missing or broken is a %s', async (cc_event_log, state) => {
    const { look, states, paths } = td()
    const { table } = simulateCcBoot()
    const breaks = [
      () =>
        writeFileSync(
          paths.ccelTable,
          Uint8Array.from(table, (byte, at) => (at === 36 ? 1 : byte)),
        ),
      () => rmSync(paths.ccelLog),
      () => rmSync(paths.ccelTable),
      () => mkdirSync(paths.ccelTable),
    ]
    for (const change of breaks) {
      change()
      expect(states(await look({}, { cc_event_log }))['tdx.ccel']).toBe(state)
    }
  })

  it('with a log that does not parse names the place', async () => {
    const { look, paths } = td()
    writeFileSync(paths.ccelLog, Buffer.alloc(100, 7))
    const item = (await look()).find(({ id }) => id === 'tdx.ccel')
    expect(item).toMatchObject({ state: 'problem', says: expect.stringContaining('eventlog') })
  })

  it('without registers is worth a warning: quotes need none', async () => {
    const { look, paths } = td()
    rmSync(paths.measurements, { recursive: true })
    const item = (await look()).find(({ id }) => id === 'tdx.registers')
    expect(item).toMatchObject({ state: 'warning', remedy: expect.stringContaining('6.16') })
  })
})

describe('doctor with a simulated TD', () => {
  it('says that it protects nothing, or that nobody listens; the machine is not looked at', async () => {
    const { look, root } = machine()
    const socket = join(root, 'sim.sock')
    const tdx = { simulator: true, simulator_socket: socket }
    expect(await look(tdx)).toMatchObject([{ id: 'tdx.way', state: 'problem' }])
    const server = createServer().listen(socket)
    await new Promise((resolve) => server.once('listening', resolve))
    expect(await look(tdx)).toMatchObject([{ id: 'tdx.way', state: 'warning' }])
    server.close()
  })
})
