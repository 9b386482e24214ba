import { chmodSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs'
import { tmpdir } from 'node:os'
import { join, resolve } from 'node:path'
import { afterAll, beforeAll, describe, expect, it } from 'vitest'
import { TdMachine } from '../../support/td-machine.ts'
import { allFaults } from './all-faults.ts'
import { brokenBy, Probe } from './fault.ts'
import { type Row, renderPage, renderRow } from './page.ts'

const page = resolve(import.meta.dirname, '../../../docs/fault-matrix.md')
const ids = Array.from({ length: 30 }, (_, at) => `F${String(at + 1).padStart(2, '0')}`)
const writing = process.env['ATTESTD_FAULT_MATRIX'] === 'write'

/** Every fault of broker.md section 16; `npm run fault-matrix` writes the page from the same run. */
describe('the fault matrix, with no reader blocked and no expired token served (BRK-166, BRK-167)', () => {
  const rows: Row[] = []
  let folder = ''
  let machine: TdMachine

  beforeAll(async () => {
    folder = mkdtempSync(join(tmpdir(), 'attestd-faults-'))
    // Callers of other users come to sockets below it.
    chmodSync(folder, 0o711)
    machine = await TdMachine.boot(join(folder, 'machine'))
  })

  afterAll(async () => {
    await machine?.end()
    rmSync(folder, { recursive: true, force: true })
    rows.sort((left, right) => (left.fault.id < right.fault.id ? -1 : 1))
    if (writing) writeFileSync(page, renderPage(rows))
  })

  for (const fault of allFaults) {
    const { run, id, fault: name, slow = false } = fault
    if (slow && !writing) continue
    if (run === undefined) {
      rows.push({ fault, probe: null })
      continue
    }
    it(`${id}: ${name}`, async () => {
      const probe = new Probe()
      rows.push({ fault, probe })
      try {
        await run(probe, { folder: join(folder, id), machine })
      } catch (error) {
        probe.failures.push('it could not be run to its end')
        throw error
      }
      expect(brokenBy(fault, probe)).toEqual([])
    }, 240_000)
  }

  it('knows every fault once, and says why where one is not run', () => {
    expect(allFaults.map(({ id }) => id)).toEqual(ids)
    const silent = allFaults.filter(({ run, notRun }) => run === undefined && notRun === undefined)
    expect(silent).toEqual([])
  })

  it.runIf(!writing)('is on its page whole, with the rows of this very run, and nothing is broken there', () => {
    const written = readFileSync(page, 'utf8').split('\n')
    for (const row of rows) expect(written).toContain(renderRow(row))
    const listed = written.filter((line) => line.startsWith('| F'))
    expect(listed.map((line) => line.slice(2, 5))).toEqual(ids)
    for (const line of listed) expect(line).toMatch(/ \| 0 \| 0 \| 0 \| .* \| held| \| not run: \S/)
  })
})
